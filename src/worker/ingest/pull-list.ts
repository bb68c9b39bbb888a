/** Lists of a repository that is filled: what the upstream has and what is stored, together. Nothing is written for them. */
import { OriginError } from '../../origin/errors.ts';
import { referrersKey, tagListKey } from '../../registry/keys.ts';
import { compareNames } from '../../registry/name.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { encodeReferrers } from '../../registry/referrers.ts';
import type { Answer } from '../gateway/answer.ts';
import { answerNames } from '../endpoints/v2/list-answer.ts';
import { namesOfPage, openList } from '../../bucket/list-page.ts';
import { withRetry } from '../../bucket/retry.ts';
import { isUnknown, type StoredAnswer, withWarning } from './stored-answer.ts';
import { pathOf, type RegistryRequest } from '../gateway/registry-request.ts';
import { overlay } from './overlay.ts';
import { noteOutage, type Pull, unlessLimited, waitFor } from './pull.ts';

/** Most milliseconds that a list of the upstream is remembered. */
const LIST_LIFETIME = 60_000;

/** Answers with the tags that the upstream has, and those that were published here. Throws OriginError where only the upstream could tell, and StorageError. */
export async function pullTagList(
  pull: Pull,
  request: Extract<RegistryRequest, { kind: 'tag-list' }>,
): Promise<Answer> {
  const { store, retry, answerStored } = pull;
  const { name, page } = request;
  return withFallback(pull, request, async () => {
    const upstream = await listOf(pull, 'tags', async () => {
      const found = await pull.upstream.client.tags(pull.remote);
      return found.kind === 'not-found' ? 'unknown' : found.tags;
    });
    if (upstream === 'unknown') return answerStored();
    const read = async (): Promise<readonly string[]> => {
      const list = await openList(store, tagListKey(name));
      return list === null ? [] : (await namesOfPage(list, { n: null, last: null })).names;
    };
    const stored = await withRetry(read, retry);
    const names = [...new Set([...upstream, ...stored])]
      .filter((one) => page.last === null || compareNames(one, page.last) > 0)
      .sort(compareNames);
    const shown = page.n === null ? names : names.slice(0, page.n);
    return answerNames(shown, page.n !== 0 && shown.length < names.length, {
      before: `{"name":${JSON.stringify(name)},"tags":[`,
      after: ']}',
      nextPath: (last) => pathOf({ ...request, page: { n: page.n, last } }),
    });
  });
}

/** Answers with what refers to a manifest: what was published here, else what the upstream has. `stored`: what storage answered. Throws OriginError and StorageError. */
export async function pullReferrers(
  pull: Pull,
  request: Extract<RegistryRequest, { kind: 'referrers' }>,
  { answer, info }: StoredAnswer,
): Promise<Answer> {
  const { answerStored } = pull;
  const { name, subject } = request;
  const key = referrersKey(name, subject);
  if (info !== null) return answer;
  return withFallback(pull, request, async () => {
    const descriptors = await listOf(pull, `referrers ${subject}`, () =>
      pull.upstream.client.referrers(pull.remote, subject),
    );
    if (descriptors === 'unknown') return answer;
    return answerStored((store) =>
      overlay(store, { key, bytes: encodeReferrers(descriptors), contentType: MEDIA_TYPES.json, metadata: {} }),
    );
  });
}

/** A list of the upstream: fetched once for all who ask at the same time, and remembered for a moment. Throws OriginError. */
async function listOf<T>(
  pull: Pull,
  what: string,
  fetch: () => Promise<readonly T[] | 'unknown'>,
): Promise<readonly T[] | 'unknown'> {
  const { upstream, remote, rule, waitUntil } = pull;
  const key = `${remote} ${what}`;
  const now = Date.now();
  const remembered = upstream.lists.get(key, now);
  // The key says what the list is of.
  if (remembered !== undefined) return remembered as readonly T[] | 'unknown';
  unlessLimited(upstream);
  const flight = upstream.listFlights.once(key, waitUntil, fetch);
  const list = await waitFor(pull, upstream.listFlights, key, flight);
  upstream.lists.set(key, list, now + Math.min(rule.lifetime, LIST_LIFETIME));
  return list as readonly T[] | 'unknown';
}

async function withFallback(pull: Pull, request: RegistryRequest, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OriginError)) throw error;
    const stored = await pull.answerStored();
    if (isUnknown(stored)) throw error;
    return withWarning(stored, pull.rule, noteOutage(pull.upstream, error, pathOf(request)));
  }
}
