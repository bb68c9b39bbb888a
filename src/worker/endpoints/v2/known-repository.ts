import { tagListKey } from '../../../registry/keys.ts';
import type { RepositoryName } from '../../../registry/name.ts';
import type { ReadStore } from '../../../registry/store.ts';
import { type Refused, refused } from '../../gateway/answer.ts';

/** For what was not found: that the repository is not known, or else what `otherwise` says. Costs one read. */
export async function refuseUnknown(store: ReadStore, name: RepositoryName, otherwise: Refused): Promise<Refused> {
  return (await store.head(tagListKey(name))) === null ? repositoryUnknown(name) : otherwise;
}

/** That nothing was published under the name. */
export function repositoryUnknown(name: RepositoryName): Refused {
  return refused('name-unknown', {
    message: `The repository ${name} is not known to this registry.`,
    detail: { name },
  });
}
