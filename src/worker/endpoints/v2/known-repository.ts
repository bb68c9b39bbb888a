import { tagListKey } from '../../../registry/keys.ts';
import type { RepositoryName } from '../../../registry/name.ts';
import type { ReadStore } from '../../../registry/store.ts';
import { type Refused, refused } from '../../gateway/answer.ts';

/**
 * Refuses what was not found: with `name-unknown` if the repository does not exist, otherwise with `otherwise`. Costs
 * one read.
 */
export async function refuseUnknown(store: ReadStore, name: RepositoryName, otherwise: Refused): Promise<Refused> {
  return (await store.head(tagListKey(name))) === null ? repositoryUnknown(name) : otherwise;
}

/** The refusal for a repository that does not exist. */
export function repositoryUnknown(name: RepositoryName): Refused {
  return refused('name-unknown', {
    message: `The repository ${name} is not known to this registry.`,
    detail: { name },
  });
}
