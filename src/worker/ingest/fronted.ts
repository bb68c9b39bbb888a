/**
 * Answers for repositories that are filled from an upstream registry. The bucket is read once. Where the bucket decides
 * alone, its answer is final; otherwise the code that talks to upstreams is imported and continues from that answer.
 * Pulls of stored images never load it.
 */
import { assertNever } from '../../registry/errors.ts';
import { referrersKey, tagKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { decodeOriginMark } from '../../registry/origin-mark.ts';
import type { Answer, Redirect } from '../gateway/answer.ts';
import type { RequestOptions } from '../gateway/registry-request.ts';
import { freshnessOf, lastComparisons } from './freshness.ts';
import type { OriginRule } from './origins.ts';
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
    case 'v1-images':
      return { answer: await answerStored(), info: null, isFinal: true };
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
