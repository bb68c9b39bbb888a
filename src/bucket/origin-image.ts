/** A tag of another registry as an image source, over the origin client. */
import { openBlob } from '../origin/blob.ts';
import type { RegistryClient } from '../origin/registry-client.ts';
import { type NotFound, OriginError } from '../origin/errors.ts';
import { ACCEPT_SCHEMA1 } from '../origin/manifest.ts';
import type { ImageContent } from '../manifest/image.ts';
import { formOfContent, readLinks } from '../manifest/links.ts';
import type { Digest } from '../registry/digest.ts';
import { type Form, formOfMediaType, isListForm, MEDIA_TYPE_OF_FORM } from '../registry/media-type.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import type { Platform } from '../registry/platform.ts';
import { mapLimit } from './concurrency.ts';
import { ImageError, type ImageSource, type SourceManifest } from './image-source.ts';
import { IMAGE_LIMITS, readImage } from './read-image.ts';

/** What an upstream has under a tag. `digest`: of the manifest that the tag names. */
export interface OriginImage {
  readonly kind: 'image';
  readonly digest: Digest;
  readonly content: ImageContent;
  /** Forms that the tag may have: the upstream failed when it was asked for them. */
  readonly unknown: readonly UnknownForm[];
}

/** A form of which it could not be found out whether the upstream has it. */
export interface UnknownForm {
  readonly form: Form;
  readonly error: OriginError;
}

/**
 * Reads a tag, as far as deriving its forms needs it. `platforms`: those of a list that are wanted, null for all.
 * `hasOtherForms`: whether the registry may have forms of a tag beside the manifest that the tag names; default true.
 * Throws {@link OriginError}.
 */
export async function readOriginImage(
  client: RegistryClient,
  {
    name,
    tag,
    platforms,
    hasOtherForms = true,
  }: {
    readonly name: RepositoryName;
    readonly tag: Tag;
    readonly platforms: readonly Platform[] | null;
    readonly hasOtherForms?: boolean;
  },
): Promise<OriginImage | NotFound> {
  const root = await client.manifest(name, { kind: 'tag', tag });
  if (root.kind === 'not-found') return root;
  const { digest } = root;
  const others = hasOtherForms ? await otherForms(client, name, tag, root) : [];
  const found = others.flatMap((one) => (one.state === 'found' ? [one.manifest] : []));
  const source = originSource(client, name, [toSource(root), ...found]);
  const { content } = await protocolErrors(client, () =>
    readImage(source, { platforms: platforms ?? [], scope: 'on-demand' }),
  );
  return {
    kind: 'image',
    digest,
    content: { ...content, unpacked: null, recompressed: new Map(), held: new Set() },
    unknown: others.flatMap((one) => (one.state === 'unknown' ? [one] : [])),
  };
}

/** Throws an {@link ImageError} of `work` as what it means of an upstream: an answer that cannot be used. */
export async function protocolErrors<T>(
  { baseUrl }: Pick<RegistryClient, 'baseUrl'>,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof ImageError)) throw cause;
    throw new OriginError(
      cause.isOverLimit ? 'ORIGIN_LIMIT' : 'ORIGIN_PROTOCOL',
      `${baseUrl.host} sent an image that cannot be used: ${cause.message}`,
      { cause },
    );
  }
}

/** Manifests and blobs of a repository of another registry, as an image source with these roots. */
export function originSource(
  client: RegistryClient,
  name: RepositoryName,
  roots: readonly SourceManifest[],
): ImageSource {
  return {
    roots,
    manifest: async (digest, { mediaType = '' } = {}) => {
      const found = await client.manifest(
        name,
        { kind: 'digest', digest },
        mediaType === '' ? {} : { accept: [mediaType] },
      );
      return found.kind === 'not-found' ? null : toSource(found);
    },
    blob: async (digest, options) => {
      const found = await openBlob(client, name, digest, options);
      return found.kind === 'not-found' ? null : { size: found.size, chunks: found.chunks };
    },
    referrers: (subject) => client.referrers(name, subject),
    close: () => Promise.resolve(),
  };
}

/** A manifest of the origin client as a source gives it. */
export function toSource({
  bytes,
  digest,
  mediaType,
}: {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly mediaType: string | undefined;
}): SourceManifest {
  return { bytes, digest, ...(mediaType !== undefined && { mediaType }) };
}

type OtherForm =
  | { readonly state: 'found'; readonly manifest: SourceManifest }
  | { readonly state: 'none' }
  | ({ readonly state: 'unknown' } & UnknownForm);

const NONE: OtherForm = { state: 'none' };

/**
 * What else was published under the tag: a schema 1 beside newer forms, and behind crane a schema 2 beside a list. Each
 * is requested with only its types. An upstream that has none answers 404 or with another form. A failure is no proof
 * that there is none, and no reason to do without the rest.
 */
async function otherForms(
  client: RegistryClient,
  name: RepositoryName,
  tag: Tag,
  root: { readonly bytes: Uint8Array; readonly digest: Digest; readonly mediaType: string | undefined },
): Promise<readonly OtherForm[]> {
  const rootForm = formOfMediaType(root.mediaType ?? '') ?? formOfContent(root.bytes);
  const wanted: { readonly form: Form; readonly accept: readonly string[] }[] = [
    ...(rootForm !== null && isListForm(rootForm)
      ? [{ form: 'docker-schema2' as const, accept: [MEDIA_TYPE_OF_FORM['docker-schema2']] }]
      : []),
    ...(rootForm === 'docker-schema1' ? [] : [{ form: 'docker-schema1' as const, accept: ACCEPT_SCHEMA1 }]),
  ];
  const known = new Set([root.digest, ...(readLinks(root.bytes)?.children ?? []).map(({ digest }) => digest)]);
  return mapLimit(wanted, IMAGE_LIMITS.requests, async ({ form, accept }): Promise<OtherForm> => {
    try {
      const reference = { kind: 'tag', tag } as const;
      // HEAD first: some upstreams count every manifest that they send.
      const head = await client.manifestHead(name, reference, { accept });
      if (head.kind === 'not-found') return NONE;
      const headForm = head.mediaType === undefined ? null : formOfMediaType(head.mediaType);
      if ((headForm !== null && headForm !== form) || (head.digest !== undefined && known.has(head.digest)))
        return NONE;
      const found = await client.manifest(name, reference, { accept });
      if (found.kind === 'not-found' || known.has(found.digest)) return NONE;
      return formOfContent(found.bytes) === form ? { state: 'found', manifest: toSource(found) } : NONE;
    } catch (error) {
      if (!(error instanceof OriginError)) throw error;
      return { state: 'unknown', form, error };
    }
  });
}
