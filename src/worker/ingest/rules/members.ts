/** Readers of the members of an origin rule. Each throws {@link OriginRulesError}, which says what to write. */
import type { Credentials } from '../../../origin/auth.ts';
import { parsePlatform, type Platform } from '../../../registry/platform.ts';
import type { Fetch } from '../../../origin/transport.ts';

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

/** A binding that shows a client certificate to the hosts that it connects to (Workers' mTLS certificates). */
export interface ClientCertificate {
  readonly fetch: Fetch;
}

/** The binding that a rule names as its certificate; null without one. `bindings`: those of the Worker. */
export function certificateOf(
  value: unknown,
  upstream: URL,
  where: string,
  bindings: Readonly<Record<string, unknown>>,
): ClientCertificate | null {
  if (value === undefined) return null;
  if (typeof value !== 'string' || !/^[A-Za-z_]\w*$/.test(value))
    throw new OriginRulesError(`${where} must be the name of a binding, such as "PULP_CERTIFICATE".`);
  if (upstream.protocol !== 'https:')
    throw new OriginRulesError(`${where} needs an upstream with https: plain http has no client certificates.`);
  const binding = Object.hasOwn(bindings, value) ? bindings[value] : undefined;
  if (!isObject(binding) || typeof (binding as { fetch?: unknown }).fetch !== 'function') {
    throw new OriginRulesError(
      `${where} names the binding ${value}, which the Worker does not have. ` +
        `Add [[mtls_certificates]] with binding = "${value}" to wrangler.toml, or start gantry serve with --certificate ${value}=FILE,KEY.`,
    );
  }
  return binding as unknown as ClientCertificate;
}

/** A switch of a rule; off if it is absent. */
export function switchOf(value: unknown, where: string): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw new OriginRulesError(`${where} must be true or false.`);
  return value === true;
}

/** Credentials of a rule. */
export function toCredentials(value: unknown, where: string): Credentials {
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

/** The URL of an upstream, without a password in it. */
export function addressOf(value: unknown, where: string): URL {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new OriginRulesError(`${where} must be an address such as "https://registry.example.com", without /v2/.`);
  }
  if (url.username !== '' || url.password !== '')
    throw new OriginRulesError(`${where} must not contain a password: put it into the secret ORIGIN_CREDENTIALS.`);
  if (/\/v2\/?$/.test(url.pathname)) throw new OriginRulesError(`${where} must not end in /v2: that is added.`);
  return url;
}

/** Whether a URL leads to this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** URLs of token services. */
export function tokenServicesOf(value: unknown, where: string): readonly URL[] {
  return listOf(value).map((text) => {
    const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : null;
    const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url));
    if (url === null || !isSafe)
      throw new OriginRulesError(`${where} must be an https URL such as "https://auth.example.com", or several.`);
    return url;
  });
}

/** Hosts that an upstream may redirect to. */
export function redirectHostsOf(value: unknown, where: string): readonly string[] {
  return listOf(value).map((text) => {
    if (typeof text !== 'string' || !/^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?$/.test(text))
      throw new OriginRulesError(`${where} must be hosts such as "cdn.example.com" or "*.example.com", in lower case.`);
    return text;
  });
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [value];
}

/** The host of a registry, in lower case. */
export function hostOf(value: unknown, where: string): string {
  if (typeof value !== 'string' || !/^[a-z0-9.-]+(?::\d{1,5})?$/i.test(value))
    throw new OriginRulesError(`${where} must be a registry's host, such as "docker.io".`);
  return value.toLowerCase();
}

/** A time of a rule, in milliseconds. */
export function timeOf(rule: Readonly<Record<string, unknown>>, member: keyof typeof TIMES, where: string): number {
  const { otherwise, least, most } = TIMES[member];
  const seconds = rule[member] ?? otherwise;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds < least || seconds > most) {
    throw new OriginRulesError(
      `${where}.${member} must be a number of seconds between ${String(least)} and ${String(most)}.`,
    );
  }
  return seconds * SECOND;
}

/** Platforms of a list. */
export function platformsOf(value: unknown, where: string): readonly Platform[] {
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

/** Refuses members that are not allowed. */
export function onlyMembers(value: Readonly<Record<string, unknown>>, allowed: readonly string[], where: string): void {
  const extra = Object.keys(value).find((member) => !allowed.includes(member));
  if (extra !== undefined)
    throw new OriginRulesError(`${where} has the unknown member "${extra}". Allowed: ${allowed.join(', ')}.`);
}

/** A value, or what its JSON text says; undefined if it is empty. */
export function fromText(value: unknown, where: string): unknown {
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch (cause) {
    // A secret must not appear in a message: the cause of a JSON error quotes it.
    throw new OriginRulesError(`${where} is not JSON.`, where === 'ORIGIN_CREDENTIALS' ? {} : { cause });
  }
}

/** Whether a value is an object with members. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
