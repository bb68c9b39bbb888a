/** `docker://[HOST[:PORT]/]NAME[:TAG|@DIGEST]`: another registry, over its API. */
import { openBlob } from '../../../origin/blob.ts';
import { OriginError } from '../../../origin/errors.ts';
import { ACCEPT_SCHEMA1 } from '../../../origin/manifest.ts';
import type { Descriptor } from '../../../registry/descriptor.ts';
import { algorithmOf, type Digest, hexOf } from '../../../registry/digest.ts';
import { formOfMediaType } from '../../../registry/media-type.ts';
import { parseTag, type RepositoryName, type Tag } from '../../../registry/name.ts';
import type { Reference } from '../../../registry/reference.ts';
import { CommandError } from '../../cli/errors.ts';
import { formOfContent } from '../../../manifest/links.ts';
import { originFailure } from './origin-failure.ts';
import { openRegistryAccess, type RegistryAccess, type RemoteAccess } from './access.ts';
import { parseRemoteImage, type RemoteRepository } from './remote-name.ts';
import { freeNetworkBuffers } from '../../streams/network-buffers.ts';
import {
  type Companion,
  COSIGN_SUFFIXES,
  isFallbackTag,
  type SourceBlob,
  type ImageSource,
  type SourceManifest,
} from '../../../bucket/image-source.ts';
import { type SourceRepository, type SourceOptions, type SourceTags } from '../source.ts';

/** Opens an image of another registry. Throws {@link CommandError}. */
export async function openRegistryImage(where: string, options: SourceOptions): Promise<ImageSource> {
  const remote = parseRemoteImage(where);
  const access = openRegistryAccess(options);
  try {
    const reader = createReader(await access.to(remote), remote.name, options.signal);
    const image = await reader.open(remote.reference, false);
    if (image !== null) return { ...image, close: () => access.close() };
    const { reference } = remote;
    throw new CommandError(
      `${remote.host} has no ${remote.name}${reference.kind === 'tag' ? `:${reference.tag}` : `@${reference.digest}`}`,
      {
        hint: 'Check the name and the tag.',
      },
    );
  } catch (error) {
    await access.close();
    throw error;
  }
}

/** Opens a repository of another registry. It does not close `access`, which is shared. Throws {@link CommandError}. */
export async function openRegistryRepository(
  remote: RemoteRepository,
  access: RegistryAccess,
  signal?: AbortSignal,
): Promise<SourceRepository> {
  const way = await access.to(remote);
  const reader = createReader(way, remote.name, signal);
  let first: Promise<readonly Descriptor[]> | undefined;
  return {
    title: `${remote.host}/${remote.name}`,
    name: remote.name,
    tags: () => reader.tags(),
    digests: async (tag) => {
      const head = await reader.attempt(() => way.client.manifestHead(remote.name, { kind: 'tag', tag }, { signal }));
      return head.kind === 'not-found' || head.digest === undefined ? null : [head.digest];
    },
    open: (tag, { schema1 }) => reader.open({ kind: 'tag', tag }, schema1),
    referrers: async (subject, tags) => {
      const { client } = way;
      const read = (): Promise<readonly Descriptor[]> =>
        reader.attempt(() => client.referrers(remote.name, subject, { signal, tags }));
      // The first answer shows whether there is an API. Other requests wait for it, so that only one fails.
      const isFirst = first === undefined;
      const mine = isFirst ? read() : first?.catch(() => undefined).then(read);
      first ??= mine;
      const found = (await mine) ?? [];
      return found.length === 0 && client.hasReferrersApi() === false && ![...tags].some(isFallbackTag) ? null : found;
    },
    close: () => Promise.resolve(),
  };
}

/** How registries that have no schema 1 refuse an `Accept` of nothing else. */
const NOT_ACCEPTABLE: ReadonlySet<number | undefined> = new Set([400, 406, 415]);

interface Reader {
  attempt<T>(request: () => Promise<T>): Promise<T>;
  tags(): Promise<SourceTags | null>;
  /** Null if it does not exist. */
  open(reference: Reference, schema1: boolean): Promise<ImageSource | null>;
}

function createReader(way: RemoteAccess, name: RepositoryName, signal: AbortSignal | undefined): Reader {
  const { client } = way;
  let listed: Promise<ReadonlySet<Tag> | null> | undefined;

  async function attempt<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      signal?.throwIfAborted();
      throw originFailure(error, way);
    }
  }

  async function tags(): Promise<SourceTags | null> {
    const found = await attempt(() => client.tags(name, { signal }));
    return found.kind === 'not-found' ? null : found;
  }

  async function manifest(reference: Reference, accept?: readonly string[]): Promise<SourceManifest | null> {
    const found = await attempt(() =>
      client.manifest(name, reference, { signal, ...(accept === undefined ? {} : { accept }) }),
    );
    if (found.kind === 'not-found') return null;
    const { bytes, digest, mediaType } = found;
    return { bytes, digest, ...(mediaType === undefined ? {} : { mediaType }) };
  }

  /**
   * Requests schema 1 alone, as Pulp 2's client does. Registries without one answer 404, that they cannot satisfy
   * `Accept`, or with another form. Any other failure is no proof that there is none.
   */
  async function schema1Of(reference: Reference): Promise<SourceManifest | null> {
    try {
      const found = await client.manifest(name, reference, { signal, accept: ACCEPT_SCHEMA1 });
      if (found.kind === 'not-found') return null;
      const { bytes, digest } = found;
      return formOfContent(bytes) === 'docker-schema1' ? { bytes, digest } : null;
    } catch (error) {
      signal?.throwIfAborted();
      const isRefusal =
        error instanceof OriginError && error.code === 'ORIGIN_PROTOCOL' && NOT_ACCEPTABLE.has(error.status);
      if (isRefusal) return null;
      throw originFailure(error, way);
    }
  }

  async function blob(digest: Digest, own: AbortSignal | undefined): Promise<SourceBlob | null> {
    const found = await attempt(() => openBlob(client, name, digest, { signal: own }));
    if (found.kind === 'not-found') return null;
    async function* chunks(blobChunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        for await (const chunk of blobChunks) {
          freeNetworkBuffers(chunk.length);
          yield chunk;
        }
      } catch (error) {
        own?.throwIfAborted();
        throw originFailure(error, way);
      }
    }
    return { size: found.size, chunks: chunks(found.chunks) };
  }

  async function referrers(subject: Digest): Promise<readonly Descriptor[]> {
    return attempt(() => client.referrers(name, subject, { signal }));
  }

  /** Reads the list of tags once for all manifests of an image; if that is refused, requests each tag. */
  async function companions(subject: Digest): Promise<readonly Companion[]> {
    listed ??= client.tags(name, { signal }).then(
      (found) => new Set(found.kind === 'not-found' ? [] : found.tags),
      (error: unknown) => {
        signal?.throwIfAborted();
        if (error instanceof OriginError && error.code !== 'ORIGIN_UNAVAILABLE' && error.code !== 'ORIGIN_RATE_LIMITED')
          return null;
        throw originFailure(error, way);
      },
    );
    const known = await listed;
    const found: Companion[] = [];
    for (const suffix of COSIGN_SUFFIXES) {
      const tag = parseTag(`${algorithmOf(subject)}-${hexOf(subject)}.${suffix}`);
      if (tag === null || known?.has(tag) === false) continue;
      const image = await open({ kind: 'tag', tag }, false);
      if (image !== null) found.push({ tag, image });
    }
    return found;
  }

  async function open(reference: Reference, schema1: boolean): Promise<ImageSource | null> {
    const first = await manifest(reference);
    if (first === null) return null;
    const isSchema1 =
      formOfMediaType(first.mediaType ?? '') === 'docker-schema1' || formOfContent(first.bytes) === 'docker-schema1';
    const second = schema1 && !isSchema1 ? await schema1Of(reference) : null;
    return {
      roots: second === null ? [first] : [first, second],
      manifest: (digest) => manifest({ kind: 'digest', digest }),
      blob: (digest, { signal: own = signal } = {}) => blob(digest, own),
      referrers,
      companions,
      close: () => Promise.resolve(),
    };
  }

  return { attempt, tags, open };
}
