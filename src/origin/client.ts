/**
 * A client for the read path of another registry (OCI distribution spec 1.1, "Pull", "Listing") over `fetch`.
 *
 * A 404 with the error body of a registry is a {@link NotFound}; every other failure is an {@link OriginError}.
 * Manifests are verified. A blob is a stream that its reader verifies (`blob.ts`).
 */
import { type Clock, SYSTEM_CLOCK } from '../registry/clock.ts';
import { parseLinks } from '../http/link.ts';
import { formatRange } from '../http/range.ts';
import type { Descriptor } from '../registry/descriptor.ts';
import { algorithmOf, type Digest, hexOf, parseDigest } from '../registry/digest.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../registry/media-type.ts';
import { parseTag, type RepositoryName, type Tag } from '../registry/name.ts';
import type { Reference } from '../registry/reference.ts';
import type { CredentialsProvider } from './auth.ts';
import type { Budget } from './budget.ts';
import { type MissingRule, type RegistryRequest, createSender, type SendRequest } from './caller.ts';
import { type NotFound, OriginError } from './errors.ts';
import { readDescriptors, readTags } from './list-documents.ts';
import { ACCEPT_ANY, bareType, type VerifiedManifest, verifyManifest } from './manifest.ts';
import { type AtomicSignature, readSignatures } from './signatures.ts';
import { DEFAULT_POLICY, DEFAULT_TIMEOUTS, nextPage, type OriginPolicy, type OriginTimeouts } from './policy.ts';
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

/** A manifest from an upstream. */
export interface RemoteManifest extends VerifiedManifest {
  readonly kind: 'manifest';
}

/** The headers of a manifest; not verified. */
export interface RemoteManifestHead {
  readonly kind: 'manifest-head';
  /** Undefined if the upstream sends no `Docker-Content-Digest`: only GET reveals the digest. */
  readonly digest: Digest | undefined;
  readonly mediaType: string | undefined;
  readonly size: number | undefined;
}

/** A blob response. Its body must be read or cancelled; it is not verified. */
export interface RemoteBlob {
  readonly kind: 'blob';
  /** Bytes of the whole blob; undefined if the upstream does not report it. */
  readonly size: number | undefined;
  /** Where `body` begins in the blob: always 0 if the upstream does not support ranges. */
  readonly offset: number;
  /** The address of the response, and whether a redirect led to another origin. */
  readonly url: URL;
  readonly redirectedAway: boolean;
  readonly body: ReadableStream<Uint8Array>;
}

/** The headers of a blob. */
export interface RemoteBlobHead {
  readonly kind: 'blob-head';
  readonly size: number | undefined;
}

/** Where a registry redirects to for a blob; null if it sends the blob itself. */
export interface BlobLocation {
  readonly kind: 'blob-location';
  readonly url: URL | null;
}

/** The signatures of a manifest that the registry has. */
export interface RemoteSignatures {
  readonly kind: 'signatures';
  readonly signatures: readonly AtomicSignature[];
}

/** A document that is no manifest. */
export interface RemoteDocument {
  readonly kind: 'document';
  readonly bytes: Uint8Array;
}

/** All tags of a repository, in the upstream's order. */
export interface RemoteTags {
  readonly kind: 'tags';
  readonly tags: readonly Tag[];
  /** The `Warning` header (RFC 7234, section 5.5) of a page: the list may be out of date or incomplete. */
  readonly warning?: string;
}

/** Bytes of a manifest: the limit of distribution and of containers/image (`internal/iolimits`). */
export const MANIFEST_MAX = 4 * 1024 * 1024;

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Another registry. Every method retries by the policy and throws {@link OriginError}, or the signal's reason. */
export interface RegistryClient {
  readonly baseUrl: URL;
  readonly policy: OriginPolicy;
  readonly timeouts: OriginTimeouts;
  readonly clock: Clock;
  /** Counts what this client does; absent: no limits but those of the policy. */
  readonly budget?: Budget;
  /** The same client within a budget. */
  within(budget: Budget): RegistryClient;
  /** Checks that the registry answers `GET /v2/` and accepts the credentials. */
  ping(options?: CallOptions): Promise<void>;
  /** `accept` defaults to {@link ACCEPT_ANY}. */
  manifest(
    name: RepositoryName,
    reference: Reference,
    options?: CallOptions & { readonly accept?: readonly string[] },
  ): Promise<RemoteManifest | NotFound>;
  manifestHead(
    name: RepositoryName,
    reference: Reference,
    options?: CallOptions & { readonly accept?: readonly string[] },
  ): Promise<RemoteManifestHead | NotFound>;
  /** `range`: from `offset`, for `length` bytes or to the end. */
  blob(
    name: RepositoryName,
    digest: Digest,
    options?: CallOptions & { readonly range?: { readonly offset: number; readonly length?: number } },
  ): Promise<RemoteBlob | NotFound>;
  blobHead(name: RepositoryName, digest: Digest, options?: CallOptions): Promise<RemoteBlobHead | NotFound>;
  /** Costs no request to where the registry redirects to. */
  blobLocation(name: RepositoryName, digest: Digest, options?: CallOptions): Promise<BlobLocation | NotFound>;
  /** Follows the pages. Entries that are not valid tags are left out. */
  tags(name: RepositoryName, options?: CallOptions): Promise<RemoteTags | NotFound>;
  /**
   * The referrers of a manifest: by the referrers API, or by the fallback tag where the registry has no such API.
   * `tags`: all tags of the repository, where they are known: a fallback tag that is not among them is not requested.
   */
  referrers(
    name: RepositoryName,
    subject: Digest,
    options?: CallOptions & { readonly tags?: ReadonlySet<Tag> },
  ): Promise<readonly Descriptor[]>;
  /** Whether the registry has the referrers API; undefined before it was asked. */
  hasReferrersApi(): boolean | undefined;
  /** The atomic signatures of a manifest, by the signature extension (`signatures.ts`). */
  signatures(name: RepositoryName, subject: Digest, options?: CallOptions): Promise<RemoteSignatures | NotFound>;
  /** A document at a path below the registry's address, such as `index/static`. */
  document(path: string, query: URLSearchParams, options?: CallOptions): Promise<RemoteDocument | NotFound>;
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

  async function pages<T>(
    first: URL,
    name: RepositoryName,
    headers: Readonly<Record<string, string>>,
    read: (bytes: Uint8Array, url: URL) => readonly T[],
    signal: AbortSignal | undefined,
    onWarning: (warning: string) => void = () => undefined,
  ): Promise<readonly T[] | NotFound> {
    const found: T[] = [];
    const seen = new Set<string>();
    for (let here = first; ;) {
      seen.add(here.href);
      const page: { readonly items: readonly T[]; readonly next: string | undefined } | NotFound = await document(
        { method: 'GET', url: here, scope: scopeOf(name), headers, signal },
        (response, bytes) => {
          const warning = response.headers.get('warning');
          if (warning !== null) onWarning(warning);
          return {
            items: read(bytes, response.url),
            next: parseLinks(response.headers.get('link') ?? '').find(({ rel }) => rel === 'next')?.target,
          };
        },
      );
      if ('kind' in page) return page;
      for (const item of page.items) found.push(item);
      if (page.next === undefined) break;
      const next = nextPage(here, page.next);
      if (next === null)
        throw new OriginError('ORIGIN_POLICY', `${addressOf(here)} continues its list on another host`);
      // Pulp 3 links from a full last page to an empty one, which ends. A link back to an earlier page does not end.
      if (seen.has(next.href))
        throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(here)} links its list pages in a circle`);
      if (seen.size >= policy.maxPages)
        throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(here)} lists more than ${String(policy.maxPages)} pages`);
      here = next;
    }
    return found;
  }

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
      let warning: string | undefined;
      const found = await pages(
        urlOf(name, 'tags/list'),
        name,
        { accept: 'application/json' },
        readTags,
        signal,
        (given) => {
          warning = given;
        },
      );
      if ('kind' in found) return found;
      return { kind: 'tags', tags: [...new Set(found)], ...(warning !== undefined && { warning }) };
    },

    hasReferrersApi: () => known.hasReferrersApi,

    async referrers(name, subject, { signal, tags } = {}) {
      const accept = { accept: MEDIA_TYPE_OF_FORM['oci-index'] };
      if (known.hasReferrersApi !== false) {
        const found = await pages(
          urlOf(name, `referrers/${subject}`),
          name,
          accept,
          (bytes) => readDescriptors(bytes),
          signal,
        ).catch((error: unknown) => {
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
        });
        if (found !== null && !('kind' in found)) {
          known.hasReferrersApi = true;
          return found;
        }
        // A registry with the API answers 200 with an empty list (OCI distribution spec, "Listing Referrers").
        if (known.hasReferrersApi === true) return [];
        known.hasReferrersApi = false;
      }
      const tag = parseTag(`${algorithmOf(subject)}-${hexOf(subject)}`.slice(0, 128));
      const fallback =
        tag === null || tags?.has(tag) === false
          ? null
          : await manifest(name, { kind: 'tag', tag }, { accept: [MEDIA_TYPE_OF_FORM['oci-index']], signal });
      return fallback?.kind === 'manifest' && fallback.mediaType === MEDIA_TYPE_OF_FORM['oci-index']
        ? readDescriptors(fallback.bytes)
        : [];
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
