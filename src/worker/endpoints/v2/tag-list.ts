/** `/v2/<name>/tags/list`: OCI distribution spec 1.1, "Listing Tags". */
import { tagListKey } from '../../../registry/keys.ts';
import type { ReadStore } from '../../../registry/store.ts';
import type { Answer } from '../../gateway/answer.ts';
import { pathOf, type RegistryRequest, type RequestOptions } from '../../gateway/registry-request.ts';
import { openList } from '../../../bucket/list-page.ts';
import { repositoryUnknown } from './known-repository.ts';
import { answerList, answerNames } from './list-answer.ts';

/** Answers with the tags of a repository in ASCII order. */
export async function answerTagList(
  request: Extract<RegistryRequest, { kind: 'tag-list' }>,
  { head }: RequestOptions,
  store: ReadStore,
): Promise<Answer> {
  const { name, page } = request;
  const shape = {
    before: `{"name":${JSON.stringify(name)},"tags":[`,
    after: ']}',
    nextPath: (last: string) => pathOf({ ...request, page: { n: page.n, last } }),
  };
  const key = tagListKey(name);
  if (page.n === 0) return (await store.head(key)) === null ? repositoryUnknown(name) : answerNames([], false, shape);
  const list = await openList(store, key);
  return list === null ? repositoryUnknown(name) : answerList(list, page, head, shape);
}
