/** Readers of the members of an origin rule. Each throws {@link ConfigError}, which says what to write. */
import type { Credentials } from '../../../origin/auth.ts';
import { parsePlatform, type Platform } from '../../../registry/platform.ts';
import { isObject, type JsonObject } from '../../../registry/values/json.ts';
import { ConfigError, fields, type NumberLimits, numberOf, safeAddressOf, webAddressOf } from '../../config-reading.ts';
import type { Fetch } from '../../../origin/transport.ts';

const SECOND = 1_000;

/** In seconds: default, minimum and maximum. */
const TIMES = {
  lifetime: { otherwise: 300, least: 1, most: 604_800, unit: 'seconds' },
  stale: { otherwise: 86_400, least: 0, most: 31_536_000, unit: 'seconds' },
  grace: { otherwise: 86_400, least: 0, most: 31_536_000, unit: 'seconds' },
  timeout: { otherwise: 10, least: 1, most: 120, unit: 'seconds' },
} as const satisfies Readonly<Record<string, NumberLimits>>;

/** A binding that shows a client certificate to the hosts that it connects to (Workers' mTLS certificates). */
export interface ClientCertificate {
  readonly fetch: Fetch;
}

/** The binding that a rule names as its certificate; null without one. `bindings`: those of the Worker. */
export function certificateOf(
  value: unknown,
  upstream: URL,
  where: string,
  bindings: JsonObject,
): ClientCertificate | null {
  if (value === undefined) return null;
  if (typeof value !== 'string' || !/^[A-Za-z_]\w*$/.test(value))
    throw new ConfigError(`${where} must be the name of a binding, such as "PULP_CERTIFICATE".`);
  if (upstream.protocol !== 'https:')
    throw new ConfigError(`${where} needs an upstream with https: plain http has no client certificates.`);
  const binding = Object.hasOwn(bindings, value) ? bindings[value] : undefined;
  if (!isObject(binding) || typeof (binding as { fetch?: unknown }).fetch !== 'function') {
    throw new ConfigError(
      `${where} names the binding ${value}, which the Worker does not have. ` +
        `Add [[mtls_certificates]] with binding = "${value}" to wrangler.toml, or start gantry serve with --certificate ${value}=FILE,KEY.`,
    );
  }
  return binding as unknown as ClientCertificate;
}

/** A switch of a rule; off if it is absent. */
export function switchOf(value: unknown, where: string): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw new ConfigError(`${where} must be true or false.`);
  return value === true;
}

/** Credentials of a rule. */
export function toCredentials(value: unknown, where: string): Credentials {
  const given = fields(value, where, ['username', 'password', 'token', 'identityToken']);
  const { username, password, token, identityToken } = given;
  const count = Object.keys(given).length;
  if (isText(username) && isText(password) && count === 2) {
    if (username.includes(':')) throw new ConfigError(`${where}.username must not have a ":" in it (RFC 7617).`);
    return { kind: 'basic', username, password };
  }
  if (isText(token) && count === 1) return { kind: 'registry-token', token };
  if (isText(identityToken) && count === 1) return { kind: 'identity-token', token: identityToken };
  throw new ConfigError(
    `${where} must have username and password, or token alone, or identityToken alone, each a text that is not empty.`,
  );
}

/** The URL of an upstream, without a password in it. */
export function addressOf(value: unknown, where: string): URL {
  const url = webAddressOf(value);
  if (url === null)
    throw new ConfigError(`${where} must be an address such as "https://registry.example.com", without /v2/.`);
  if (url.username !== '' || url.password !== '')
    throw new ConfigError(`${where} must not contain a password: put it into the secret ORIGIN_CREDENTIALS.`);
  if (/\/v2\/?$/.test(url.pathname)) throw new ConfigError(`${where} must not end in /v2: that is added.`);
  return url;
}

/** URLs of token services. */
export function tokenServicesOf(value: unknown, where: string): readonly URL[] {
  return listOf(value).map((text) => {
    const url = safeAddressOf(text);
    if (url === null)
      throw new ConfigError(`${where} must be an https URL such as "https://auth.example.com", or several.`);
    return url;
  });
}

/** Hosts that an upstream may redirect to. */
export function redirectHostsOf(value: unknown, where: string): readonly string[] {
  return listOf(value).map((text) => {
    if (typeof text !== 'string' || !/^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?$/.test(text))
      throw new ConfigError(`${where} must be hosts such as "cdn.example.com" or "*.example.com", in lower case.`);
    return text;
  });
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [value];
}

/** The host of a registry, in lower case. */
export function hostOf(value: unknown, where: string): string {
  if (typeof value !== 'string' || !/^[a-z0-9.-]+(?::\d{1,5})?$/i.test(value))
    throw new ConfigError(`${where} must be a registry's host, such as "docker.io".`);
  return value.toLowerCase();
}

/** A time of a rule, in milliseconds. */
export function timeOf(rule: JsonObject, member: keyof typeof TIMES, where: string): number {
  return numberOf(rule[member], `${where}.${member}`, TIMES[member]) * SECOND;
}

/** Platforms of a list. */
export function platformsOf(value: unknown, where: string): readonly Platform[] {
  const list: unknown = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.length === 0)
    throw new ConfigError(`${where} must be an array such as ["linux/amd64", "linux/arm64"]. Leave it out for all.`);
  return list.map((text: unknown, index) => {
    const platform = typeof text === 'string' ? parsePlatform(text) : null;
    if (platform === null)
      throw new ConfigError(`${where}[${String(index)}] must be os/architecture or os/architecture/variant.`);
    return platform;
  });
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
