/**
 * Origin rules: which repositories are filled from which upstream registry. Read strictly: a misunderstood rule could
 * send credentials to the wrong upstream.
 */
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import type { Platform } from '../../registry/platform.ts';
import { coversPattern, isRepositoryPattern } from '../../registry/values/name-pattern.ts';
import { isObject, type JsonObject } from '../../registry/values/json.ts';
import { ConfigError, fields, isLoopback, jsonOf, oneOf, numberOf } from '../config-reading.ts';
import type { Credentials } from '../../origin/auth.ts';
import type { MissingRule } from '../../origin/caller.ts';
import {
  addressOf,
  certificateOf,
  type ClientCertificate,
  hostOf,
  platformsOf,
  redirectHostsOf,
  switchOf,
  timeOf,
  toCredentials,
  tokenServicesOf,
} from './rules/members.ts';

/** One rule. Times in milliseconds. */
export interface OriginRule {
  /** Its name in logs, answers and `ORIGIN_CREDENTIALS`. */
  readonly name: string;
  /** A repository's name, or a prefix ending in `/*` that matches everything below it, or `*` alone. */
  readonly pattern: string;
  /** The URL of the upstream: scheme, host and the path below which `/v2/` lies. */
  readonly upstream: URL;
  /** The name of the repository at the upstream; a `*` is replaced by what the pattern's `*` matches. */
  readonly remote: string;
  /** The registry host that this rule mirrors: clients send it as `ns` (containerd). */
  readonly ns: string | null;
  readonly credentials: Credentials | null;
  /** Token services on other hosts that may receive the credentials. */
  readonly tokenServices: readonly URL[];
  /** Hosts that the upstream may redirect to, beside its own; `*.` stands for any subdomain. null: any public host. */
  readonly redirects: readonly string[] | null;
  /** How long a tag is served without comparing it with the upstream. */
  readonly lifetime: number;
  /** How long after that it is served at once while it is compared in the background. */
  readonly stale: number;
  /** How long a tag is kept after the upstream deleted it. */
  readonly grace: number;
  /** How long after the last pull garbage collection removes a fetched tag; null: never. */
  readonly expire: number | null;
  /** How long the upstream may take to answer, and to send more of a body. */
  readonly timeout: number;
  /**
   * How blobs that are not stored are served: streamed and stored, or by a redirect to where the upstream redirects to.
   */
  readonly blobs: 'stream' | 'redirect';
  /**
   * The platforms of a list that are fetched with a tag; null for all. Others are fetched when they are requested by
   * digest.
   */
  readonly platforms: readonly Platform[] | null;
  /** Bytes of the largest blob that is fetched. */
  readonly largest: number;
  /** Which 404 of the upstream means that something is absent: one with the error body of a registry, or any. */
  readonly missing: MissingRule;
  /**
   * What the upstream is. A Pulp 3 has one manifest for a tag, so no other form of it is looked for, and atomic
   * signatures.
   */
  readonly kind: 'registry' | 'pulp3';
  /** Whether the upstream's list for Flatpak is passed on. */
  readonly flatpak: boolean;
  /** Shown to the upstream. */
  readonly certificate: ClientCertificate | null;
}

/** The rules; the first that matches a repository's name counts. */
export type OriginRules = readonly OriginRule[];

const DAY = 86_400_000;

/** `expire`, in days: default, minimum and maximum; 0 stands for never. */
const EXPIRE = { otherwise: 90, least: 0, most: 3_650, unit: 'days (0 means never)', whole: true } as const;

/** `largest`, in MiB: default, minimum and maximum (10,000 parts of 8 MiB). */
const LARGEST = { otherwise: 16_384, least: 1, most: 80_000, unit: 'MiB', whole: true } as const;

const MEMBERS = [
  'name',
  'pattern',
  'upstream',
  'remote',
  'ns',
  'token',
  'redirects',
  'lifetime',
  'stale',
  'grace',
  'expire',
  'timeout',
  'blobs',
  'platforms',
  'largest',
  'missing',
  'kind',
  'flatpak',
  'certificate',
] as const;

/**
 * Reads `ORIGINS` (an array of rules, or its JSON) and `ORIGIN_CREDENTIALS` (an object by rule name, or its JSON).
 * Undefined gives no rules. `bindings`: those of the Worker, for certificates. Throws {@link ConfigError}.
 */
export function parseOrigins(value: unknown, credentials: unknown, bindings: JsonObject = {}): OriginRules {
  const given = jsonOf(value, 'ORIGINS');
  const secrets = jsonOf(credentials, 'ORIGIN_CREDENTIALS') ?? {};
  if (!isObject(secrets))
    throw new ConfigError(
      'ORIGIN_CREDENTIALS must be an object: {"<name of the rule>": {"username": …, "password": …}}.',
    );
  if (given !== undefined && !Array.isArray(given))
    throw new ConfigError('ORIGINS must be an array of rules: [{"name": …, "pattern": …, "upstream": …}].');
  const rules = ((given ?? []) as readonly unknown[]).map((rule, index) =>
    toRule(rule, `ORIGINS[${String(index)}]`, secrets, bindings),
  );
  for (const [index, { name, pattern, ns }] of rules.entries()) {
    const earlier = rules.slice(0, index);
    if (earlier.some((other) => other.name === name))
      throw new ConfigError(`ORIGINS has two rules named "${name}". Each needs a name of its own.`);
    if (ns !== null && earlier.some((other) => other.ns === ns))
      throw new ConfigError(`ORIGINS has two rules with ns "${ns}". One host has one upstream.`);
    const first = earlier.find((other) => coversPattern(other.pattern, pattern));
    if (first !== undefined) {
      throw new ConfigError(
        `The rule "${name}" of ORIGINS never applies: "${first.name}" is before it and matches all of ${pattern}. Put the narrower one first.`,
      );
    }
  }
  const stray = Object.keys(secrets).find((name) => !rules.some((rule) => rule.name === name));
  if (stray !== undefined)
    throw new ConfigError(`ORIGIN_CREDENTIALS names "${stray}", which is not a rule of ORIGINS.`);
  return rules;
}

/** The rule that fills a repository; null if none does. */
export function originOf(rules: OriginRules, name: RepositoryName): OriginRule | null {
  return rules.find(({ pattern }) => partOf(pattern, name) !== null) ?? null;
}

/** Whether the upstream of a rule has the signature extension (`origin/signatures.ts`). */
export function hasSignatures({ kind }: Pick<OriginRule, 'kind'>): boolean {
  return kind === 'pulp3';
}

/** The repository that a rule fills from `remote` of its upstream; null if there is none, or another rule fills it. */
export function repositoryOf(rules: OriginRules, rule: OriginRule, remote: RepositoryName): RepositoryName | null {
  const name = repositoryAt(rule, remote);
  return name !== null && originOf(rules, name) === rule ? name : null;
}

function repositoryAt({ remote: there, pattern }: OriginRule, remote: RepositoryName): RepositoryName | null {
  const part = partOf(there, remote);
  return part === null ? null : parseRepositoryName(pattern.replace('*', () => part));
}

/** The name of a repository at the upstream; null if it is not valid. */
export function remoteNameOf({ pattern, remote }: OriginRule, name: RepositoryName): RepositoryName | null {
  const part = partOf(pattern, name);
  return part === null ? null : parseRepositoryName(remote.replace('*', () => part));
}

/**
 * The repository that a client requests by `name` of another registry (`ns`, which containerd sends to mirrors). If no
 * rule has a host, `ns` is ignored. Null if there are such rules and none for this host: another registry's repository
 * must not be served by one of the same name.
 */
export function localNameOf(rules: OriginRules, ns: string, name: RepositoryName): RepositoryName | null {
  if (rules.every((rule) => rule.ns === null)) return name;
  const rule = rules.find((one) => one.ns === ns.toLowerCase());
  if (rule === undefined) return null;
  return repositoryAt(rule, name);
}

/**
 * The repository that stands for `name` of Docker Hub, where a rule with the `ns` "docker.io" has one; null otherwise.
 * It is for Docker's `--registry-mirror`: Docker requests the names of Docker Hub, and sends no `ns`.
 */
export function dockerHubNameOf(rules: OriginRules, name: RepositoryName): RepositoryName | null {
  const isMirror = originOf(rules, name) === null && rules.some(({ ns }) => ns === 'docker.io');
  return isMirror ? localNameOf(rules, 'docker.io', name) : null;
}

/** The text that `*` matches, '' if the pattern has none; null if the name does not match. */
function partOf(pattern: string, name: string): string | null {
  if (pattern === '*') return name;
  if (!pattern.endsWith('/*')) return pattern === name ? '' : null;
  return name.startsWith(pattern.slice(0, -1)) ? name.slice(pattern.length - 1) : null;
}

function toRule(value: unknown, where: string, secrets: JsonObject, bindings: JsonObject): OriginRule {
  const row = fields(value, where, MEMBERS);
  const { name, pattern, upstream: address, remote = pattern, ns, token = [], redirects, platforms } = row;
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) {
    throw new ConfigError(`${where}.name must be lower-case letters, digits, ".", "_" and "-", at most 64 characters.`);
  }
  if (!isRepositoryPattern(pattern))
    throw new ConfigError(`${where}.pattern must be a repository name, a prefix ending in "/*", or "*".`);
  if (!isRepositoryPattern(remote) || remote.includes('*') !== pattern.includes('*')) {
    throw new ConfigError(
      `${where}.remote must be a repository name, or, exactly where the pattern ends in "*", a prefix ending in "/*" or "*" alone.`,
    );
  }
  const upstream = addressOf(address, `${where}.upstream`);
  const credentials = Object.hasOwn(secrets, name) ? toCredentials(secrets[name], `ORIGIN_CREDENTIALS.${name}`) : null;
  if (credentials !== null && upstream.protocol !== 'https:' && !isLoopback(upstream)) {
    throw new ConfigError(`${where}.upstream must be https: its credentials would be sent unencrypted.`);
  }
  return {
    name,
    pattern,
    upstream,
    remote,
    ns: ns === undefined ? null : hostOf(ns, `${where}.ns`),
    credentials,
    tokenServices: tokenServicesOf(token, `${where}.token`),
    redirects: redirects === undefined ? null : redirectHostsOf(redirects, `${where}.redirects`),
    lifetime: timeOf(row, 'lifetime', where),
    stale: timeOf(row, 'stale', where),
    grace: timeOf(row, 'grace', where),
    expire: expireOf(row, where),
    timeout: timeOf(row, 'timeout', where),
    blobs: oneOf(row.blobs, `${where}.blobs`, ['stream', 'redirect']),
    largest: numberOf(row.largest, `${where}.largest`, LARGEST) * 1024 * 1024,
    platforms: platforms === undefined ? null : platformsOf(platforms, `${where}.platforms`),
    missing: oneOf(row.missing, `${where}.missing`, ['registry', 'any']),
    kind: oneOf(row.kind, `${where}.kind`, ['registry', 'pulp3']),
    flatpak: switchOf(row.flatpak, `${where}.flatpak`),
    certificate: certificateOf(row.certificate, upstream, `${where}.certificate`, bindings),
  };
}

/** Whether the upstream of a rule may redirect to a URL. */
export function allowsRedirect({ upstream, redirects }: OriginRule, { host, origin }: URL): boolean {
  return (
    redirects === null ||
    origin === upstream.origin ||
    redirects.some((allowed) => (allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed))
  );
}

/** A pull is noted only after the lifetime, so `expire` must be well above it. */
function expireOf(value: JsonObject, where: string): number | null {
  const days = numberOf(value.expire, `${where}.expire`, EXPIRE);
  if (days > 0 && days * DAY <= 2 * timeOf(value, 'lifetime', where))
    throw new ConfigError(`${where}.expire must be more than twice the lifetime, or pulls could not be noted.`);
  return days === 0 ? null : days * DAY;
}

/** When a tag expires that was pulled `now`, as a part of its mark. Times in milliseconds. */
export function expiryFrom({ expire }: Pick<OriginRule, 'expire'>, now: number): { readonly expires?: number } {
  return expire === null ? {} : { expires: now + expire };
}
