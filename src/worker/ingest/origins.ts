/**
 * Origin rules: which repositories are filled from which upstream registry. Read strictly: a misunderstood rule could
 * send credentials to the wrong upstream.
 */
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import { parsePlatform, type Platform } from '../../registry/platform.ts';
import type { Credentials } from '../../origin/auth.ts';
import type { MissingRule } from '../../origin/caller.ts';

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
}

/** The rules; the first that matches a repository's name counts. */
export type OriginRules = readonly OriginRule[];

/** `ORIGINS` or `ORIGIN_CREDENTIALS` that is not valid, and what to do about it. */
export class OriginRulesError extends Error {
  override readonly name = 'OriginRulesError';
}

const SECOND = 1_000;

/** In seconds: default, minimum and maximum. */
const TIMES = {
  lifetime: { otherwise: 300, least: 1, most: 604_800 },
  stale: { otherwise: 86_400, least: 0, most: 31_536_000 },
  grace: { otherwise: 86_400, least: 0, most: 31_536_000 },
  timeout: { otherwise: 10, least: 1, most: 120 },
} as const;

const DAY = 86_400_000;

/** `expire`, in days: default, minimum and maximum; 0 stands for never. */
const EXPIRE = { otherwise: 90, least: 0, most: 3_650 } as const;

/** `largest`, in MiB: default, minimum and maximum (10,000 parts of 8 MiB). */
const LARGEST = { otherwise: 16_384, least: 1, most: 80_000 } as const;

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
] as const;

/**
 * Reads `ORIGINS` (an array of rules, or its JSON) and `ORIGIN_CREDENTIALS` (an object by rule name, or its JSON).
 * Undefined gives no rules. Throws {@link OriginRulesError}.
 */
export function parseOrigins(value: unknown, credentials: unknown): OriginRules {
  const given = fromText(value, 'ORIGINS');
  const secrets = fromText(credentials, 'ORIGIN_CREDENTIALS') ?? {};
  if (!isObject(secrets))
    throw new OriginRulesError(
      'ORIGIN_CREDENTIALS must be an object: {"<name of the rule>": {"username": …, "password": …}}.',
    );
  if (given !== undefined && !Array.isArray(given))
    throw new OriginRulesError('ORIGINS must be an array of rules: [{"name": …, "pattern": …, "upstream": …}].');
  const rules = ((given ?? []) as readonly unknown[]).map((rule, index) =>
    toRule(rule, `ORIGINS[${String(index)}]`, secrets),
  );
  for (const [index, { name, pattern, ns }] of rules.entries()) {
    const earlier = rules.slice(0, index);
    if (earlier.some((other) => other.name === name))
      throw new OriginRulesError(`ORIGINS has two rules named "${name}". Each needs a name of its own.`);
    if (ns !== null && earlier.some((other) => other.ns === ns))
      throw new OriginRulesError(`ORIGINS has two rules with ns "${ns}". One host has one upstream.`);
    const first = earlier.find((other) => covers(other.pattern, pattern));
    if (first !== undefined) {
      throw new OriginRulesError(
        `The rule "${name}" of ORIGINS never applies: "${first.name}" stands before it and takes all of ${pattern}. Put the narrower one first.`,
      );
    }
  }
  const stray = Object.keys(secrets).find((name) => !rules.some((rule) => rule.name === name));
  if (stray !== undefined)
    throw new OriginRulesError(`ORIGIN_CREDENTIALS names "${stray}", which is no rule of ORIGINS.`);
  return rules;
}

/** The rule that fills a repository; null if none does. */
export function originOf(rules: OriginRules, name: RepositoryName): OriginRule | null {
  return rules.find(({ pattern }) => partOf(pattern, name) !== null) ?? null;
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
  const part = partOf(rule.remote, name);
  return part === null ? null : parseRepositoryName(rule.pattern.replace('*', () => part));
}

/**
 * The repository that stands for `name` of Docker Hub, where a rule with the `ns` "docker.io" has one; null otherwise. It
 * is for Docker's `--registry-mirror`: Docker requests the names of Docker Hub, and sends no `ns`.
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

function covers(wide: string, narrow: string): boolean {
  return wide === '*' || wide === narrow || (wide.endsWith('/*') && narrow.startsWith(wide.slice(0, -1)));
}

function toRule(value: unknown, where: string, secrets: Readonly<Record<string, unknown>>): OriginRule {
  if (!isObject(value))
    throw new OriginRulesError(`${where} must be an object {"name": …, "pattern": …, "upstream": …}.`);
  onlyMembers(value, MEMBERS, where);
  const {
    name,
    pattern,
    upstream: address,
    remote = pattern,
    ns,
    token = [],
    redirects,
    blobs = 'stream',
    platforms,
    missing = 'registry',
  } = value;
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) {
    throw new OriginRulesError(
      `${where}.name must be lower-case letters, digits, ".", "_" and "-", at most 64 characters.`,
    );
  }
  if (!isPattern(pattern))
    throw new OriginRulesError(`${where}.pattern must be a repository name, a prefix ending in "/*", or "*".`);
  if (!isPattern(remote) || remote.includes('*') !== pattern.includes('*')) {
    throw new OriginRulesError(
      `${where}.remote must be a repository name, or, exactly where the pattern ends in "*", a prefix ending in "/*" or "*" alone.`,
    );
  }
  if (blobs !== 'stream' && blobs !== 'redirect')
    throw new OriginRulesError(`${where}.blobs must be "stream" or "redirect".`);
  if (missing !== 'registry' && missing !== 'any')
    throw new OriginRulesError(`${where}.missing must be "registry" or "any".`);
  const upstream = addressOf(address, `${where}.upstream`);
  const credentials = Object.hasOwn(secrets, name) ? toCredentials(secrets[name], `ORIGIN_CREDENTIALS.${name}`) : null;
  if (credentials !== null && upstream.protocol !== 'https:' && !isLoopback(upstream)) {
    throw new OriginRulesError(`${where}.upstream must be https: its credentials would cross the network in the open.`);
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
    lifetime: timeOf(value, 'lifetime', where),
    stale: timeOf(value, 'stale', where),
    grace: timeOf(value, 'grace', where),
    expire: expireOf(value, where),
    timeout: timeOf(value, 'timeout', where),
    blobs,
    largest: largestOf(value.largest, where),
    platforms: platforms === undefined ? null : platformsOf(platforms, `${where}.platforms`),
    missing,
  };
}

function toCredentials(value: unknown, where: string): Credentials {
  if (!isObject(value))
    throw new OriginRulesError(
      `${where} must be an object with username and password, with token, or with identityToken.`,
    );
  onlyMembers(value, ['username', 'password', 'token', 'identityToken'], where);
  const { username, password, token, identityToken } = value;
  const count = Object.keys(value).length;
  if (isText(username) && isText(password) && count === 2) {
    if (username.includes(':')) throw new OriginRulesError(`${where}.username must not have a ":" in it (RFC 7617).`);
    return { kind: 'basic', username, password };
  }
  if (isText(token) && count === 1) return { kind: 'registry-token', token };
  if (isText(identityToken) && count === 1) return { kind: 'identity-token', token: identityToken };
  throw new OriginRulesError(
    `${where} must have username and password, or token alone, or identityToken alone, each a text that is not empty.`,
  );
}

function addressOf(value: unknown, where: string): URL {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new OriginRulesError(
      `${where} must be an address such as "https://registry.example.com", below which /v2/ lies.`,
    );
  }
  if (url.username !== '' || url.password !== '')
    throw new OriginRulesError(`${where} must not have a password in it: put it into the secret ORIGIN_CREDENTIALS.`);
  if (/\/v2\/?$/.test(url.pathname)) throw new OriginRulesError(`${where} must not end in /v2: that is added.`);
  return url;
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

function tokenServicesOf(value: unknown, where: string): readonly URL[] {
  return listOf(value).map((text) => {
    const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : null;
    const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url));
    if (url === null || !isSafe)
      throw new OriginRulesError(`${where} must be an https URL such as "https://auth.example.com", or several.`);
    return url;
  });
}

function redirectHostsOf(value: unknown, where: string): readonly string[] {
  return listOf(value).map((text) => {
    if (typeof text !== 'string' || !/^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?$/.test(text))
      throw new OriginRulesError(`${where} must be hosts such as "cdn.example.com" or "*.example.com", in lower case.`);
    return text;
  });
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [value];
}

/** Whether the upstream of a rule may redirect to a URL. */
export function allowsRedirect({ upstream, redirects }: OriginRule, { host, origin }: URL): boolean {
  return (
    redirects === null ||
    origin === upstream.origin ||
    redirects.some((allowed) => (allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed))
  );
}

function hostOf(value: unknown, where: string): string {
  if (typeof value !== 'string' || !/^[a-z0-9.-]+(?::\d{1,5})?$/i.test(value))
    throw new OriginRulesError(`${where} must be a registry's host, such as "docker.io".`);
  return value.toLowerCase();
}

function timeOf(rule: Readonly<Record<string, unknown>>, member: keyof typeof TIMES, where: string): number {
  const { otherwise, least, most } = TIMES[member];
  const seconds = rule[member] ?? otherwise;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds < least || seconds > most) {
    throw new OriginRulesError(
      `${where}.${member} must be a number of seconds between ${String(least)} and ${String(most)}.`,
    );
  }
  return seconds * SECOND;
}

/** A pull is noted only after the lifetime, so `expire` must be well above it. */
function expireOf(value: Readonly<Record<string, unknown>>, where: string): number | null {
  const { otherwise, least, most } = EXPIRE;
  const days = value.expire ?? otherwise;
  if (typeof days !== 'number' || !Number.isInteger(days) || days < least || days > most)
    throw new OriginRulesError(
      `${where}.expire must be a whole number of days between ${String(least)} and ${String(most)}; 0 means never.`,
    );
  if (days > 0 && days * DAY <= 2 * timeOf(value, 'lifetime', where))
    throw new OriginRulesError(`${where}.expire must be more than twice the lifetime, or pulls could not be noted.`);
  return days === 0 ? null : days * DAY;
}

/** When a tag expires that was pulled `now`, as a part of its mark. Times in milliseconds. */
export function expiryFrom({ expire }: Pick<OriginRule, 'expire'>, now: number): { readonly expires?: number } {
  return expire === null ? {} : { expires: now + expire };
}

function largestOf(value: unknown, where: string): number {
  const { otherwise, least, most } = LARGEST;
  const size = value ?? otherwise;
  if (typeof size !== 'number' || !Number.isInteger(size) || size < least || size > most)
    throw new OriginRulesError(
      `${where}.largest must be a whole number of MiB between ${String(least)} and ${String(most)}.`,
    );
  return size * 1024 * 1024;
}

function platformsOf(value: unknown, where: string): readonly Platform[] {
  const list: unknown = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.length === 0)
    throw new OriginRulesError(
      `${where} must be an array such as ["linux/amd64", "linux/arm64"]. Leave it out for all.`,
    );
  return list.map((text: unknown, index) => {
    const platform = typeof text === 'string' ? parsePlatform(text) : null;
    if (platform === null)
      throw new OriginRulesError(`${where}[${String(index)}] must be os/architecture or os/architecture/variant.`);
    return platform;
  });
}

function isPattern(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  return value === '*' || parseRepositoryName(value.endsWith('/*') ? value.slice(0, -2) : value) !== null;
}

function onlyMembers(value: Readonly<Record<string, unknown>>, allowed: readonly string[], where: string): void {
  const extra = Object.keys(value).find((member) => !allowed.includes(member));
  if (extra !== undefined)
    throw new OriginRulesError(`${where} has a member "${extra}" that is not known. Allowed: ${allowed.join(', ')}.`);
}

function fromText(value: unknown, where: string): unknown {
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch (cause) {
    // A secret must not appear in a message: the cause of a JSON error quotes it.
    throw new OriginRulesError(`${where} is not JSON.`, where === 'ORIGIN_CREDENTIALS' ? {} : { cause });
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
