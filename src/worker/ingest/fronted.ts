/**
 * Answers for repositories that are filled from an upstream registry. The bucket is read once. Where the bucket decides
 * alone, its answer is final; otherwise the code that talks to upstreams is imported and continues from that answer.
 * Pulls of stored images never load it.
 */
import { assertNever } from '../../registry/errors.ts';
import { referrersKey, signaturesKey, tagKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { decodeOriginMark } from '../../registry/origin-mark.ts';
import { isExplained } from '../endpoints/v1-images.ts';
import type { Answer, Redirect } from '../gateway/answer.ts';
import type { RequestOptions } from '../gateway/registry-request.ts';
import { freshnessOf, lastComparisons } from './freshness.ts';
import { hasSignatures, type OriginRule } from './origins.ts';
import type { FillContext } from './pull.ts';
import {
  type AnswerStored,
  isUnknown,
  answerObserved,
  type RepositoryRequest,
  type StoredAnswer,
  unknownTag,
} from './stored-answer.ts';

/**
 * Answers from the bucket where that is enough, otherwise with the help of the upstream. Throws StorageError, and
 * errors for damaged records.
 */
export async function answerFronted(
  request: RepositoryRequest,
  options: RequestOptions,
  sources: FillContext,
): Promise<Answer | Redirect> {
  // The upstream always contributes to a tag list.
  if (request.kind === 'tag-list') return (await import('./pull-through.ts')).answerTagList(request, sources);
  const stored = await readStored(request, sources);
  if (stored.isFinal) return stored.answer;
  return (await import('./pull-through.ts')).answerThrough(request, options, sources, stored);
}

interface Stored extends StoredAnswer {
  /** Whether the upstream cannot change the answer. */
  readonly isFinal: boolean;
}

async function readStored(
  request: Exclude<RepositoryRequest, { kind: 'tag-list' }>,
  { rule, answerStored }: FillContext,
): Promise<Stored> {
  switch (request.kind) {
    case 'v1-images': {
      // Without an explanation from storage, the reason may be that the upstream fails.
      const answer = await answerStored();
      return { answer, info: null, isFinal: isExplained(answer) };
    }
    case 'signatures': {
      const { name, subject } = request;
      const stored = await answerObserved(answerStored, signaturesKey(name, subject));
      return { ...stored, isFinal: !hasSignatures(rule) || isCurrent(stored, rule) };
    }
    case 'referrers': {
      const stored = await answerObserved(answerStored, referrersKey(request.name, request.subject));
      return { ...stored, isFinal: stored.info !== null };
    }
    case 'manifest': {
      const { name, reference } = request;
      return reference.kind === 'tag' ? readTag(name, reference.tag, rule, answerStored) : readImmutable(answerStored);
    }
    case 'blob':
    case 'blob-presence':
      return readImmutable(answerStored);
    default:
      return assertNever(request);
  }
}

/** Whether a stored list of signatures need not be compared with the upstream now. */
function isCurrent({ info }: StoredAnswer, rule: OriginRule): boolean {
  if (info === null) return false;
  const now = Date.now();
  const freshness = freshnessOf(decodeOriginMark(info.metadata), lastComparisons(rule).get(info.key, now), rule, now);
  return freshness === 'published' || freshness === 'fresh';
}

/** What a digest names never changes once it is stored. */
async function readImmutable(answerStored: AnswerStored): Promise<Stored> {
  const answer = await answerStored();
  return { answer, info: null, isFinal: !isUnknown(answer) };
}

async function readTag(name: RepositoryName, tag: Tag, rule: OriginRule, answerStored: AnswerStored): Promise<Stored> {
  const stored = await answerObserved(answerStored, tagKey(name, tag));
  const { answer, info } = stored;
  if (info === null) return { ...stored, isFinal: !isUnknown(answer) };
  const now = Date.now();
  const freshness = freshnessOf(decodeOriginMark(info.metadata), lastComparisons(rule).get(info.key, now), rule, now);
  if (freshness === 'gone') return { answer: unknownTag(name, tag), info, isFinal: true };
  return { ...stored, isFinal: answer.awaitsSchema2 !== true && (freshness === 'published' || freshness === 'fresh') };
}
