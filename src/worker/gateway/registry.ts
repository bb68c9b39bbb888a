/**
 * The registry: answers requests from storage. It is behind the cache, and all it receives about the caller is in its
 * props.
 */
import { parseAccept } from '../../http/accept.ts';
import { assertNever } from '../../registry/errors.ts';
import { type RealmMismatch, withRealms } from '../../bucket/realm-mark.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { PUBLIC_REALM, realmOf, type RealmName, type RealmTable } from '../../registry/realms.ts';
import { CorruptRecordError, NewerVersionError } from '../../registry/unreadable-record.ts';
import { type ReadStore, StorageError } from '../../registry/store.ts';
import { logFailure } from '../log/event.ts';
import { type Answer, discard, type Redirect, refused, type Refused } from './answer.ts';
import type { RateLimiter } from '../access/login-limit.ts';
import { CLIENT_HEADER } from './canonical-request.ts';
import { parseRegistryUrl, pathOf, type RegistryRequest, type RequestOptions } from './registry-request.ts';
import { answerBlob, answerBlobPresence } from '../endpoints/v2/blob.ts';
import { answerCatalog } from '../endpoints/v2/catalog.ts';
import { answerManifest } from '../endpoints/v2/manifest.ts';
import { repositoryUnknown } from '../endpoints/v2/known-repository.ts';
import { answerReferrers } from '../endpoints/v2/referrers.ts';
import { answerSignatures } from '../endpoints/v2/signatures.ts';
import { answerTagList } from '../endpoints/v2/tag-list.ts';
import { answerV1Images } from '../endpoints/v1-images.ts';
import { answerFronted } from '../ingest/fronted.ts';
import type { AnswerStored } from '../ingest/stored-answer.ts';
import { originOf, type OriginRules } from '../ingest/origins.ts';
import { type StorageRetryPolicy, withRetry } from '../../bucket/retry.ts';
import { EMPTY_STORE, r2Store, type ReadCount } from '../storage/r2-store.ts';
import { type InnerFacts, toResponse } from './registry-response.ts';

/** The caller's access, as the gateway decided it. Clients cannot forge it, and it is a part of the cache key. */
export interface RegistryProps {
  /** The realm whose blobs are read. */
  readonly realm: RealmName;
  /** Answer as if the bucket were empty. */
  readonly hidden: boolean;
  /** Which repositories a list may contain; null: all. */
  readonly lists: VisibleTo | null;
}

/** The realms and repositories that a caller may see, beside the public ones. */
export interface VisibleTo {
  readonly realms: readonly string[];
  readonly repositories: readonly string[];
}

/** What the registry needs to answer. */
export interface RegistryContext {
  readonly bucket: R2Bucket;
  readonly retry: StorageRetryPolicy;
  readonly props: RegistryProps;
  readonly realms: RealmTable;
  /** Which repositories are filled from an upstream registry. */
  readonly origins: OriginRules;
  /** PEM or JWK of the key that signs derived schema 1 manifests; null: none are derived. */
  readonly signingKey: string | null;
  /** Counts the fills that a client starts; null: they are not counted. */
  readonly fillLimiter: RateLimiter | null;
  /** Keeps work alive after the response. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** Answers the registry entrypoint's request, which is in canonical form: see `canonicalRequest`. */
export async function serveRegistry(canonical: Request, context: RegistryContext): Promise<Response> {
  const request = parseRegistryUrl(canonical.url);
  if (request === null) throw new Error(`not a canonical registry URL: ${canonical.url}`);
  const { answer, facts } = await answerRequest(request, readRequestOptions(canonical), context);
  return toResponse(answer, request, facts);
}

function readRequestOptions({ method, headers }: Request): RequestOptions {
  return {
    head: method === 'HEAD',
    accept: parseAccept(headers.get('accept')),
    userAgent: headers.get('user-agent'),
    // Ranges do not pass the cache: see `usesCache`.
    ranges: null,
    client: headers.get(CLIENT_HEADER),
  };
}

/** Answers one request. Errors of storage and damaged records become refusals. */
export async function answerRequest(
  request: RegistryRequest,
  options: RequestOptions,
  { bucket, retry, props, realms, origins, signingKey, fillLimiter, waitUntil }: RegistryContext,
): Promise<{ readonly answer: Answer | Redirect; readonly facts: InnerFacts }> {
  const begun = Date.now();
  const count: ReadCount = { head: 0, get: 0 };
  const mismatches: RealmMismatch[] = [];
  const bucketStore = withRealms(r2Store(bucket, count), realms, (mismatch) => {
    mismatches.push(mismatch);
    reportRealmMismatch(mismatch);
  });
  const store: ReadStore = props.hidden ? EMPTY_STORE : bucketStore;
  const { lists } = props;
  const keep = lists === null ? null : (name: RepositoryName) => isVisible(realms, name, lists);
  const sources: Sources = { store, realm: props.realm, keep };
  const answerStored: AnswerStored = (wrap = (own) => own) =>
    request.kind === 'flatpak-index'
      ? Promise.resolve(refused('endpoint-unknown'))
      : withRetry(() => answerFromStorage(request, options, { ...sources, store: wrap(store) }), retry, { discard });
  const rule = props.hidden || !('name' in request) ? null : originOf(origins, request.name);
  let answer: Answer | Redirect;
  try {
    const client = options.client ?? null;
    if (request.kind === 'flatpak-index')
      answer = await answerFlatpak(request, origins, { keep, waitUntil, fillLimiter, client });
    else
      answer = await (rule === null || !('name' in request)
        ? answerStored()
        : answerFronted(request, options, {
            rule,
            realm: props.realm,
            bucket,
            store: bucketStore,
            retry,
            signingKey,
            answerStored,
            fillLimiter,
            client,
            waitUntil,
          }));
  } catch (error) {
    answer = refusalOf(error, request);
  }
  // Its upstream would fill a repository again that is hidden, for everybody.
  if (mismatches.length > 0 && rule !== null && 'name' in request) {
    if (answer.kind !== 'redirect') discard(answer);
    answer = repositoryUnknown(request.name);
  }
  const form = answer.kind === 'found' ? answer.form : undefined;
  const { head, get } = count;
  return { answer, facts: { head, get, ms: Date.now() - begun, ...(form !== undefined && { form }) } };
}

/** Logs that an object is hidden because the realm table does not have the realm that it was written for. */
export function reportRealmMismatch(mismatch: RealmMismatch): void {
  logFailure('realm-mismatch', {
    ...mismatch,
    message: 'The object is not served. Restore the rule in REALMS, or publish again under the new realm.',
  });
}

/** Where an answer comes from. */
export interface Sources {
  readonly store: ReadStore;
  readonly realm: RealmName;
  readonly keep: ((name: RepositoryName) => boolean) | null;
}

/** Lists what the upstreams have for Flatpak. Without a rule for it there is no such endpoint. */
async function answerFlatpak(
  request: Extract<RegistryRequest, { kind: 'flatpak-index' }>,
  origins: OriginRules,
  context: Pick<Sources, 'keep'> &
    Pick<RegistryContext, 'waitUntil' | 'fillLimiter'> & { readonly client: string | null },
): Promise<Answer> {
  if (!origins.some(({ flatpak }) => flatpak)) return refused('endpoint-unknown');
  const { answerFlatpakIndex } = await import('../ingest/pulp3/flatpak-index.ts');
  return answerFlatpakIndex(request, origins, context);
}

/** Dispatches to the endpoint. Throws {@link StorageError}, and errors for damaged records. */
export function answerFromStorage(
  request: Exclude<RegistryRequest, { kind: 'flatpak-index' }>,
  options: RequestOptions,
  { store, realm, keep }: Sources,
): Promise<Answer> {
  switch (request.kind) {
    case 'manifest':
      return answerManifest(request, options, store);
    case 'blob':
      return answerBlob(request, options, { realm, store });
    case 'blob-presence':
      return answerBlobPresence(request, { realm, store });
    case 'tag-list':
      return answerTagList(request, options, store);
    case 'referrers':
      return answerReferrers(request, options, store);
    case 'signatures':
      return answerSignatures(request, store);
    case 'catalog':
      return answerCatalog(request, options, store, keep);
    case 'v1-images':
      return answerV1Images(request, options, store);
    default:
      return assertNever(request);
  }
}

/** Logs an error and turns it into a refusal. */
function refusalOf(error: unknown, request: RegistryRequest): Refused {
  const reason = reasonOf(error);
  const cause =
    error instanceof Error
      ? { name: error.name, message: error.message, cause: String(error.cause) }
      : { message: String(error) };
  logFailure(reason, { request: pathOf(request), ...cause });
  return refused(reason);
}

function reasonOf(error: unknown): 'storage-unavailable' | 'record-corrupt' | 'internal' {
  if (error instanceof StorageError) return 'storage-unavailable';
  const corrupt = error instanceof NewerVersionError || error instanceof CorruptRecordError;
  return corrupt ? 'record-corrupt' : 'internal';
}

function isVisible(table: RealmTable, name: RepositoryName, { realms, repositories }: VisibleTo): boolean {
  const realm = realmOf(table, name);
  return realm === PUBLIC_REALM || realms.includes(realm) || repositories.includes(name);
}
