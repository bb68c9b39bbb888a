/** Entries with `pulp3+https://HOST` as jobs. Entries of one Pulp with one `to` share a listing. */
import type { CommandError } from '../cli/errors.ts';
import { usageError } from '../cli/errors.ts';
import { createPulpApi, type PulpApi } from '../sources/pulp3/api.ts';
import { listPulp3, type Pulp3Repositories } from '../sources/pulp3/repository.ts';
import { openRegistryAccess, type RegistryAccess } from '../sources/registry/access.ts';
import type { SourceOptions, SourceRepository } from '../sources/source.ts';
import type { Pulp3Source, SyncEntry } from './config.ts';
import { globFilter } from './select.ts';
import { syncStateId } from './state.ts';
import type { Listing, Tracked } from './tracked.ts';

/** A repository of a Pulp 3, or why it cannot be opened. */
export type OpenedPulp3 =
  (SourceRepository & { readonly tracked: Tracked }) | { readonly from: string; readonly error: CommandError };

/** Opens entries, which share connections and lists. */
export interface Pulp3Jobs {
  /** `all`: all entries of the configuration. Throws {@link CommandError}. */
  open(source: Pulp3Source, entry: SyncEntry, all: readonly SyncEntry[]): Promise<readonly OpenedPulp3[]>;
  close(): Promise<void>;
}

interface OpenPulp {
  readonly api: PulpApi;
  readonly access: RegistryAccess;
  readonly found: Promise<Pulp3Repositories>;
}

/** Makes the opener. */
export function createPulp3Jobs(options: Pick<SourceOptions, 'env' | 'signal' | 'credsByHost'>): Pulp3Jobs {
  const pulps = new Map<string, OpenPulp>();

  function pulpOf({ url, credentials, tlsVerify }: Pulp3Source): OpenPulp {
    const key = JSON.stringify([url.href, tlsVerify]);
    const known = pulps.get(key);
    if (known !== undefined) return known;
    const access = openRegistryAccess({
      ...options,
      scheme: url.protocol === 'http:' ? 'http' : 'https',
      ...(credentials !== undefined && { creds: credentialsIn(credentials, options.env) }),
      ...(tlsVerify !== undefined && { tlsVerify }),
    });
    const api = createPulpApi({ url, ...access.api(url.host), signal: options.signal });
    const opened = { api, access, found: listPulp3(api, access, options.signal) };
    // Each entry that waits for it gets the error.
    opened.found.catch(() => undefined);
    pulps.set(key, opened);
    return opened;
  }

  return {
    async open(source, entry, all) {
      const { api, found } = pulpOf(source);
      const { repositories, all: ids } = await found;
      const listing = listingOf(source, entry, all, { api, ids });
      const isWanted = globFilter(source.repositories);
      const opened = repositories.map(async (one): Promise<readonly OpenedPulp3[]> => {
        if ('error' in one) return [one];
        if (!isWanted(one.name)) return [];
        const { id, name, isPrivate, version } = one;
        const tracked = { listing, id, name, isPrivate, version, privateRealm: source.privateRealm };
        return [{ ...(await one.open()), tracked }];
      });
      return (await Promise.all(opened)).flat();
    },
    close: async () => {
      await Promise.all([...pulps.values()].map(({ access }) => access.close()));
    },
  };
}

function listingOf(
  source: Pulp3Source,
  { to, settings }: SyncEntry,
  all: readonly SyncEntry[],
  { api, ids }: { readonly api: PulpApi; readonly ids: ReadonlyMap<string, string> },
): Listing {
  const group = all.flatMap((entry) =>
    entry.source.kind === 'pulp3' && entry.source.url.href === source.url.href && entry.to === to
      ? [{ isWanted: globFilter(entry.source.repositories), prune: entry.settings.prune }]
      : [],
  );
  return {
    id: syncStateId(['pulp3', source.url.href, to]),
    title: api.host,
    all: ids,
    hasLeft: async (id) => !(await api.has(id)),
    isSelected: (from) => group.some(({ isWanted }) => isWanted(from)),
    // What no entry selects any more belongs to all of them.
    pruneOf: (from) =>
      group.find(({ isWanted }) => isWanted(from))?.prune ??
      (group.every(({ prune }) => prune === settings.prune) ? settings.prune : 'none'),
  };
}

function credentialsIn(variable: string, env: Readonly<NodeJS.ProcessEnv>): string {
  const value = env[variable];
  if (value === undefined || value === '')
    throw usageError(`the variable ${variable} is not set`, `Set it to USER:PASSWORD: "credentials" names it.`);
  if (!/^[^:\s][^:\r\n]*:[^\r\n]*$/.test(value))
    throw usageError(
      `the variable ${variable} is not USER:PASSWORD`,
      'Write the account and its password with a colon.',
    );
  return value;
}
