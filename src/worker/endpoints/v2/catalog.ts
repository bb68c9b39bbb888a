/** `/v2/_catalog`: Docker Registry HTTP API v2, "Catalog" (not in the OCI distribution spec). */
import { CATALOG_KEY } from '../../../registry/keys.ts';
import type { RepositoryName } from '../../../registry/name.ts';
import type { ReadStore } from '../../../registry/store.ts';
import { visibleNames } from '../../access/visible-names.ts';
import type { Answer } from '../../gateway/answer.ts';
import { pathOf, type RegistryRequest, type RequestOptions } from '../../gateway/registry-request.ts';
import { openList } from '../../../bucket/list-page.ts';
import { answerList, answerNames } from './list-answer.ts';

/** Answers with the repositories in ASCII order: all, or those that `keep` accepts. */
export async function answerCatalog(
  request: Extract<RegistryRequest, { kind: 'catalog' }>,
  { head }: RequestOptions,
  store: ReadStore,
  keep: ((name: RepositoryName) => boolean) | null,
): Promise<Answer> {
  const { page } = request;
  const shape = {
    before: '{"repositories":[',
    after: ']}',
    nextPath: (last: string) => pathOf({ ...request, page: { n: page.n, last } }),
  };
  if (page.n === 0) return answerNames([], false, shape);
  if (keep !== null) {
    const { names, more } = await visibleNames(store, {
      after: page.last,
      limit: page.n ?? Number.MAX_SAFE_INTEGER,
      keep,
    });
    return answerNames(names, more, shape);
  }
  const list = await openList(store, CATALOG_KEY);
  return list === null ? answerNames([], false, shape) : answerList(list, page, head, shape);
}
