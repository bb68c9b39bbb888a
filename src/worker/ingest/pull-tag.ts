/**
 * Manifests by tag of a filled repository: fetched if they are not stored, and compared with the upstream after their
 * lifetime.
 */
import { OriginError } from '../../origin/errors.ts';
import { tagKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { decodeOriginMark, type OriginMark } from '../../registry/origin-mark.ts';
import { decodeTagMetadata, publishedDigests } from '../../registry/records.ts';
import { type ObjectInfo, StorageError } from '../../registry/store.ts';
import { messageOf } from '../../registry/values/error-message.ts';
import { logFailure } from '../log/event.ts';
import type { Answer } from '../gateway/answer.ts';
import { readAll } from '../../bucket/read-object.ts';
import type { RegistryClient } from '../../origin/registry-client.ts';
import { completeTag } from './schema1/complete-tag.ts';
import { FILL_LIMITS, FillLimitError, fillWithin, inSlot, OVER_LIMIT_FOR, permitFill } from './fill-limits.ts';
import { expiryFrom } from './origins.ts';
import { isCompanionTag } from '../../bucket/image-source.ts';
import { findLateSignatures } from './late-signatures.ts';
import { freshnessOf } from './freshness.ts';
import { isUnknown, answerObserved, type StoredAnswer, unknownTag, withWarning } from './stored-answer.ts';
import { openLists } from '../../bucket/lists.ts';
import { type OriginImage, readOriginImage } from '../../bucket/origin-image.ts';
import { protectionOf } from '../../bucket/settings/immutable-tags.ts';
import { isTombstone } from '../../bucket/read-tag.ts';
import { withRetries } from '../../bucket/retry.ts';
import { writeOriginMark, writeTombstone } from '../../bucket/write-tag.ts';
import { within } from './single-flight.ts';
import { type FetchedTag, ingestTag, LIST_CONFLICTS, refuseUnlisted, rfc3339, type TagPlace } from './ingest-tag.ts';
import { hasSignatures } from './origins.ts';
import { overlay } from './overlay.ts';
import { prefetchSignatures } from './pulp3/pull-signatures.ts';
import { isNegativelyCached, noteOutage, cacheAbsence, type Pull, unlessLimited, waitFor } from './pull.ts';
import type { Outage } from './upstream.ts';

/** Milliseconds that a client waits for a comparison; then the stored tag is served. */
const PATIENCE = 3_000;

/** Milliseconds until a failed comparison is repeated. */
const PAUSE = 10_000;

/**
 * Milliseconds after which the time of a comparison is written to the bucket; until then only the isolate that made it
 * has it.
 */
const RENEW_AFTER = 3_600_000;

/**
 * Answers with the negotiated form. `stored`: the answer from storage. Throws {@link OriginError}, StorageError and
 * CorruptRecordError.
 */
export async function pullTag(pull: Pull, name: RepositoryName, tag: Tag, stored: StoredAnswer): Promise<Answer> {
  const answer = await answerTag(pull, name, tag, stored);
  return answer.awaitsSchema2 === true ? completeTag(pull, name, tag, answer) : answer;
}

/** Answers from storage, or from the upstream if the tag is not stored. */
async function answerTag(pull: Pull, name: RepositoryName, tag: Tag, { answer, info }: StoredAnswer): Promise<Answer> {
  if (info === null) return isUnknown(answer) ? fetchTag(pull, name, tag, answer) : answer;
  const mark = decodeOriginMark(info.metadata);
  const { upstream, rule, waitUntil } = pull;
  const now = Date.now();
  const freshness = freshnessOf(mark, upstream.checked.get(info.key, now), rule, now);
  if (mark === null || freshness === 'published' || freshness === 'fresh') return answer;
  if (freshness === 'gone') return unknownTag(name, tag);
  const known = upstream.outages.get(info.key, now) ?? upstream.limited.get('', now);
  if (known !== undefined) return stale(pull, answer, info, known);
  const checking = upstream.checks.once(info.key, waitUntil, () => check(pull, name, tag, info, mark));
  if (freshness === 'stale' || (freshness === 'incomplete' && answer.kind === 'found')) return answer;
  const outcome = await within(PATIENCE, checking, SLOW);
  if (outcome !== null) return stale(pull, answer, info, outcome);
  const after = await answerObserved(pull.answerStored, tagKey(name, tag));
  return after.info === null || isTombstone(after.info) ? unknownTag(name, tag) : after.answer;
}

const SLOW: Outage = { code: 'ORIGIN_UNAVAILABLE', message: 'no answer in time' };

/** The stored tag, because the upstream failed. */
function stale({ rule }: Pull, answer: Answer, info: ObjectInfo, outage: Outage): Answer {
  // The upstream had deleted the tag; whether it exists again is not known.
  if (isTombstone(info)) throw new OriginError(outage.code, outage.message);
  return withWarning(answer, rule, outage);
}

async function fetchTag(pull: Pull, name: RepositoryName, tag: Tag, answer: Answer): Promise<Answer> {
  const { upstream, answerStored, waitUntil } = pull;
  const key = tagKey(name, tag);
  if (isNegativelyCached(upstream, key)) return answer;
  unlessLimited(upstream);
  if (upstream.tags.of(key) === undefined) await permitFill(pull, key);
  const flight = upstream.tags.once(key, waitUntil, () => fetchAndWrite(pull, name, tag, null));
  const fetched = await waitFor(pull, upstream.tags, key, flight);
  if (fetched === 'published' || fetched === 'unchanged') return answerStored();
  if (fetched !== 'unknown') return answerStored((store) => overlay(store, fetched.object));
  cacheAbsence(upstream, key);
  return answer;
}

/**
 * Fetches the tag with its forms and writes it. `mark`: that of the stored tag. `'unknown'`: the upstream does not have
 * it. `'unchanged'`: forms of it that were unknown are still unknown.
 */
async function fetchAndWrite(
  pull: Pull,
  name: RepositoryName,
  tag: Tag,
  over: ObjectInfo | null,
  mark: OriginMark | null = null,
  upstreamDigest?: OriginMark['digest'],
): Promise<FetchedTag | 'unknown' | 'published' | 'unchanged'> {
  const { upstream, remote, rule } = pull;
  const fill = async (): Promise<FetchedTag | 'unknown' | 'published' | 'unchanged'> => {
    // A tag of Pulp 3 names one manifest.
    const options = { name: remote, tag, platforms: rule.platforms, hasOtherForms: rule.kind !== 'pulp3' };
    const image = await fillWithin(pull, FILL_LIMITS.tag, tagKey(name, tag), (client) =>
      readOriginImage(client, options),
    );
    if (image.kind === 'not-found') return 'unknown';
    // The upstream is left alone if it wants that; the forms that came are answered all the same.
    for (const { form, error } of image.unknown) noteOutage(upstream, error, `${name}:${tag} ${form}`);
    if (mark !== null && image.digest === mark.digest && image.unknown.length >= (mark.unknown ?? Infinity))
      return 'unchanged';
    // `over` is the object that the write replaces, so no other writer comes between.
    if (over !== null && !isTombstone(over) && !keepsPublished(over, image) && (await isImmutable(pull, name, tag)))
      return 'unchanged';
    const now = Date.now();
    const place = placeOf(pull, name, tag);
    const written = await ingestTag(image, place, { over, upstreamDigest: upstreamDigest ?? image.digest, now });
    if (hasSignatures(rule)) prefetchSignatures(pull, name, image.content);
    return written;
  };
  return inSlot('documents', fill, pull.urgency);
}

function placeOf({ rule, realm, store, retry, signer }: Pull, name: RepositoryName, tag: Tag): TagPlace {
  return { rule, name, tag, realm, signer, store: withRetries(store, retry) };
}

/**
 * Compares a stored tag with the upstream, and updates it. Gives why the upstream failed, null if it did not. Never
 * throws.
 */
async function check(
  pull: Pull,
  name: RepositoryName,
  tag: Tag,
  info: ObjectInfo,
  mark: OriginMark,
): Promise<Outage | null> {
  const { upstream, rule } = pull;
  const now = Date.now();
  try {
    const current = await fillWithin(pull, FILL_LIMITS.manifest, `${info.key} HEAD`, (client) =>
      digestUpstream(client, pull, tag),
    );
    const isMoved = current !== mark.digest && !isTombstone(info);
    const isKept = isMoved && (await isImmutable(pull, name, tag));
    if (isKept) await keep(pull, { name, tag, info, mark }, current, now);
    else if (current === null) await noteGone(pull, name, tag, info, mark, now);
    else if (current !== mark.digest || isTombstone(info) || mark.unknown !== undefined) {
      const known = isTombstone(info) ? null : mark;
      if ((await fetchAndWrite(pull, name, tag, info, known, current)) === 'unknown')
        await noteGone(pull, name, tag, info, mark, now);
    } else if (mark.gone !== null || now - mark.checked >= Math.max(rule.lifetime, RENEW_AFTER))
      await renew(pull, info, { ...mark, checked: now, gone: null, ...expiryFrom(rule, now) });
    upstream.checked.set(info.key, now, now + rule.lifetime);
    upstream.outages.delete(info.key);
    if (current !== null) pull.waitUntil(lookForSignatures(pull, name, tag, isKept ? mark.digest : current));
    return null;
  } catch (error) {
    const isExpected = error instanceof OriginError || error instanceof StorageError || error instanceof FillLimitError;
    if (!isExpected) {
      logFailure('internal', { about: `${name}:${tag}` }, error);
    }
    const failure = error instanceof OriginError ? error : new OriginError('ORIGIN_UNAVAILABLE', messageOf(error));
    const outage = noteOutage(upstream, failure, `${name}:${tag}`);
    await postponeExpiry(pull, info, mark, now);
    const pause = outage.code === 'ORIGIN_LIMIT' ? OVER_LIMIT_FOR : Math.min(PAUSE, rule.lifetime);
    upstream.outages.set(info.key, outage, now + pause);
    return outage;
  }
}

/** Nobody waits for it: signatures that are not found now are found when they are requested. Never throws. */
async function lookForSignatures(
  pull: Pull,
  name: RepositoryName,
  tag: Tag,
  subject: OriginMark['digest'],
): Promise<void> {
  if (isCompanionTag(tag)) return;
  // No client asked for it, so none pays for it.
  const own: Pull = { ...pull, client: null, urgency: 'background' };
  try {
    await findLateSignatures(own, name, subject, (signature) => fetchAndWrite(own, name, signature, null));
  } catch (error) {
    if (error instanceof OriginError) noteOutage(pull.upstream, error, `what refers to ${name}:${tag}`);
    else logFailure('referrers-not-stored', { name, tag }, error);
  }
}

/**
 * The upstream's digest of the tag; null if it does not exist. Some upstreams send no digest or 404 for HEAD: then GET
 * decides.
 */
async function digestUpstream(
  client: RegistryClient,
  { remote }: Pull,
  tag: Tag,
): Promise<OriginMark['digest'] | null> {
  const reference = { kind: 'tag', tag } as const;
  const head = await client.manifestHead(remote, reference);
  if (head.kind === 'manifest-head' && head.digest !== undefined) return head.digest;
  const found = await client.manifest(remote, reference);
  return found.kind === 'not-found' ? null : found.digest;
}

/**
 * Whether all that is published under a stored tag is part of a fetched image. More may be: forms that were unknown. A
 * tag whose index is not in its metadata counts as moved.
 */
function keepsPublished({ metadata }: ObjectInfo, { content }: OriginImage): boolean {
  const index = decodeTagMetadata(metadata);
  if (index.kind !== 'record') return false;
  const roots = new Set(content.roots.map(({ digest }) => digest));
  return publishedDigests(index.record).every((digest) => roots.has(digest));
}

/** Whether the bucket's settings make a tag immutable. Throws StorageError. */
async function isImmutable({ settings }: Pull, name: RepositoryName, tag: Tag): Promise<boolean> {
  return protectionOf((await settings()).immutable, name, tag) !== null;
}

/** A tag as it is stored. */
interface StoredTag {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly info: ObjectInfo;
  readonly mark: OriginMark;
}

/** Keeps an immutable tag that the upstream moved or deleted (`upstream` is null). */
async function keep(
  pull: Pull,
  { name, tag, info, mark }: StoredTag,
  upstream: OriginMark['digest'] | null,
  now: number,
): Promise<void> {
  console.warn(JSON.stringify({ event: 'immutable-tag-kept', name, tag, stored: mark.digest, upstream }));
  if (mark.gone !== null || now - mark.checked >= Math.max(pull.rule.lifetime, RENEW_AFTER))
    await renew(pull, info, { ...mark, checked: now, gone: null, ...expiryFrom(pull.rule, now) });
}

async function noteGone(
  pull: Pull,
  name: RepositoryName,
  tag: Tag,
  info: ObjectInfo,
  mark: OriginMark,
  now: number,
): Promise<void> {
  const { rule } = pull;
  const gone = mark.gone ?? now;
  if (isTombstone(info)) return;
  if (now - gone < rule.grace) {
    if (mark.gone === null) await renew(pull, info, { ...mark, checked: now, gone });
    return;
  }
  const store = withRetries(pull.store, pull.retry);
  await refuseUnlisted(store, name);
  const written = await writeTombstone(store, info, { ...mark, checked: now, gone }, rfc3339(now));
  if (written === 'precondition-failed') return;
  await openLists(store, { policy: LIST_CONFLICTS }).update(name, tag, { kind: 'removed' });
}

/** Milliseconds between two notes of pulls while the upstream fails: then no comparison notes them. */
const NOTE_EVERY = 86_400_000;

/** Notes that a tag is pulled although it cannot be compared. Never throws. */
async function postponeExpiry(pull: Pull, info: ObjectInfo, mark: OriginMark, now: number): Promise<void> {
  const { expires } = expiryFrom(pull.rule, now);
  if (expires === undefined || isTombstone(info) || expires - (mark.expires ?? 0) < NOTE_EVERY) return;
  // A failure of storage is no reason to fail: the next pull tries again.
  await renew(pull, info, { ...mark, expires }).catch(() => undefined);
}

/** Writes the tag object again with another mark. If the tag was published meanwhile, nothing is written. */
async function renew({ store, retry }: Pull, info: ObjectInfo, mark: OriginMark): Promise<void> {
  const retrying = withRetries(store, retry);
  const object = await retrying.get(info.key, { ifMatch: info.etag });
  if (object === null || object === 'changed') return;
  await writeOriginMark(retrying, info, await readAll(object.body, object.size), mark);
}
