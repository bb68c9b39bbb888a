/** What a client for another registry's read path offers ({@link RegistryClient}), and what its calls give. */
import type { Clock } from '../registry/clock.ts';
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import type { Reference } from '../registry/reference.ts';
import type { Budget } from './budget.ts';
import type { NotFound } from './errors.ts';
import type { VerifiedManifest } from './manifest.ts';
import type { OriginPolicy, OriginTimeouts } from './policy.ts';
import type { AtomicSignature } from './signatures.ts';

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

/** What every call takes. */
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
