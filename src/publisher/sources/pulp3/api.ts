/**
 * The part of Pulp 3's REST API that a sync needs: which distributions there are, and which version of its repository
 * each serves (pulpproject.org, "Pulp Container REST API").
 */
import type { Credentials } from '../../../origin/auth.ts';
import { OriginError } from '../../../origin/errors.ts';
import { DEFAULT_POLICY, DEFAULT_TIMEOUTS } from '../../../origin/policy.ts';
import { addressOf, createTransport, type Fetch, statusError } from '../../../origin/transport.ts';
import { type Clock, SYSTEM_CLOCK } from '../../../registry/clock.ts';
import { isObject, type JsonObject, parseJson } from '../../../registry/values/json.ts';
import { CommandError } from '../../cli/errors.ts';

/** A distribution: a repository of images under a path. */
export interface PulpDistribution {
  /** Its address in the API, which stays when the path changes. */
  readonly href: string;
  /** The name by which clients pull. */
  readonly path: string;
  /** The address of the repository whose latest version is served; null if there is none. */
  readonly repository: string | null;
  /** The address of the one version that is served instead; null if there is none. */
  readonly version: string | null;
  readonly isPrivate: boolean;
}

/** A pull-through distribution: a cache of another registry, with a distribution for each repository in it. */
export interface PulpPullThrough {
  /** What the names of its repositories begin with. */
  readonly path: string;
  readonly isPrivate: boolean;
  /** The addresses of its distributions. */
  readonly distributions: readonly string[];
}

/** The API. Every method throws {@link CommandError}, or the signal's reason. */
export interface PulpApi {
  readonly host: string;
  /** All distributions that the account may see: one request for a hundred. */
  distributions(): Promise<readonly PulpDistribution[]>;
  /** All pull-through distributions; none where Pulp does not have them yet. */
  pullThroughs(): Promise<readonly PulpPullThrough[]>;
  /** The address of a repository's latest version; null if the repository does not exist. */
  latestVersion(repository: string): Promise<string | null>;
  /** Whether a resource exists, as far as the account may see it. */
  has(href: string): Promise<boolean>;
}

/** The options of {@link createPulpApi}. */
export interface PulpApiOptions {
  /** `https://host[:port]`. */
  readonly url: URL;
  readonly fetch: Fetch;
  /** The account; null for none. */
  readonly login: () => Promise<Credentials | null>;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock;
}

const API = '/pulp/api/v3/';

/** Where newer versions of pulp_container have the path of a pull-through distribution: its base path is random. */
const PULL_THROUGH_LABEL = 'pulp_container.pull_through';

/** Entries of one page. Pulp's own default. */
const PAGE = 100;

/** Pages of one list at most. */
const MAX_PAGES = 1_000;

/** How often a list is read that changes meanwhile. */
const LIST_ATTEMPTS = 4;

/** Makes a client. */
export function createPulpApi({ url: base, fetch, login, signal, clock = SYSTEM_CLOCK }: PulpApiOptions): PulpApi {
  const { host } = base;
  const transport = createTransport({ fetch, policy: DEFAULT_POLICY, timeouts: DEFAULT_TIMEOUTS, clock });
  let account: Promise<Credentials | null> | undefined;

  async function authorization(): Promise<string | undefined> {
    const found = await (account ??= login());
    if (found === null) return undefined;
    if (found.kind !== 'basic')
      throw new CommandError(`the login for ${host} is a token, which Pulp's REST API does not take`, {
        hint: 'Name a variable with USER:PASSWORD as "credentials" of the entry.',
      });
    return `Basic ${Buffer.from(`${found.username}:${found.password}`).toString('base64')}`;
  }

  /** A document; null for 404. */
  async function read(path: string): Promise<JsonObject | null> {
    const url = new URL(path, base);
    if (url.origin !== base.origin)
      throw new CommandError(`${host} names an address on another host: ${url.origin}`, {
        hint: 'Check the web server in front of Pulp.',
      });
    try {
      return await transport.withRetry(async () => {
        const headers = { 'user-agent': 'gantry', accept: 'application/json' };
        const response = await transport.send({
          method: 'GET',
          url,
          headers,
          authorization: await authorization(),
          signal,
        });
        if (response.status === 404) {
          await response.discard();
          return null;
        }
        if (response.status !== 200) throw await statusError(response, clock.now());
        return objectOf(parseJson(await response.read()), addressOf(url));
      }, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof OriginError)) throw error;
      throw new CommandError(error.message, { ...hintOf(error, (await account) !== null), cause: error });
    }
  }

  function hintOf({ code, message }: OriginError, hasLogin: boolean): { hint?: string } {
    switch (code) {
      case 'ORIGIN_UNAUTHORIZED':
        return {
          hint: hasLogin
            ? `Pulp refuses the account for ${host}: check USER:PASSWORD.`
            : 'Name a variable with USER:PASSWORD as "credentials" of the entry.',
        };
      case 'ORIGIN_DENIED':
        return {
          hint: 'Give the account the roles container.containernamespace_consumer and container.containerrepository_viewer.',
        };
      case 'ORIGIN_UNAVAILABLE':
        return { hint: message.includes('TLS fails') ? 'Check the certificate of Pulp.' : 'Check that Pulp is up.' };
      default:
        return {};
    }
  }

  /** All pages of a list. Read again if entries come or go meanwhile, since then a page may lack one; null for 404. */
  async function list<T>(
    path: string,
    entry: (value: JsonObject) => readonly [string, T],
  ): Promise<readonly T[] | null> {
    for (let attempt = 1; attempt <= LIST_ATTEMPTS; attempt += 1) {
      const found = new Map<string, T>();
      const counts = new Set<number>();
      for (let offset = 0, pages = 0, more = true; more; pages += 1) {
        const page = await read(`${path}?limit=${String(PAGE)}&offset=${String(offset)}&ordering=pulp_created`);
        if (page === null && offset === 0) return null;
        const { count, next, results } = page ?? {};
        if (typeof count !== 'number' || !Array.isArray(results) || (next !== null && results.length === 0))
          throw notPulp(`${host}${path}`, 'did not answer with a page of a list');
        if (pages >= MAX_PAGES) throw new CommandError(`${host}${path} has more than ${String(MAX_PAGES)} pages`);
        for (const value of results as readonly unknown[]) {
          const [key, one] = entry(objectOf(value, `${host}${path}`));
          found.set(key, one);
        }
        counts.add(count);
        offset += results.length;
        more = next !== null;
      }
      if (counts.size === 1 && counts.has(found.size)) return [...found.values()];
    }
    throw new CommandError(`${host}${path} changed while it was read, ${String(LIST_ATTEMPTS)} times`, {
      hint: 'Sync again when fewer distributions come and go.',
    });
  }

  const versions = new Map<string, Promise<string | null>>();
  return {
    host,

    async distributions() {
      const path = `${API}distributions/container/container/`;
      const found = await list(path, (value) => {
        const href = textOf(value, 'pulp_href', path);
        return [
          href,
          {
            href,
            path: textOf(value, 'base_path', path),
            repository: textOrNull(value, 'repository', path),
            version: textOrNull(value, 'repository_version', path),
            isPrivate: value.private !== false,
          },
        ];
      });
      if (found === null) throw notPulp(`${host}${path}`, 'answered 404');
      return found;
    },

    async pullThroughs() {
      const path = `${API}distributions/container/pull-through/`;
      const found = await list(path, (value) => {
        const { distributions, pulp_labels: labels } = value;
        const label = (labels as JsonObject | null | undefined)?.[PULL_THROUGH_LABEL];
        return [
          textOf(value, 'pulp_href', path),
          {
            path: typeof label === 'string' ? label : textOf(value, 'base_path', path),
            isPrivate: value.private !== false,
            distributions: Array.isArray(distributions)
              ? distributions.filter((one): one is string => typeof one === 'string')
              : [],
          },
        ];
      });
      return found ?? [];
    },

    latestVersion(repository) {
      let version = versions.get(repository);
      if (version === undefined) {
        version = read(repository).then((value) =>
          value === null ? null : textOf(value, 'latest_version_href', repository),
        );
        versions.set(repository, version);
      }
      return version;
    },

    has: async (href) => (await read(href)) !== null,
  };
}

function notPulp(where: string, what: string): CommandError {
  return new CommandError(`${where} ${what}: this is not the REST API of Pulp 3 with its container plugin`, {
    hint: 'Write the address of Pulp itself, without a path: pulp3+https://pulp.example.com.',
  });
}

function objectOf(value: unknown, where: string): JsonObject {
  if (!isObject(value)) throw notPulp(where, 'did not answer with a JSON object');
  return value;
}

function textOf(value: JsonObject, member: string, where: string): string {
  const text = value[member];
  if (typeof text !== 'string' || text === '') throw notPulp(where, `answered without "${member}"`);
  return text;
}

function textOrNull(value: JsonObject, member: string, where: string): string | null {
  return value[member] === null || value[member] === undefined ? null : textOf(value, member, where);
}
