/** Opens the repositories of a configuration's entries. */
import type { RepositoryName } from '../../registry/name.ts';
import { CommandError } from '../cli/errors.ts';
import { isPulpTree, listPulpTree, openPulpRepository } from '../sources/pulp2.ts';
import { openRegistryAccess, type RegistryAccess } from '../sources/registry/access.ts';
import { openRegistryRepository } from '../sources/registry/repository.ts';
import type { SourceOptions, SourceRepository } from '../sources/source.ts';
import type { SyncEntry, SyncSource } from './config.ts';
import type { SyncSettings } from './settings.ts';
import { createPulp3Jobs } from './pulp3-jobs.ts';
import { globFilter } from './select.ts';
import type { Tracked } from './tracked.ts';

/** A repository to sync, or why it cannot be opened. */
export type SyncJob =
  | {
      readonly kind: 'repository';
      readonly from: string;
      readonly to: RepositoryName;
      readonly source: SourceRepository;
      readonly settings: SyncSettings;
      /** What a source that numbers its versions reports; undefined for others. */
      readonly tracked?: Tracked;
    }
  | { readonly kind: 'failed'; readonly from: string; readonly error: CommandError };

type Opened =
  (SourceRepository & { readonly tracked?: Tracked }) | { readonly from: string; readonly error: CommandError };

/** Opens sources, which share connections to registries. */
export interface SyncSources {
  jobs(entries: readonly SyncEntry[]): Promise<readonly SyncJob[]>;
  close(): Promise<void>;
}

type RegistrySyncSource = Extract<SyncSource, { kind: 'registry' }>;

/** Makes the opener of sources. */
export function openSyncSources(options: Pick<SourceOptions, 'env' | 'signal' | 'credsByHost'>): SyncSources {
  const pulp3 = createPulp3Jobs(options);
  const ways = new Map<string, RegistryAccess>();

  const wayOf = ({ tlsVerify, missing }: RegistrySyncSource): RegistryAccess => {
    const key = `${String(tlsVerify)} ${missing}`;
    const known = ways.get(key);
    const way = known ?? openRegistryAccess({ ...options, missing, ...(tlsVerify === undefined ? {} : { tlsVerify }) });
    ways.set(key, way);
    return way;
  };

  async function open(entry: SyncEntry, all: readonly SyncEntry[]): Promise<readonly Opened[]> {
    const { source } = entry;
    if (source.kind === 'pulp3') return pulp3.open(source, entry, all);
    if (source.kind === 'registry') return [await openRegistryRepository(source.remote, wayOf(source), options.signal)];
    if (!(await isPulpTree(source.path))) return [await openPulpRepository(source.path, options.signal)];
    const isWanted = globFilter(source.repositories);
    const found = await Promise.all(
      (await listPulpTree(source.path)).map(async (appFile) => {
        try {
          const repository = await openPulpRepository(appFile, options.signal);
          return isWanted(repository.name) ? [repository] : [];
        } catch (error) {
          // An unreadable repository of a tree does not stop the others.
          if (!(error instanceof CommandError)) throw error;
          return [{ from: `pulp2:${appFile}`, error }];
        }
      }),
    );
    return found.flat();
  }

  async function jobsOf(entry: SyncEntry, all: readonly SyncEntry[]): Promise<readonly SyncJob[]> {
    try {
      const opened = await open(entry, all);
      if (opened.length === 0)
        throw new CommandError(`${entry.from} has no repository that the entry selects`, {
          hint: 'Check "repositories".',
        });
      return opened.map((one): SyncJob => {
        if ('error' in one) return { kind: 'failed', ...one };
        const to = entry.rename(one.name);
        if (to !== null) {
          const { tracked } = one;
          const job = { kind: 'repository', from: one.title, to, source: one, settings: entry.settings } as const;
          return tracked === undefined ? job : { ...job, tracked };
        }
        return {
          kind: 'failed',
          from: one.title,
          error: new CommandError(`"to" gives no repository name for ${one.name}`),
        };
      });
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return [{ kind: 'failed', from: entry.from, error }];
    }
  }

  return {
    jobs: async (entries) => (await Promise.all(entries.map((entry) => jobsOf(entry, entries)))).flat().map(apart),
    close: async () => {
      await Promise.all([pulp3, ...ways.values()].map((way) => way.close()));
    },
  };
}

/** If two sources fill one repository, each would delete the other's tags. */
function apart(job: SyncJob, _index: number, all: readonly SyncJob[]): SyncJob {
  if (job.kind === 'failed' || job.settings.prune === 'none') return job;
  const others = all.filter((other) => other !== job && other.kind === 'repository' && other.to === job.to);
  if (others.length === 0) return job;
  const error = new CommandError(
    `${job.to} is filled from ${others.map(({ from }) => from).join(', ')} too, so nothing can be pruned there`,
    {
      hint: 'Give each its own "to", or remove "prune".',
    },
  );
  return { kind: 'failed', from: job.from, error };
}
