/**
 * Answers for repositories that are filled from another registry. What is stored is answered from storage like anything else; what is not is fetched, stored, and then
 * answered from what was stored. An upstream that cannot be asked never makes a 404: what is stored goes on being answered, with a `Warning`; for the rest there is a
 * 503 with a reason.
 */
import { OriginError } from '../../origin/errors.ts';
import { assertNever } from '../../registry/errors.ts';
import { type Answer, type Elsewhere, refused } from '../gateway/answer.ts';
import type { Asked } from '../gateway/asked.ts';
import { pathOf, type Question } from '../gateway/question.ts';
import { type FillContext, noteOutage, type Pull, waitOf } from './pull.ts';
import { pullBlob } from './pull-blob.ts';
import { pullManifest } from './pull-manifest.ts';
import { pullTag } from './pull-tag.ts';
import { pullReferrers, pullTagList } from './pull-list.ts';
import { remoteName, upstreamOf } from './upstream.ts';

/** Answers, from storage or from the upstream. Throws StorageError and what says that a record is damaged. */
export async function answerThrough(
  question: Exclude<Question, { kind: 'catalog' }>,
  asked: Asked,
  context: FillContext,
): Promise<Answer | Elsewhere> {
  const { rule } = context;
  const upstream = upstreamOf(rule);
  try {
    const pull: Pull = { ...context, upstream, remote: remoteName(rule, question.name) };
    switch (question.kind) {
      case 'manifest': {
        const { name, reference } = question;
        return reference.kind === 'tag'
          ? await pullTag(pull, name, reference.tag)
          : await pullManifest(pull, name, reference.digest);
      }
      case 'blob':
      case 'blob-presence':
        return await pullBlob(pull, question, asked);
      case 'tag-list':
        return await pullTagList(pull, question);
      case 'referrers':
        return await pullReferrers(pull, question);
      case 'v1-images':
        return await context.answerStored();
      default:
        return assertNever(question);
    }
  } catch (error) {
    if (!(error instanceof OriginError)) throw error;
    noteOutage(upstream, error, pathOf(question));
    return refused('upstream-unavailable', {
      detail: { upstream: rule.name, code: error.code },
      headers: { 'retry-after': String(Math.ceil(waitOf(error) / 1000)) },
    });
  }
}
