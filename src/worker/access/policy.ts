import { parseRobotTokenLines, type RobotTokenLine } from '../../registry/robot-token.ts';
import { parseRealmTable, PUBLIC_REALM, type RealmName, type RealmTable } from '../../registry/realms.ts';
import { ConfigError, fields, jsonOf, oneOf, optionalText, textList } from '../config-reading.ts';
import { type CertificateRule, parseCertificateRule } from './certificate.ts';
import { type JwtIssuer, parseIssuer } from './tokens/issuer.ts';

/**
 * The response of `GET /v2/` to a caller without credentials, if a realm is protected.
 * - `bearer`: 401 with a Bearer challenge. All clients can continue; without credentials they get a token for public
 * repositories.
 * - `basic`: 401 with a Basic challenge. Docker without credentials stops there ("no basic auth credentials"), for
 * public images too. For registries where everything is protected.
 * - `none`: 200. Docker, podman and skopeo then never send credentials; containerd and others that evaluate later
 * challenges do.
 */
export type LoginChallenge = 'bearer' | 'basic' | 'none';

/** Who may read a protected realm, beside the holders of its robot tokens. */
export interface RealmReaders {
  readonly realm: RealmName;
  /** Names of {@link AccessPolicy.issuers}. */
  readonly issuers: readonly string[];
  readonly certificates: readonly CertificateRule[];
}

/** The access policy, read from the tables `REALMS` and `ACCESS` and from secrets. */
export interface AccessPolicy {
  readonly realms: RealmTable;
  /** Realms of the table other than the public one. */
  readonly protectedRealms: ReadonlySet<RealmName>;
  readonly login: LoginChallenge;
  /** The registry's name in challenges and audiences; null: the host of the request. */
  readonly service: string | null;
  /** URL of an external token server; null: the built-in `/token`. */
  readonly authority: string | null;
  readonly issuers: readonly JwtIssuer[];
  readonly readers: readonly RealmReaders[];
  readonly robotTokens: readonly RobotTokenLine[];
  /**
   * PKCS#8 PEM of ES256 keys: the first signs the tokens of `/token`, all verify. null: `/token` returns the robot
   * token itself.
   */
  readonly signingKeys: string | null;
}

/** The values from the environment. Wrangler gives `vars` as JSON or as text. */
export interface AccessSource {
  readonly realms?: unknown;
  /** `DEFAULT_ACCESS`: of repositories that no rule of `realms` matches. */
  readonly defaultAccess?: unknown;
  readonly access?: unknown;
  /** The secrets `TOKENS` and `TOKENS_…`, by name. */
  readonly tokens?: Readonly<Record<string, string>>;
  readonly signingKeys?: string | undefined;
}

/**
 * Reads tables and secrets. Throws {@link ConfigError}, `RealmTableError` or `RobotTokenError`: an invalid rule
 * must not give access to what is meant to be protected.
 */
export function parseAccess(source: AccessSource): AccessPolicy {
  const realms = parseRealmTable(source.realms, source.defaultAccess);
  const protectedRealms = new Set(realms.map(({ realm }) => realm).filter((realm) => realm !== PUBLIC_REALM));
  const access = fields(jsonOf(source.access, 'ACCESS') ?? {}, 'ACCESS', [
    'login',
    'service',
    'authority',
    'issuers',
    'realms',
  ]);
  const service = optionalText(access.service, 'ACCESS.service') ?? null;
  if (service !== null && !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(service)) {
    throw new ConfigError(
      'ACCESS.service must be printable characters without spaces, quotes and backslashes, such as a host name.',
    );
  }
  const issuers = Object.entries(fields(access.issuers ?? {}, 'ACCESS.issuers')).map(([name, value]) =>
    parseIssuer(name, value),
  );
  const twice = issuers.find((one, index) => issuers.findIndex(({ issuer }) => issuer === one.issuer) !== index);
  if (twice !== undefined)
    throw new ConfigError(`ACCESS.issuers has the issuer "${twice.issuer}" twice. Give one entry all its keys.`);
  const readers = Object.entries(fields(access.realms ?? {}, 'ACCESS.realms')).map(([text, value]): RealmReaders => {
    const where = `ACCESS.realms.${text}`;
    const realm = [...protectedRealms].find((name) => name === text);
    if (realm === undefined)
      throw new ConfigError(
        `${where} names a realm that REALMS does not protect. Add a rule for it there, or take it out here.`,
      );
    const row = fields(value, where, ['issuers', 'certificates']);
    const names = textList(row.issuers ?? [], `${where}.issuers`);
    const stranger = names.find((name) => !issuers.some((issuer) => issuer.name === name));
    if (stranger !== undefined)
      throw new ConfigError(`${where}.issuers names "${stranger}", which is not in ACCESS.issuers.`);
    const certificates: unknown = row.certificates ?? [];
    if (!Array.isArray(certificates)) throw new ConfigError(`${where}.certificates must be an array.`);
    return {
      realm,
      issuers: names,
      certificates: certificates.map((rule: unknown, index) =>
        parseCertificateRule(rule, `${where}.certificates[${String(index)}]`),
      ),
    };
  });
  return {
    realms,
    protectedRealms,
    login: oneOf<LoginChallenge>(access.login, 'ACCESS.login', ['bearer', 'basic', 'none']),
    service,
    authority: authority(access.authority),
    issuers,
    readers,
    robotTokens: robotTokens(source.tokens ?? {}, protectedRealms),
    signingKeys: signingKeys(source.signingKeys),
  };
}

/** The tokens' lines. A realm that nothing is in means that a rule of `REALMS` is lost: what it protected is public. */
function robotTokens(
  secrets: Readonly<Record<string, string>>,
  protectedRealms: ReadonlySet<RealmName>,
): readonly RobotTokenLine[] {
  return Object.entries(secrets).flatMap(([secret, text]) => {
    const lines = parseRobotTokenLines(text, secret);
    const known: ReadonlySet<string> = new Set([...protectedRealms, PUBLIC_REALM]);
    for (const { name, realms } of lines) {
      const unknown = realms.find((realm) => !known.has(realm));
      if (unknown !== undefined)
        throw new ConfigError(
          `The secret ${secret} gives the token "${name}" the realm "${unknown}", which REALMS does not have. ` +
            'Without its rule, the repositories of this realm would be public. Add the rule to REALMS, or remove the line.',
        );
    }
    return lines;
  });
}

/** The realms that an issuer's tokens may open. */
export function realmsOfIssuer(policy: AccessPolicy, name: string): ReadonlySet<RealmName> {
  return new Set(policy.readers.filter(({ issuers }) => issuers.includes(name)).map(({ realm }) => realm));
}

/** Whether any realm accepts certificates: then responses depend on more than request headers. */
export function usesCertificates(policy: AccessPolicy): boolean {
  return policy.readers.some(({ certificates }) => certificates.length > 0);
}

function authority(value: unknown): string | null {
  const text = optionalText(value, 'ACCESS.authority');
  if (text === undefined) return null;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol) || text.includes('"')) {
    throw new ConfigError(
      'ACCESS.authority must be the address of a token server, such as "https://auth.example.com/token".',
    );
  }
  return text;
}

function signingKeys(text: string | undefined): string | null {
  if (text === undefined || text.trim() === '') return null;
  if (!text.includes('-----BEGIN PRIVATE KEY-----')) {
    throw new ConfigError(
      'The secret TOKEN_SIGNING_KEY must be a PKCS#8 PEM ("BEGIN PRIVATE KEY") of a P-256 key. `gantry token key` makes one.',
    );
  }
  return text;
}
