/**
 * A client for the read path of another registry (OCI distribution spec 1.1, "Pull", "Listing") over `fetch`.
 *
 * A 404 with the error body of a registry is a {@link NotFound}; every other failure is an {@link OriginError}.
 * Manifests are verified. A blob is a stream that its reader verifies (`blob.ts`).
 */
import { type Clock, SYSTEM_CLOCK } from '../registry/clock.ts';

import { formatRange } from '../http/range.ts';
import { algorithmOf, hexOf, parseDigest } from '../registry/digest.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../registry/media-type.ts';
import { parseTag, type RepositoryName } from '../registry/name.ts';
import type { Reference } from '../registry/reference.ts';
import type { CredentialsProvider } from './auth.ts';
import type { Budget } from './budget.ts';
import { type MissingRule, type RegistryRequest, createSender, type SendRequest } from './caller.ts';
import { type NotFound, OriginError } from './errors.ts';
import { readDescriptors, readTags } from './list-documents.ts';
import { ACCEPT_ANY, bareType, verifyManifest } from './manifest.ts';
import {
  type BlobLocation,
  MANIFEST_MAX,
  type RegistryClient,
  type RemoteBlob,
  type RemoteBlobHead,
  type RemoteDocument,
  type RemoteManifestHead,
  type RemoteSignatures,
} from './registry-client.ts';
import { readSignatures } from './signatures.ts';
import { type Pages, readPages } from './list-pages.ts';
import { DEFAULT_POLICY, DEFAULT_TIMEOUTS, type OriginPolicy, type OriginTimeouts } from './policy.ts';
import {
  type OriginResponse,
  createTransport,
  type Fetch,
  addressOf,
  statusError,
  type Transport,
} from './transport.ts';

/** Options of {@link createRegistryClient}. */
export interface RegistryClientOptions {
  /** `https://host[:port]`, or with a path below which `/v2/` lies. */
  readonly baseUrl: URL;
  readonly userAgent: string;
  /** Sent only after a challenge, and only to the registry and its token service. */
  readonly credentials?: CredentialsProvider;
  readonly fetch?: Fetch;
  readonly timeouts?: Partial<OriginTimeouts>;
  readonly policy?: Partial<OriginPolicy>;
  /** Which 404 means that something is absent. Default: `registry`, one with the error body of a registry. */
  readonly missing?: MissingRule;
  readonly clock?: Clock;
}

/** Makes a client. It caches tokens: make one for each registry and share it. */
export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const baseUrl = options.baseUrl;
  const transport = createTransport({
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    policy: { ...DEFAULT_POLICY, ...options.policy },
    timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
    clock: options.clock ?? SYSTEM_CLOCK,
  });
  const send = createSender(transport, options);
  const known: ServerFacts = {};
  const within = (budget: Budget): RegistryClient =>
    clientOver({
      baseUrl,
      transport,
      known,
      budget,
      within,
      call: (request, use) => send({ ...request, budget }, use),
    });
  return clientOver({ baseUrl, transport, known, within, call: send });
}

/** What is known about the registry; shared by a client and those made from it. */
interface ServerFacts {
  hasReferrersApi?: boolean;
}

function clientOver({
  baseUrl,
  transport,
  known,
  budget,
  within,
  call,
}: {
  readonly baseUrl: URL;
  readonly transport: Transport;
  readonly known: ServerFacts;
  readonly budget?: Budget;
  readonly within: RegistryClient['within'];
  readonly call: SendRequest;
}): RegistryClient {
  const { policy, clock } = transport;

  const below = (path: string): URL => {
    const url = new URL(baseUrl);
    url.pathname = `${baseUrl.pathname.replace(/\/$/, '')}/${path}`;
    return url;
  };
  const urlOf = (name: RepositoryName, rest: string): URL => below(`v2/${name}/${rest}`);
  const scopeOf = (name: RepositoryName): string => `repository:${name}:pull`;

  async function document<T extends object>(
    request: RegistryRequest,
    read: (response: OriginResponse, bytes: Uint8Array) => T,
    most?: number,
  ): Promise<T | NotFound> {
    return call(request, async (response) => {
      if (response.status !== 200) throw await statusError(response, clock.now());
      return read(response, await response.read(most));
    });
  }

  const manifest: RegistryClient['manifest'] = (name, reference, { accept = ACCEPT_ANY, signal } = {}) => {
    const url = urlOf(name, `manifests/${textOf(reference)}`);
    return document(
      { method: 'GET', url, scope: scopeOf(name), headers: { accept: accept.join(', ') }, signal },
      (response, bytes) => ({
        kind: 'manifest',
        ...verifyManifest(bytes, {
          where: addressOf(response.url),
          requested: reference.kind === 'digest' ? reference.digest : undefined,
          claimed: response.headers.get('docker-content-digest'),
          contentType: response.headers.get('content-type'),
        }),
      }),
      MANIFEST_MAX,
    );
  };

  const list = <T>(
    name: RepositoryName,
    path: string,
    accept: string,
    readItems: (bytes: Uint8Array, url: URL) => readonly T[],
    signal: AbortSignal | undefined,
  ): Promise<Pages<T> | NotFound> =>
    readPages(urlOf(name, path), readItems, {
      readPage: (url, read) =>
        document({ method: 'GET', url, scope: scopeOf(name), headers: { accept }, signal }, read),
      maxPages: policy.maxPages,
    });

  return {
    baseUrl,
    policy,
    timeouts: transport.timeouts,
    clock,
    ...(budget !== undefined && { budget }),
    within,
    manifest,

    async ping({ signal } = {}) {
      const url = below('v2/');
      const response = await call({ method: 'GET', url, scope: '', signal }, async (got) => {
        if (got.status !== 200) throw await statusError(got, clock.now());
        await got.discard();
        return { kind: 'pong' as const };
      }).catch((error: unknown) => {
        if (error instanceof OriginError && error.status === 404) return { kind: 'not-found' as const };
        throw error;
      });
      if (response.kind === 'not-found')
        throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(url)} answered 404: ${baseUrl.host} is not a registry`, {
          status: 404,
        });
    },

    async manifestHead(name, reference, { accept = ACCEPT_ANY, signal } = {}) {
      const url = urlOf(name, `manifests/${textOf(reference)}`);
      return call<RemoteManifestHead>(
        { method: 'HEAD', url, scope: scopeOf(name), headers: { accept: accept.join(', ') }, signal },
        async (response) => {
          if (response.status !== 200) throw await statusError(response, clock.now());
          await response.discard();
          const claimed = response.headers.get('docker-content-digest');
          const digest = claimed === null ? undefined : (parseDigest(claimed) ?? undefined);
          if (
            reference.kind === 'digest' &&
            digest !== undefined &&
            digest !== reference.digest &&
            algorithmOf(digest) === algorithmOf(reference.digest)
          ) {
            throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(response.url)} reports the digest ${digest}`);
          }
          return {
            kind: 'manifest-head',
            digest,
            mediaType: bareType(response.headers.get('content-type')),
            size: lengthOf(response.headers),
          };
        },
      );
    },

    async blob(name, digest, { range, signal } = {}) {
      const headers = range === undefined ? {} : { range: formatRange(range) };
      return call<RemoteBlob>(
        { method: 'GET', url: urlOf(name, `blobs/${digest}`), scope: scopeOf(name), headers, signal },
        async (response) => {
          const { status, body, url, redirectedAway } = response;
          if (status === 200 && body !== null)
            return { kind: 'blob', size: lengthOf(response.headers), offset: 0, url, redirectedAway, body };
          if (status !== 206 || range === undefined || body === null) throw await statusError(response, clock.now());
          const part = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
          if (part === null || Number(part[1]) !== range.offset) {
            await response.discard();
            throw new OriginError(
              'ORIGIN_PROTOCOL',
              `${addressOf(response.url)} sent another range than the requested one`,
              {
                status,
              },
            );
          }
          return {
            kind: 'blob',
            size: part[2] === '*' ? undefined : Number(part[2]),
            offset: range.offset,
            url,
            redirectedAway,
            body,
          };
        },
      );
    },

    async blobHead(name, digest, { signal } = {}) {
      return call<RemoteBlobHead>(
        { method: 'HEAD', url: urlOf(name, `blobs/${digest}`), scope: scopeOf(name), signal },
        async (response) => {
          if (response.status !== 200) throw await statusError(response, clock.now());
          await response.discard();
          return { kind: 'blob-head', size: lengthOf(response.headers) };
        },
      );
    },

    async blobLocation(name, digest, { signal } = {}) {
      const url = urlOf(name, `blobs/${digest}`);
      return call<BlobLocation>(
        { method: 'GET', url, scope: scopeOf(name), signal, redirects: 'report' },
        async (response) => {
          if (response.location !== undefined) return { kind: 'blob-location', url: response.location };
          if (response.status !== 200) throw await statusError(response, clock.now());
          await response.discard();
          return { kind: 'blob-location', url: null };
        },
      );
    },

    signatures: (name, subject, { signal } = {}) =>
      document(
        {
          method: 'GET',
          url: below(`extensions/v2/${name}/signatures/${subject}`),
          scope: scopeOf(name),
          headers: { accept: MEDIA_TYPES.json },
          signal,
        },
        (response, bytes): RemoteSignatures => ({
          kind: 'signatures',
          signatures: readSignatures(bytes, subject, addressOf(response.url)),
        }),
      ),

    document: (path, query, { signal } = {}) => {
      const url = below(path);
      url.search = query.toString();
      return document(
        { method: 'GET', url, scope: '', headers: { accept: MEDIA_TYPES.json }, signal },
        (_, bytes): RemoteDocument => ({ kind: 'document', bytes }),
      );
    },

    async tags(name, { signal } = {}) {
      const found = await list(name, 'tags/list', MEDIA_TYPES.json, readTags, signal);
      if ('kind' in found) return found;
      const { items, warning } = found;
      return { kind: 'tags', tags: [...new Set(items)], ...(warning !== undefined && { warning }) };
    },

    hasReferrersApi: () => known.hasReferrersApi,

    async referrers(name, subject, { signal, tags } = {}) {
      const accept = MEDIA_TYPE_OF_FORM['oci-index'];
      if (known.hasReferrersApi !== false) {
        const found = await list(name, `referrers/${subject}`, accept, (bytes) => readDescriptors(bytes), signal).catch(
          (error: unknown) => {
            if (
              error instanceof OriginError &&
              error.code === 'ORIGIN_PROTOCOL' &&
              error.status !== undefined &&
              error.status >= 400 &&
              // A registry that has the API fails here: its list is unknown, not empty.
              known.hasReferrersApi !== true
            )
              return null;
            throw error;
          },
        );
        if (found !== null && !('kind' in found)) {
          known.hasReferrersApi = true;
          return found.items;
        }
        // A registry with the API answers 200 with an empty list (OCI distribution spec, "Listing Referrers").
        if (known.hasReferrersApi === true) return [];
        known.hasReferrersApi = false;
      }
      const tag = parseTag(`${algorithmOf(subject)}-${hexOf(subject)}`.slice(0, 128));
      const fallback =
        tag === null || tags?.has(tag) === false
          ? null
          : await manifest(name, { kind: 'tag', tag }, { accept: [accept], signal });
      return fallback?.kind === 'manifest' && fallback.mediaType === accept ? readDescriptors(fallback.bytes) : [];
    },
  };
}

function textOf(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest;
}

function lengthOf(headers: OriginResponse['headers']): number | undefined {
  const text = headers.get('content-length');
  return text === null || headers.has('content-encoding') || !/^\d{1,15}$/.test(text) ? undefined : Number(text);
}
