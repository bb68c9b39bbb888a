/**
 * A client for another registry's read path (OCI distribution spec 1.1, "Pull", "Listing"), over `fetch`: in Node and in the Worker alike.
 *
 * What the upstream does not have is a {@link NotFound}; whatever else keeps an answer away is an {@link OriginError}. Manifests come verified; a blob is a stream, and
 * whoever reads it verifies it (`blob.ts`).
 */
import { parseLinks } from '../http/link.ts';
import type { Descriptor } from '../registry/descriptor.ts';
import { type Digest, hexOf, algorithmOf, parseDigest } from '../registry/digest.ts';
import { MEDIA_TYPE_OF_FORM } from '../registry/media-type.ts';
import { parseTag, type RepositoryName, type Tag } from '../registry/name.ts';
import type { Reference } from '../registry/reference.ts';
import type { CredentialsProvider } from './auth.ts';
import { type Call, createCaller } from './caller.ts';
import { type NotFound, OriginError } from './errors.ts';
import { readDescriptors, readTags } from './list-documents.ts';
import { ACCEPT_ANY, bareType, type VerifiedManifest, verifyManifest } from './manifest.ts';
import { DEFAULT_POLICY, DEFAULT_TIMEOUTS, nextPage, type OriginPolicy, type OriginTimeouts } from './policy.ts';
import {
  type Answer,
  type Clock,
  createTransport,
  type Fetch,
  nameOf,
  statusError,
  SYSTEM_CLOCK,
} from './transport.ts';

/** How to talk to a registry. */
export interface RegistryClientOptions {
  /** `https://host[:port]`, or with a path below which `/v2/` lies. */
  readonly baseUrl: URL;
  readonly userAgent: string;
  /** Shown only when the registry asks, and only to it and its token service. */
  readonly credentials?: CredentialsProvider;
  readonly fetch?: Fetch;
  readonly timeouts?: Partial<OriginTimeouts>;
  readonly policy?: Partial<OriginPolicy>;
  readonly clock?: Clock;
}

/** A manifest that an upstream gave. */
export interface RemoteManifest extends VerifiedManifest {
  readonly kind: 'manifest';
}

/** What an upstream says of a manifest without sending it; nothing of it is verified. */
export interface RemoteManifestHead {
  readonly kind: 'manifest-head';
  /** Undefined where the upstream does not tell: only GET can find out. */
  readonly digest: Digest | undefined;
  readonly mediaType: string | undefined;
  readonly size: number | undefined;
}

/** A blob on its way. Its body must be read or cancelled; nothing of it is verified. */
export interface RemoteBlob {
  readonly kind: 'blob';
  /** Bytes of the whole blob; undefined where the upstream does not tell. */
  readonly size: number | undefined;
  /** Where `body` begins in it: 0, whatever was asked, if the upstream knows no ranges. */
  readonly offset: number;
  /** Who sends it, and whether that is another host than the registry: where it redirected to. */
  readonly url: URL;
  readonly elsewhere: boolean;
  readonly body: ReadableStream<Uint8Array>;
}

/** What an upstream says of a blob without sending it. */
export interface RemoteBlobHead {
  readonly kind: 'blob-head';
  readonly size: number | undefined;
}

/** All tags of a repository, in the upstream's order. */
export interface RemoteTags {
  readonly kind: 'tags';
  readonly tags: readonly Tag[];
}

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Another registry. Every method asks again where that may help, and throws {@link OriginError}, or the signal's reason. */
export interface RegistryClient {
  readonly baseUrl: URL;
  readonly policy: OriginPolicy;
  readonly timeouts: OriginTimeouts;
  readonly clock: Clock;
  /** Whether there is a registry that lets us in: `GET /v2/`. */
  ping(options?: CallOptions): Promise<void>;
  /** `accept` as in {@link ACCEPT_ANY}, which it is unless told otherwise. */
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
  /** Follows the pages; what is no tag by the grammar is left out. */
  tags(name: RepositoryName, options?: CallOptions): Promise<RemoteTags | NotFound>;
  /** What refers to a manifest: by the referrers API, or where the registry has none by the fallback tag. */
  referrers(name: RepositoryName, subject: Digest, options?: CallOptions): Promise<readonly Descriptor[]>;
}

/** Makes a client. It keeps tokens and connections' worth of nothing else: make one a registry, and share it. */
export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const baseUrl = options.baseUrl;
  const transport = createTransport({
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    policy: { ...DEFAULT_POLICY, ...options.policy },
    timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
    clock: options.clock ?? SYSTEM_CLOCK,
  });
  const { policy, clock } = transport;
  const call = createCaller(transport, options);
  let knowsReferrers: boolean | undefined;

  const urlOf = (name: RepositoryName, rest: string): URL => {
    const url = new URL(baseUrl);
    url.pathname = `${baseUrl.pathname.replace(/\/$/, '')}/v2/${name}/${rest}`;
    return url;
  };
  const scopeOf = (name: RepositoryName): string => `repository:${name}:pull`;

  async function document<T extends object>(
    question: Call,
    read: (answer: Answer, bytes: Uint8Array) => T,
  ): Promise<T | NotFound> {
    return call(question, async (answer) => {
      if (answer.status !== 200) throw await statusError(answer, clock.now());
      return read(answer, await answer.read());
    });
  }

  const manifest: RegistryClient['manifest'] = (name, reference, { accept = ACCEPT_ANY, signal } = {}) => {
    const url = urlOf(name, `manifests/${textOf(reference)}`);
    return document(
      { method: 'GET', url, scope: scopeOf(name), headers: { accept: accept.join(', ') }, signal },
      (answer, bytes) => ({
        kind: 'manifest',
        ...verifyManifest(bytes, {
          where: nameOf(answer.url),
          asked: reference.kind === 'digest' ? reference.digest : undefined,
          told: answer.headers.get('docker-content-digest'),
          contentType: answer.headers.get('content-type'),
        }),
      }),
    );
  };

  async function pages<T>(
    first: URL,
    name: RepositoryName,
    headers: Readonly<Record<string, string>>,
    read: (bytes: Uint8Array, url: URL) => readonly T[],
    signal: AbortSignal | undefined,
  ): Promise<readonly T[] | NotFound> {
    const found: T[] = [];
    const seen = new Set<string>();
    for (let here = first; ;) {
      seen.add(here.href);
      const page: { readonly items: readonly T[]; readonly next: string | undefined } | NotFound = await document(
        { method: 'GET', url: here, scope: scopeOf(name), headers, signal },
        (answer, bytes) => ({
          items: read(bytes, answer.url),
          next: parseLinks(answer.headers.get('link') ?? '').find(({ rel }) => rel === 'next')?.target,
        }),
      );
      if ('kind' in page) return page;
      for (const item of page.items) found.push(item);
      if (page.next === undefined) break;
      const next = nextPage(here, page.next);
      if (next === null) throw new OriginError('ORIGIN_POLICY', `${nameOf(here)} continues its list on another host`);
      // Pulp 3 links on from a full last page, to an empty one: that ends. What comes back to a page does not.
      if (seen.has(next.href)) throw new OriginError('ORIGIN_PROTOCOL', `${nameOf(here)} lists in circles`);
      if (seen.size >= policy.maxPages)
        throw new OriginError('ORIGIN_PROTOCOL', `${nameOf(here)} lists more than ${String(policy.maxPages)} pages`);
      here = next;
    }
    return found;
  }

  return {
    baseUrl,
    policy,
    timeouts: transport.timeouts,
    clock,
    manifest,

    async ping({ signal } = {}) {
      const url = new URL(baseUrl);
      url.pathname = `${baseUrl.pathname.replace(/\/$/, '')}/v2/`;
      const answer = await call({ method: 'GET', url, scope: '', signal }, async (got) => {
        if (got.status !== 200) throw await statusError(got, clock.now());
        await got.discard();
        return { kind: 'pong' as const };
      });
      if (answer.kind === 'not-found')
        throw new OriginError('ORIGIN_PROTOCOL', `${nameOf(url)} is not there: ${baseUrl.host} is no registry`, {
          status: 404,
        });
    },

    async manifestHead(name, reference, { accept = ACCEPT_ANY, signal } = {}) {
      const url = urlOf(name, `manifests/${textOf(reference)}`);
      return call<RemoteManifestHead>(
        { method: 'HEAD', url, scope: scopeOf(name), headers: { accept: accept.join(', ') }, signal },
        async (answer) => {
          if (answer.status !== 200) throw await statusError(answer, clock.now());
          await answer.discard();
          const told = answer.headers.get('docker-content-digest');
          const digest = told === null ? undefined : (parseDigest(told) ?? undefined);
          if (
            reference.kind === 'digest' &&
            digest !== undefined &&
            digest !== reference.digest &&
            algorithmOf(digest) === algorithmOf(reference.digest)
          ) {
            throw new OriginError('ORIGIN_PROTOCOL', `${nameOf(answer.url)} says that it is ${digest}`);
          }
          return {
            kind: 'manifest-head',
            digest,
            mediaType: bareType(answer.headers.get('content-type')),
            size: lengthOf(answer.headers),
          };
        },
      );
    },

    async blob(name, digest, { range, signal } = {}) {
      const headers =
        range === undefined
          ? {}
          : {
              range: `bytes=${String(range.offset)}-${range.length === undefined ? '' : String(range.offset + range.length - 1)}`,
            };
      return call<RemoteBlob>(
        { method: 'GET', url: urlOf(name, `blobs/${digest}`), scope: scopeOf(name), headers, signal },
        async (answer) => {
          const { status, body, url, elsewhere } = answer;
          if (status === 200 && body !== null)
            return { kind: 'blob', size: lengthOf(answer.headers), offset: 0, url, elsewhere, body };
          if (status !== 206 || range === undefined || body === null) throw await statusError(answer, clock.now());
          const part = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.headers.get('content-range') ?? '');
          if (part === null || Number(part[1]) !== range.offset) {
            await answer.discard();
            throw new OriginError('ORIGIN_PROTOCOL', `${nameOf(answer.url)} sent another part than it was asked for`, {
              status,
            });
          }
          return {
            kind: 'blob',
            size: part[2] === '*' ? undefined : Number(part[2]),
            offset: range.offset,
            url,
            elsewhere,
            body,
          };
        },
      );
    },

    async blobHead(name, digest, { signal } = {}) {
      return call<RemoteBlobHead>(
        { method: 'HEAD', url: urlOf(name, `blobs/${digest}`), scope: scopeOf(name), signal },
        async (answer) => {
          if (answer.status !== 200) throw await statusError(answer, clock.now());
          await answer.discard();
          return { kind: 'blob-head', size: lengthOf(answer.headers) };
        },
      );
    },

    async tags(name, { signal } = {}) {
      const found = await pages(urlOf(name, 'tags/list'), name, { accept: 'application/json' }, readTags, signal);
      return 'kind' in found ? found : { kind: 'tags', tags: [...new Set(found)] };
    },

    async referrers(name, subject, { signal } = {}) {
      const accept = { accept: MEDIA_TYPE_OF_FORM['oci-index'] };
      if (knowsReferrers !== false) {
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
            error.status >= 400
          )
            return null;
          throw error;
        });
        if (found !== null && !('kind' in found)) {
          knowsReferrers = true;
          return found;
        }
        // A registry with the API answers 200 with an empty list where there is nothing (OCI distribution spec, "Listing Referrers").
        if (knowsReferrers === true) return [];
        knowsReferrers = false;
      }
      const tag = parseTag(`${algorithmOf(subject)}-${hexOf(subject)}`.slice(0, 128));
      const fallback =
        tag === null
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

function lengthOf(headers: Answer['headers']): number | undefined {
  const text = headers.get('content-length');
  return text === null || headers.has('content-encoding') || !/^\d{1,15}$/.test(text) ? undefined : Number(text);
}
