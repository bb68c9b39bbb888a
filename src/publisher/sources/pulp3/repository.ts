/** `pulp3+https://HOST`: the repositories that a Pulp 3 distributes, read by its registry. */
import { parseRepositoryName, type RepositoryName } from '../../../registry/name.ts';
import { CommandError } from '../../cli/errors.ts';
import type { RegistryAccess } from '../registry/access.ts';
import { openRegistryRepository } from '../registry/repository.ts';
import type { SourceRepository } from '../source.ts';
import type { PulpApi, PulpDistribution } from './api.ts';

/** A repository that Pulp distributes. */
export interface Pulp3Repository {
  /** Stays when the distribution is renamed. */
  readonly id: string;
  /** The name at Pulp. */
  readonly name: RepositoryName;
  /** Whether Pulp lets only some read it. */
  readonly isPrivate: boolean;
  /** Identifies the served version: while it stays, no tag has moved. Null: nothing is served. One request. */
  readonly version: () => Promise<string | null>;
  readonly open: () => Promise<SourceRepository>;
}

/** Everything that a Pulp distributes to an account. */
export interface Pulp3Repositories {
  readonly repositories: readonly (Pulp3Repository | { readonly from: string; readonly error: CommandError })[];
  /** The names of all of them, by identity. */
  readonly all: ReadonlyMap<string, string>;
}

/** Lists the distributions. Throws {@link CommandError}. */
export async function listPulp3(
  api: PulpApi,
  access: RegistryAccess,
  signal?: AbortSignal,
): Promise<Pulp3Repositories> {
  const [distributions, pullThroughs] = await Promise.all([api.distributions(), api.pullThroughs()]);
  // Pulp copies the privacy of a cache to what is pulled through it, and not when it changes later.
  const inPrivateCache = new Set(pullThroughs.flatMap(({ isPrivate, distributions: own }) => (isPrivate ? own : [])));
  return {
    all: new Map(distributions.map(({ href, path }) => [href, path])),
    repositories: distributions.map((distribution) => {
      const { href, path } = distribution;
      const name = parseRepositoryName(path);
      if (name === null)
        return {
          from: `${api.host}/${path}`,
          error: new CommandError(`${api.host} distributes "${path}", which is not a valid repository name`, {
            hint: 'Change its base path in Pulp, or leave it out under "repositories".',
          }),
        };
      const isPrivate = distribution.isPrivate || inPrivateCache.has(href);
      return {
        id: href,
        name,
        isPrivate,
        version: () => versionOf(api, distribution),
        open: async () => {
          const repository = await openRegistryRepository({ host: api.host, name }, access, signal);
          return isPrivate ? asProtected(repository) : repository;
        },
      };
    }),
  };
}

function versionOf(api: PulpApi, { repository, version }: PulpDistribution): Promise<string | null> {
  if (version !== null) return Promise.resolve(version);
  return repository === null ? Promise.resolve(null) : api.latestVersion(repository);
}

/** Images of a private repository must not become public. */
function asProtected(repository: SourceRepository): SourceRepository {
  return {
    ...repository,
    open: async (tag, options) => {
      const image = await repository.open(tag, options);
      return image === null ? null : { ...image, protected: true };
    },
  };
}
