/**
 * Lists of a filled repository: what the upstream has, merged with what is stored. Nothing is written. Tags that are
 * stored are only a part of the list, so they are no answer while the upstream fails: programs remove what a list
 * lacks. Only a whole list that the upstream gave earlier is an answer, with a `Warning`; one of referrers is kept in
 * the bucket (late-signatures.ts).
 */
import { OriginError } from '../../origin/errors.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import type { Digest } from '../../registry/digest.ts';
import { referrersKey, tagListKey } from '../../registry/keys.ts';
import { compareNames, type Tag } from '../../registry/name.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { isFetched } from '../../registry/origin-mark.ts';
import { encodeReferrers } from '../../registry/referrers.ts';
import type { Answer } from '../gateway/answer.ts';
import { refuseForOutage } from '../endpoints/v1-images.ts';
import { answerNames } from '../endpoints/v2/list-answer.ts';
import { namesOfPage, openList, PAGE_MAX } from '../../bucket/list-page.ts';
import { withRetry } from '../../bucket/retry.ts';
import { type StoredAnswer, withWarning } from './stored-answer.ts';
import { pathOf, type RegistryRequest } from '../gateway/registry-request.ts';
import type { RegistryClient } from '../../origin/registry-client.ts';
import { FILL_LIMITS, FillLimitError, fillOnce } from './fill-limits.ts';
import { overlay } from './overlay.ts';
import { noteOutage, type Pull } from './pull.ts';
import type { Outage } from './upstream.ts';

/** Milliseconds that an upstream's list is cached at most. */
const LIST_LIFETIME = 60_000;

/** Bytes of a list that is cached, at most: an isolate keeps fifty of each upstream. */
const REMEMBERED_LIST = 512 * 1024;

/**
 * Answers with the tags of the upstream and those published here. Throws OriginError if nothing is stored and the
 * upstream fails, and StorageError.
 */
export async function pullTagList(
  pull: Pull,
  request: Extract<RegistryRequest, { kind: 'tag-list' }>,
): Promise<Answer> {
  const { store, retry, answerStored } = pull;
  const { name, page } = request;
  return answerList(pull, async () => {
    const { list: upstream, outage } = await tagsOf(pull, request);
    if (upstream === 'unknown') return { answer: await answerStored(), outage };
    const read = async (): Promise<readonly string[]> => {
      const list = await openList(store, tagListKey(name));
      return list === null ? [] : (await namesOfPage(list, { n: null, last: null })).names;
    };
    const stored = await withRetry(read, retry);
    const names = [...new Set([...upstream, ...stored])]
      .filter((one) => page.last === null || compareNames(one, page.last) > 0)
      .sort(compareNames);
    const size = page.n ?? PAGE_MAX;
    const shown = names.slice(0, size);
    const answer = await answerNames(shown, size !== 0 && shown.length < names.length, {
      before: `{"name":${JSON.stringify(name)},"tags":[`,
      after: ']}',
      nextPath: (last) => pathOf({ ...request, page: { n: size, last } }),
    });
    return { answer, outage };
  });
}

/**
 * Answers with the referrers of a manifest: those published here, otherwise those of the upstream. `stored`: the answer
 * from storage. Throws OriginError and StorageError.
 */
export async function pullReferrers(
  pull: Pull,
  request: Extract<RegistryRequest, { kind: 'referrers' }>,
  { answer, info }: StoredAnswer,
): Promise<Answer> {
  const { answerStored } = pull;
  const { name, subject } = request;
  const key = referrersKey(name, subject);
  if (info !== null && !isFetched(info.metadata)) return answer;
  return answerList(pull, async () => {
    let found: UpstreamList<Descriptor>;
    try {
      found = await listOf(pull, request, referrersTitle(subject), (client) => client.referrers(pull.remote, subject));
    } catch (error) {
      if (!(error instanceof OriginError) || info === null) throw error;
      return { answer, outage: noteOutage(pull.upstream, error, pathOf(request)) };
    }
    const { list: descriptors, outage } = found;
    if (descriptors === 'unknown') return { answer, outage };
    const bytes = encodeReferrers(descriptors);
    const whole = await answerStored((store) =>
      overlay(store, { key, bytes, contentType: MEDIA_TYPES.json, metadata: {} }),
    );
    return { answer: whole, outage };
  });
}

/**
 * The explanation for an engine that fell back to the v1 API: an outage of the upstream, if the v2 API failed for the
 * repository or the upstream fails now; otherwise that of storage. Without it, the engine says that there is no image.
 */
export async function pullV1Images(
  pull: Pull,
  request: Extract<RegistryRequest, { kind: 'v1-images' }>,
  { answer }: StoredAnswer,
): Promise<Answer> {
  if (pull.upstream.failed.get(request.name, Date.now()) !== undefined) return refuseForOutage(request.name);
  try {
    const { outage } = await tagsOf(pull, request);
    return outage === null ? answer : refuseForOutage(request.name);
  } catch (error) {
    if (!(error instanceof OriginError)) throw error;
    return refuseForOutage(request.name);
  }
}

/** The tags of the upstream. Throws OriginError if no whole list is known. */
function tagsOf(pull: Pull, request: RegistryRequest): Promise<UpstreamList<Tag>> {
  return listOf(pull, request, 'tags', async (client) => {
    const found = await client.tags(pull.remote);
    return found.kind === 'not-found' ? 'unknown' : found.tags;
  });
}

function referrersTitle(subject: Digest): string {
  return `referrers ${subject}`;
}

/** Caches referrers that were fetched for another reason than a request for them. `bytes`: of what was read. */
export function rememberReferrers(
  pull: Pull,
  subject: Digest,
  descriptors: readonly Descriptor[],
  bytes: number,
): void {
  remember(pull, `${pull.remote} ${referrersTitle(subject)}`, descriptors, bytes);
}

function remember({ upstream, rule }: Pull, key: string, list: readonly unknown[] | 'unknown', bytes: number): void {
  if (bytes > REMEMBERED_LIST) return;
  const now = Date.now();
  upstream.lists.set(key, list, now + Math.min(rule.lifetime, LIST_LIFETIME));
  upstream.earlierLists.set(key, list, now + rule.lifetime + rule.stale);
}

interface UpstreamList<T> {
  readonly list: readonly T[] | 'unknown';
  /** Why the list is an older one; null if the upstream gave it now. */
  readonly outage: Outage | null;
}

/**
 * A list of the upstream, fetched once for all concurrent requests and cached briefly. Throws OriginError if no whole
 * list is known.
 */
async function listOf<T>(
  pull: Pull,
  request: RegistryRequest,
  what: string,
  fetch: (client: RegistryClient) => Promise<readonly T[] | 'unknown'>,
): Promise<UpstreamList<T>> {
  const { upstream, remote } = pull;
  const key = `${remote} ${what}`;
  const now = Date.now();
  const remembered = upstream.lists.get(key, now);
  // The key determines the type of the entries.
  if (remembered !== undefined) return { list: remembered as UpstreamList<T>['list'], outage: null };
  try {
    const limits = request.kind === 'referrers' ? FILL_LIMITS.referrers : FILL_LIMITS.tags;
    const fetched = await fillOnce(pull, upstream.listFlights, limits, key, async (client, budget) => ({
      items: await fetch(client),
      bytes: budget.received,
    }));
    const list = fetched.items as UpstreamList<T>['list'];
    remember(pull, key, list, fetched.bytes);
    return { list, outage: null };
  } catch (error) {
    const earlier = upstream.earlierLists.get(key, now);
    if (earlier === undefined) throw error;
    if (error instanceof FillLimitError)
      return {
        list: earlier as UpstreamList<T>['list'],
        outage: { code: 'ORIGIN_RATE_LIMITED', message: error.message },
      };
    if (!(error instanceof OriginError)) throw error;
    return { list: earlier as UpstreamList<T>['list'], outage: noteOutage(upstream, error, pathOf(request)) };
  }
}

async function answerList(
  { rule }: Pull,
  work: () => Promise<{ readonly answer: Answer; readonly outage: Outage | null }>,
): Promise<Answer> {
  const { answer, outage } = await work();
  return outage === null ? answer : withWarning(answer, rule, outage);
}
