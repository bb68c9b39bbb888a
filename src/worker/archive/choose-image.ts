/** Finds the image for an archive: of a list, the one for the requested platform. */
import { isForeign, isImage } from '../../manifest/layer-types.ts';
import { type ImageManifest, ManifestError, readImageManifest, readListManifest } from '../../manifest/read.ts';
import { membersOfConfig, platformOfMembers } from '../../manifest/config-members.ts';
import type { MediaRange } from '../../http/accept.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import type { Digest } from '../../registry/digest.ts';
import { formOfMediaType, isListForm, MEDIA_TYPE_OF_FORM } from '../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { DEFAULT_PLATFORM, formatPlatform, type Platform } from '../../registry/platform.ts';
import { refused, type Refused } from '../gateway/answer.ts';
import { WHOLE_REPRESENTATION } from '../gateway/edge-context.ts';
import type { RegistryRequest, RequestOptions } from '../gateway/registry-request.ts';
import type { RegistryResponse } from '../gateway/registry-response.ts';
import { CorruptRecordError } from '../../registry/unreadable-record.ts';

/** An image with the bytes of its config. */
export interface ChosenImage {
  readonly kind: 'chosen';
  /** Digest of its manifest. */
  readonly digest: string;
  readonly image: ImageManifest;
  readonly config: Uint8Array;
}

/** Sends a request to the registry, with the caller's access. */
export type FetchFromRegistry = (request: RegistryRequest, options: RequestOptions) => Promise<RegistryResponse>;

/** What is to be archived. `platform` null: any, if there is one only; otherwise the default platform. */
export interface WantedImage {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly platform: Platform | null;
}

/** Lists before images, and Docker's forms before OCI's: their layers are the gzip copies, where there are copies. */
const ACCEPT: readonly MediaRange[] = (['docker-list', 'oci-index', 'docker-schema2', 'oci-manifest'] as const).map(
  (form, at) => ({ type: MEDIA_TYPE_OF_FORM[form], q: 1 - at / 10 }),
);
const ANY: readonly MediaRange[] = [{ type: '*/*', q: 1 }];

/** A client that cannot unpack zstd: it gets the gzip copies, where there are any. */
const WITHOUT_ZSTD = 'docker/20.10';

/** Lists may name lists; none is deeper in practice. */
const DEPTH_MAX = 4;

/** Largest config that is read, in bytes: the limit of registries and clients. */
const CONFIG_MAX = 8 * 1024 * 1024;

/** Finds the image, or the reason why there is none. Throws {@link CorruptRecordError}. */
export async function chooseImage(wanted: WantedImage, fetch: FetchFromRegistry): Promise<ChosenImage | Refused> {
  const { name, tag } = wanted;
  const byTag: RegistryRequest = { kind: 'manifest', name, reference: { kind: 'tag', tag } };
  let response = await fetch(byTag, { ...WHOLE_REPRESENTATION, accept: ACCEPT, userAgent: WITHOUT_ZSTD });
  // Docker 23.0 and newer and podman load layers in zstd.
  if (response.refusal?.reason === 'zstd-layers')
    response = await fetch(byTag, { ...WHOLE_REPRESENTATION, accept: ACCEPT });
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    if (response.refusal !== null) return response.refusal;
    const bytes = await readWhole(response);
    const form = formOfMediaType(response.headers['content-type'] ?? '');
    if (form === null) return noArchive('The tag has a manifest of an unknown format');
    if (!isListForm(form))
      return imageOf(bytes, response.headers['docker-content-digest'] ?? '', depth === 0, wanted, fetch);
    const child = childFor(
      parse(() => readListManifest({ bytes })),
      wanted,
    );
    if ('kind' in child) return child;
    response = await fetch(
      { kind: 'manifest', name, reference: { kind: 'digest', digest: child.digest } },
      { ...WHOLE_REPRESENTATION, accept: ANY },
    );
  }
  return noArchive('Its lists are nested too deeply');
}

async function imageOf(
  bytes: Uint8Array,
  digest: string,
  isAlone: boolean,
  { name, tag, platform }: WantedImage,
  fetch: FetchFromRegistry,
): Promise<ChosenImage | Refused> {
  const image = parse(() => readImageManifest({ bytes }));
  if (!isImage(image)) return noArchive('The tag is an artifact, not a container image');
  if (image.config.size > CONFIG_MAX) return noArchive('Its config is too large');
  const blob = (of: Digest, head: boolean): Promise<RegistryResponse> =>
    fetch({ kind: 'blob', name, digest: of }, { ...WHOLE_REPRESENTATION, head, streamed: true });
  for (const { digest: layer } of image.layers.filter(isForeign)) {
    if ((await blob(layer, true)).refusal !== null)
      return noArchive('The image has a foreign layer, whose bytes this registry does not have');
  }
  const found = await blob(image.config.digest, false);
  if (found.refusal !== null) return found.refusal;
  const config = await readWhole(found);
  const own = platformOfMembers(membersOfConfig(config));
  if (isAlone && platform !== null && own !== null && !fits(own, platform))
    return platformUnknown({ name, tag, platform }, [own]);
  return { kind: 'chosen', digest, image, config };
}

function childFor(children: readonly Descriptor[], wanted: WantedImage): Descriptor | Refused {
  const images = children.filter(
    ({ platform, annotations }) =>
      platform?.os !== 'unknown' && annotations?.['vnd.docker.reference.type'] === undefined,
  );
  const [only] = images;
  if (only !== undefined && images.length === 1 && (wanted.platform === null || only.platform === undefined))
    return only;
  const platform = wanted.platform ?? DEFAULT_PLATFORM;
  const fitting = images.filter((child) => child.platform !== undefined && fits(child.platform, platform));
  // The lowest of several variants first, as for old engines: it runs on all of them.
  const [best] = fitting.toSorted((a, b) => (variantOf(a.platform) < variantOf(b.platform) ? -1 : 1));
  return (
    best ??
    platformUnknown(
      { ...wanted, platform },
      images.flatMap((child) => child.platform ?? []),
    )
  );
}

function platformUnknown(
  { name, tag, platform }: { readonly name: RepositoryName; readonly tag: Tag; readonly platform: Platform },
  platforms: readonly Platform[],
): Refused {
  const available = [...new Set(platforms.map(formatPlatform))];
  const rest = available.length === 0 ? '' : ` It has images for ${available.join(', ')}.`;
  return refused('platform-unknown', {
    message: `${name}:${tag} has no image for the platform ${formatPlatform(platform)}.${rest}`,
    detail: { name, tag, available },
  });
}

function noArchive(why: string): Refused {
  return refused('archive-impossible', { message: `${why}, so no archive can be made of it.` });
}

/** Whether an image runs where `wanted` says. A platform without a variant stands for all of them. */
function fits(has: Platform, wanted: Platform): boolean {
  return (
    has.os === wanted.os &&
    has.architecture === wanted.architecture &&
    (wanted.variant === undefined || variantOf(has) === variantOf(wanted)) &&
    (wanted['os.version'] === undefined || has['os.version'] === wanted['os.version'])
  );
}

/** The variant. That of arm64 is v8 where none is named (containerd, platforms.Normalize). */
function variantOf(platform: Platform | undefined): string {
  return platform?.variant ?? (platform?.architecture === 'arm64' ? 'v8' : '');
}

async function readWhole({ body }: RegistryResponse): Promise<Uint8Array> {
  return body instanceof Uint8Array ? body : new Uint8Array(await new Response(body).arrayBuffer());
}

/** What storage and upstreams give was read before, so a manifest that cannot be read is damaged. */
function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    throw new CorruptRecordError(error.message, { cause: error });
  }
}
