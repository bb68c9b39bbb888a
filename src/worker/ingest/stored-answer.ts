/** What the bucket alone answers about a repository that is filled from an upstream registry. */
import type { RepositoryName, Tag } from '../../registry/name.ts';
import type { ObjectInfo, ReadStore } from '../../registry/store.ts';
import { type Answer, refused } from '../gateway/answer.ts';
import type { RegistryRequest } from '../gateway/registry-request.ts';
import { observe } from '../storage/observed-store.ts';
import type { OriginRule } from './origins.ts';

/** A request for something in one repository. */
export type RepositoryRequest = Extract<RegistryRequest, { name: RepositoryName }>;

/** Answers a request from storage alone; `wrap` puts another store in front of the bucket. */
export type AnswerStored = (wrap?: (store: ReadStore) => ReadStore) => Promise<Answer>;

/** An answer from storage, and the facts of the object that it was made from: null if that object is not stored. */
export interface StoredAnswer {
  readonly answer: Answer;
  readonly info: ObjectInfo | null;
}

/** Answers from storage, and reports what the store said about the object with this key. */
export async function answerObserved(answerStored: AnswerStored, key: string): Promise<StoredAnswer> {
  let info: () => ObjectInfo | null = () => null;
  const answer = await answerStored((store) => {
    const observed = observe(store, key);
    info = observed.info;
    return observed.store;
  });
  return { answer, info: info() };
}

const UNKNOWN: ReadonlySet<string> = new Set(['name-unknown', 'tag-unknown', 'manifest-unknown', 'blob-unknown']);

/** Whether storage does not have what was requested, so that the upstream may have it. */
export function isUnknown(answer: Answer): boolean {
  return answer.kind === 'refused' && UNKNOWN.has(answer.reason);
}

/** The answer for a stored tag that the upstream has deleted. */
export function unknownTag(name: RepositoryName, tag: Tag): Answer {
  return refused('tag-unknown', { message: `The repository ${name} has no tag ${tag}.`, detail: { name, tag } });
}

/** The answer with a warning that it may be out of date (RFC 7234, section 5.5: codes 110 and 299). */
export function withWarning(answer: Answer, { name }: OriginRule, { code }: { readonly code: string }): Answer {
  if (answer.kind !== 'found') return answer;
  return {
    ...answer,
    warning: `110 gantry "Response is Stale", 299 gantry "The upstream ${name} cannot be asked: ${code}"`,
  };
}
