/** The registry: answers questions from storage. It stands behind the cache and knows nothing of who asks but what its props say. */
import { assertNever } from '../registry/errors.ts';
import type { RepositoryName } from '../registry/name.ts';
import { PUBLIC_REALM, realmOf, type RealmName, type RealmTable } from '../registry/realms.ts';
import { CorruptRecordError } from '../registry/records.ts';
import { CorruptReferrersError } from '../registry/referrers.ts';
import { CorruptListError } from '../registry/sorted-list.ts';
import { type ByteRange, type ReadStore, StorageError } from '../registry/store.ts';
import { type Answer, refused } from './answer.ts';
import type { Asked } from './asked.ts';
import { answerBlob, answerBlobPresence } from './endpoints/blob.ts';
import { answerCatalog } from './endpoints/catalog.ts';
import { answerManifest } from './endpoints/manifest.ts';
import { answerReferrers } from './endpoints/referrers.ts';
import { answerTagList } from './endpoints/tag-list.ts';
import { answerV1Images } from './endpoints/v1-images.ts';
import { type Persistence, persist } from './persistence.ts';
import { pathOf, type Question, questionOf } from './question.ts';
import { EMPTY_STORE, r2Store, type ReadCount } from './r2-store.ts';
import { respond } from './respond.ts';

/** What the gateway vouches for; a client cannot forge it, and the cache keeps what was asked with other props apart. */
export interface RegistryProps {
  /** Whose blobs are looked at. */
  readonly realm: RealmName;
  /** Answer as if nothing were stored. */
  readonly hidden: boolean;
  /** Which repositories a list may name: null for all. */
  readonly lists: VisibleTo | null;
}

/** Everything that decides which repositories a caller may see. */
export interface VisibleTo {
  readonly realms: readonly string[];
  readonly repositories: readonly string[];
}

/** What the registry works with. */
export interface RegistryContext {
  readonly bucket: R2Bucket;
  readonly persistence: Persistence;
  readonly props: RegistryProps;
  readonly realms: RealmTable;
  /** Whether a cache stands in front: it cuts ranges itself, and cannot keep what is cut. */
  readonly cached: boolean;
}

/** Bytes of the longest body that the cache in front keeps; longer ones pass through it. */
const CACHED_UP_TO = 512_000_000;

/** Header by which the gateway hands on a range that it has read and found in order. */
const RANGE = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/;

/** Answers one canonical request. */
export async function serveRegistry(request: Request, { bucket, persistence, props, realms, cached }: RegistryContext): Promise<Response> {
  const begun = Date.now();
  const question = questionOf(request.url);
  if (question === null) throw new Error(`the gateway asked what is no question: ${request.url}`);
  const count: ReadCount = { head: 0, get: 0 };
  const store = props.hidden ? EMPTY_STORE : r2Store(bucket, count);
  const asked: Asked = {
    head: request.method === 'HEAD',
    accept: request.headers.get('accept'),
    userAgent: request.headers.get('user-agent'),
    range: rangeOf(request.headers.get('range')),
    wholeUpTo: cached ? CACHED_UP_TO : 0,
  };
  const { lists } = props;
  const keep = lists === null ? null : (name: RepositoryName) => isVisible(realms, name, lists);
  const answer = await answerSafely(question, () => persist(() => answerQuestion(question, asked, { store, realm: props.realm, keep }), persistence, discard));
  return respond(answer, question, { ...count, ms: Date.now() - begun, ...(answer.kind === 'found' && answer.form !== undefined && { form: answer.form }) });
}

/** What a question is answered from. */
export interface Sources {
  readonly store: ReadStore;
  readonly realm: RealmName;
  readonly keep: ((name: RepositoryName) => boolean) | null;
}

/** One endpoint a line. Throws {@link StorageError} and what says that a record is damaged. */
export async function answerQuestion(question: Question, asked: Asked, { store, realm, keep }: Sources): Promise<Answer> {
  switch (question.kind) {
    case 'manifest':
      return await answerManifest(question, asked, store);
    case 'blob':
      return await answerBlob(question, asked, realm, store);
    case 'blob-presence':
      return await answerBlobPresence(question, asked, realm, store);
    case 'tag-list':
      return await answerTagList(question, asked, store);
    case 'referrers':
      return await answerReferrers(question, asked, store);
    case 'catalog':
      return await answerCatalog(question, asked, store, keep);
    case 'v1-images':
      return await answerV1Images(question, store);
    default:
      return assertNever(question);
  }
}

async function answerSafely(question: Question, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    const reason = reasonOf(error);
    const cause = error instanceof Error ? { name: error.name, message: error.message, cause: String(error.cause) } : { message: String(error) };
    console.error(JSON.stringify({ event: reason, question: pathOf(question), ...cause }));
    return refused(reason);
  }
}

function reasonOf(error: unknown): 'storage-unavailable' | 'record-corrupt' | 'internal' {
  if (error instanceof StorageError) return 'storage-unavailable';
  const corrupt = error instanceof CorruptRecordError || error instanceof CorruptListError || error instanceof CorruptReferrersError;
  return corrupt ? 'record-corrupt' : 'internal';
}

function isVisible(table: RealmTable, name: RepositoryName, { realms, repositories }: VisibleTo): boolean {
  const realm = realmOf(table, name);
  return realm === PUBLIC_REALM || realms.includes(realm) || repositories.includes(name);
}

function discard(answer: Answer): void {
  if (answer.kind === 'found' && answer.body instanceof ReadableStream) answer.body.cancel().catch(() => undefined);
}

function rangeOf(header: string | null): ByteRange | null {
  const [, from, to, suffix] = RANGE.exec(header ?? '') ?? [];
  if (suffix !== undefined) return { suffix: Number(suffix) };
  if (from === undefined) return null;
  return to === undefined || to === '' ? { offset: Number(from) } : { offset: Number(from), length: Number(to) - Number(from) + 1 };
}

