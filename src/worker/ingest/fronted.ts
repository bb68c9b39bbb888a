/**
 * Repositories that are filled from another registry, as the first Worker answers for them: what the bucket alone decides at once, everything else through the annex. A
 * bucket that has what was asked is asked once; only where the upstream has a say does the annex look again.
 */
import { assertNever } from '../../registry/errors.ts';
import { referrersKey, tagKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { decodeOriginMark } from '../../registry/origin-mark.ts';
import type { ObjectInfo, ReadStore } from '../../registry/store.ts';
import type { AnnexPort, FillProps } from '../annex-port.ts';
import { type Answer, discard, type Elsewhere, refused } from '../gateway/answer.ts';
import type { Asked } from '../gateway/asked.ts';
import { canonicalRequest } from '../gateway/canonical-request.ts';
import { ExpiringMap } from '../storage/expiring-map.ts';
import { freshnessOf } from './freshness.ts';
import { observe } from '../storage/observed-store.ts';
import type { OriginRule } from './origins.ts';
import type { Question } from '../gateway/question.ts';
import { factsOf } from '../gateway/respond.ts';

/** A question about one repository. */
export type RepositoryQuestion = Exclude<Question, { kind: 'catalog' }>;

/** Answers the question from storage alone; `wrap` puts something in front of the store. */
export type AnswerStored = (wrap?: (store: ReadStore) => ReadStore) => Promise<Answer>;

/** What a question about a filled repository is answered from. */
export interface FrontedSources {
  readonly rule: OriginRule;
  readonly store: ReadStore;
  readonly answerStored: AnswerStored;
}

/** Answers for a repository that is filled; a Response is an answer in the form that it has between registry and gateway. Throws StorageError and what says that a record is damaged. */
export type AnswerFronted = (
  question: RepositoryQuestion,
  asked: Asked,
  sources: FrontedSources,
) => Promise<Answer | Elsewhere | Response>;

/** Answers from the bucket where that is enough, else through the annex; where that is not to be had, with what is stored. */
export function throughAnnex(
  annex: AnnexPort,
  props: FillProps,
  waitUntil: (work: Promise<unknown>) => void,
): AnswerFronted {
  return async (question, asked, { rule, answerStored }) => {
    const stored = await lookFirst(question, rule, answerStored);
    if (stored?.isFinal === true) return stored.answer;
    const response = await annex.fill(canonicalRequest(question, asked), props, waitUntil);
    if (response !== null) {
      if (stored !== null) discard(stored.answer);
      remember(question, rule, response);
      return response;
    }
    const answer = stored?.answer ?? (await answerStored());
    return isUnknown(answer) ? refused('annex-unavailable') : withWarning(answer, rule, { code: 'ANNEX_UNAVAILABLE' });
  };
}

interface Stored {
  readonly answer: Answer;
  /** Whether the upstream has no say in it. */
  readonly isFinal: boolean;
}

/** What is stored; null where the upstream always has a say. */
async function lookFirst(
  question: RepositoryQuestion,
  rule: OriginRule,
  answerStored: AnswerStored,
): Promise<Stored | null> {
  switch (question.kind) {
    case 'tag-list':
      return null;
    case 'v1-images':
      return { answer: await answerStored(), isFinal: true };
    case 'referrers': {
      const { answer, info } = await look(answerStored, referrersKey(question.name, question.subject));
      return { answer, isFinal: info !== null };
    }
    case 'manifest': {
      const { name, reference } = question;
      return reference.kind === 'tag' ? lookAtTag(name, reference.tag, rule, answerStored) : lookOnce(answerStored);
    }
    case 'blob':
    case 'blob-presence':
      return lookOnce(answerStored);
    default:
      return assertNever(question);
  }
}

/** What is stored, where that never changes. */
async function lookOnce(answerStored: AnswerStored): Promise<Stored> {
  const answer = await answerStored();
  return { answer, isFinal: !isUnknown(answer) };
}

async function lookAtTag(
  name: RepositoryName,
  tag: Tag,
  rule: OriginRule,
  answerStored: AnswerStored,
): Promise<Stored> {
  const { answer, info } = await look(answerStored, tagKey(name, tag));
  if (info === null) return { answer, isFinal: !isUnknown(answer) };
  const now = Date.now();
  const freshness = freshnessOf(decodeOriginMark(info.metadata), checkedOf(rule).get(info.key, now), rule, now);
  if (freshness === 'gone') return { answer: unknownTag(name, tag), isFinal: true };
  return { answer, isFinal: freshness === 'published' || freshness === 'fresh' };
}

/** The answer from storage, and what the object with this key says of itself. */
export async function look(
  answerStored: AnswerStored,
  key: string,
): Promise<{ readonly answer: Answer; readonly info: ObjectInfo | null }> {
  let info: () => ObjectInfo | null = () => null;
  const answer = await answerStored((store) => {
    const observed = observe(store, key);
    info = observed.info;
    return observed.store;
  });
  return { answer, info: info() };
}

/** When the annex last compared tags with the upstream's, as far as it told: by key, a map for each rule. */
const checked = new WeakMap<OriginRule, ExpiringMap<number>>();

/** Tags remembered of one rule. */
const REMEMBERED = 10_000;

function checkedOf(rule: OriginRule): ExpiringMap<number> {
  let map = checked.get(rule);
  if (map === undefined) checked.set(rule, (map = new ExpiringMap(REMEMBERED)));
  return map;
}

function remember(question: RepositoryQuestion, rule: OriginRule, response: Response): void {
  if (question.kind !== 'manifest' || question.reference.kind !== 'tag') return;
  const at = factsOf(response)?.checked;
  if (at !== undefined) checkedOf(rule).set(tagKey(question.name, question.reference.tag), at, at + rule.lifetime);
}

const UNKNOWN: ReadonlySet<string> = new Set(['name-unknown', 'tag-unknown', 'manifest-unknown', 'blob-unknown']);

/** Whether an answer says that storage does not have what was asked for: what the upstream may have. */
export function isUnknown(answer: Answer): boolean {
  return answer.kind === 'refused' && UNKNOWN.has(answer.reason);
}

/** That a tag which was stored is gone upstream. */
export function unknownTag(name: RepositoryName, tag: Tag): Answer {
  return refused('tag-unknown', { message: `The repository ${name} has no tag ${tag}.`, detail: { name, tag } });
}

/** The answer with a warning that it may be out of date (RFC 7234, section 5.5: 110 and 299). */
export function withWarning(answer: Answer, { name }: OriginRule, { code }: { readonly code: string }): Answer {
  if (answer.kind !== 'found') return answer;
  return {
    ...answer,
    warning: `110 gantry "Response is Stale", 299 gantry "The upstream ${name} cannot be asked: ${code}"`,
  };
}
