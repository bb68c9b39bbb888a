/** Whether the cache is there, answers, and is purged. */
import type { Exchange } from '../exchange.ts';
import { answered, type CheckResult, notAsked } from './checks.ts';
import { type Patience, patiently } from './patience.ts';
import type { PurgeCall } from './purge-endpoint.ts';
import { cacheStatusOf, type CheckTarget, describe, MODERN_ACCEPT, pathOfDigest } from './target.ts';

/** Requests until a hit: the machines of a data centre may each have a first one. */
const HIT_TRIES = 4;

/** Seconds that a tag may be old: 60 in the cache, 30 while the next answer is fetched (`cache-policy.ts`). */
const TAG_AGE_MAX = 90;

/** Until a purge shows. Cloudflare says that it takes less than a second. */
const PURGE_SHOWS: Patience = { tries: 10, pauseMs: 500 };

/** Checks the cache. `purge`: a text that says why there is none. */
export async function checkCache(
  target: CheckTarget,
  purge: PurgeCall | string,
  patience: Patience = PURGE_SHOWS,
): Promise<readonly CheckResult[]> {
  return [
    await checkPresence(purge),
    ...(await checkHit(target)),
    await checkMovedTag(target, purge, patience),
    notAsked('purge-limit', 'a test would use up the purges of the account: 25 at once, then 5 a minute'),
  ];
}

async function checkPresence(purge: PurgeCall | string): Promise<CheckResult> {
  if (typeof purge === 'string') return notAsked('cache-present', `${purge}: the endpoint /-/purge would say it`);
  const answer = await purge({});
  if (answer.kind === 'failed') return notAsked('cache-present', answer.why);
  return answered('cache-present', answer.cache === 'present', `POST /-/purge: cache ${answer.cache}`);
}

async function checkHit({ session, image, digest }: CheckTarget): Promise<readonly CheckResult[]> {
  if (digest === null) {
    const why = 'the tag has no digest for a modern client';
    return [notAsked('cache-hit', why), notAsked('cache-age', why)];
  }
  const path = pathOfDigest(image, digest);
  const seen: string[] = [];
  let last: Exchange = await session.send('GET', path, MODERN_ACCEPT);
  for (let tries = 1; tries < HIT_TRIES; tries += 1) {
    last = await session.send('GET', path, MODERN_ACCEPT);
    const status = cacheStatusOf(last);
    seen.push(describe(last));
    if (status === 'HIT' || status === undefined) break;
  }
  const status = cacheStatusOf(last);
  const where = `GET ${path.replace(/([0-9a-f]{12})[0-9a-f]+$/, '$1')} again: ${seen.join('; ')}`;
  if (status === undefined) {
    const why = `${where}: something in front removes the header, or this is not Gantry`;
    return [notAsked('cache-hit', why), notAsked('cache-age', why)];
  }
  if (status !== 'HIT') return [answered('cache-hit', false, where), notAsked('cache-age', 'there was no hit')];
  const age = last.kind === 'answer' ? last.headers.age : undefined;
  return [answered('cache-hit', true, where), answered('cache-age', age !== undefined, `Age: ${age ?? 'none'}`)];
}

/** With a purge, the next answer must not come from the cache. Nobody can move a tag with the rights of a client. */
async function checkMovedTag(target: CheckTarget, purge: PurgeCall | string, patience: Patience): Promise<CheckResult> {
  const { session, image, byTag } = target;
  const ask = (): Promise<Exchange> => session.send('GET', byTag, MODERN_ACCEPT);
  const before = await ask();
  const age = before.kind === 'answer' ? Number(before.headers.age ?? 0) : 0;
  if (age > TAG_AGE_MAX) {
    return answered('moved-tag', false, `the answer by tag is ${String(age)} s old, of ${String(TAG_AGE_MAX)} at most`);
  }
  const soFar = `the answer by tag is ${String(age)} s old, of ${String(TAG_AGE_MAX)} at most`;
  if (typeof purge === 'string') return notAsked('moved-tag', `${purge}; ${soFar}`);
  if (cacheStatusOf(before) !== 'HIT') {
    // Something must be there to be purged.
    const again = await ask();
    if (cacheStatusOf(again) !== 'HIT')
      return notAsked('moved-tag', `the tag is not cached: ${describe(again)}; ${soFar}`);
  }
  const purged = await purge({ tags: [`${image.name}:${image.tag}`] });
  if (purged.kind === 'failed') return notAsked('moved-tag', `${purged.why}; ${soFar}`);
  const begun = Date.now();
  const after = await patiently(patience, async () => {
    const answer = await ask();
    return ['HIT', 'UPDATING', 'STALE'].includes(cacheStatusOf(answer) ?? '') ? null : answer;
  });
  if (after === null) {
    return answered('moved-tag', false, `${String(patience.tries)} answers after a purge still come from the cache`);
  }
  const seconds = ((Date.now() - begun) / 1_000).toFixed(1);
  return answered('moved-tag', true, `after a purge: ${describe(after)}, in ${seconds} s; ${soFar}`);
}
