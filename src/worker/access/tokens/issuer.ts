import { ConfigError, fields, safeAddressOf, text, textList } from '../../config-reading.ts';

/**
 * Supported signature algorithms (RFC 7518, RFC 8037, RFC 9864), public-key ones only. With HS* anybody with the public
 * key could sign, and `none` has no signature.
 */
export const JWT_ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
  'Ed25519',
] as const satisfies readonly string[];

/** One of {@link JWT_ALGORITHMS}. */
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

/** The `iss` of tokens of the built-in `/token`. No other issuer may have it. */
export const OWN_ISSUER = 'gantry';

/** Source of an issuer's public keys. Several keys may be valid at once, so that keys can be rotated without a gap. */
export type IssuerKeys =
  | { readonly kind: 'remote'; readonly url: string }
  | { readonly kind: 'jwks'; readonly jwks: JsonWebKeys }
  | { readonly kind: 'pem'; readonly pems: readonly string[] };

/** A JSON Web Key Set (RFC 7517, section 5). */
export interface JsonWebKeys {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}

/** An external token issuer: Pulp 3, Harbor, distribution's token servers, or your own. */
export interface JwtIssuer {
  /** Its name in the `readers` of realms. */
  readonly name: string;
  /** The `iss` of its tokens. */
  readonly issuer: string;
  /** Values of `aud` that name this registry; one of them suffices. */
  readonly audience: readonly string[];
  readonly algorithms: readonly JwtAlgorithm[];
  readonly keys: IssuerKeys;
}

/** Reads `ACCESS.issuers.<name>`: `{issuer, audience, jwks | pem, algorithms?}`. Throws {@link ConfigError}. */
export function parseIssuer(name: string, value: unknown): JwtIssuer {
  const where = `ACCESS.issuers.${name}`;
  const row = fields(value, where, ['issuer', 'audience', 'jwks', 'pem', 'algorithms']);
  const issuer = text(row.issuer, `${where}.issuer`);
  if (issuer === OWN_ISSUER)
    throw new ConfigError(
      `${where}.issuer may not be "${OWN_ISSUER}": the built-in token endpoint signs with that name.`,
    );
  const audience = textList(row.audience ?? [], `${where}.audience`);
  if (audience.length === 0)
    throw new ConfigError(`${where}.audience is missing: a token made for another service must not open this one.`);
  const algorithms = textList(row.algorithms ?? JWT_ALGORITHMS, `${where}.algorithms`).map((given) => {
    const known = JWT_ALGORITHMS.find((algorithm) => algorithm === given);
    if (known === undefined)
      throw new ConfigError(`${where}.algorithms has "${given}". Allowed: ${JWT_ALGORITHMS.join(', ')}.`);
    return known;
  });
  if ((row.jwks === undefined) === (row.pem === undefined))
    throw new ConfigError(`${where} must have either jwks or pem.`);
  return {
    name,
    issuer,
    audience,
    algorithms,
    keys: row.pem === undefined ? jwksKeys(row.jwks, `${where}.jwks`) : pemKeys(row.pem, `${where}.pem`),
  };
}

function jwksKeys(value: unknown, where: string): IssuerKeys {
  if (typeof value === 'string') {
    // Keys fetched over plain HTTP could be replaced on the way; only loopback is safe.
    const url = safeAddressOf(value);
    if (url === null) throw new ConfigError(`${where} must be an https address, or the key set itself.`);
    return { kind: 'remote', url: url.href };
  }
  const { keys } = fields(value, where, ['keys']);
  if (!Array.isArray(keys) || keys.length === 0) throw new ConfigError(`${where}.keys must be an array of keys.`);
  const rows = keys.map((key: unknown, index) => {
    const row = fields(key, `${where}.keys[${String(index)}]`);
    if (row.kty === 'oct' || row.d !== undefined)
      throw new ConfigError(`${where}.keys[${String(index)}] is not a public key. Give public keys only.`);
    return row;
  });
  return { kind: 'jwks', jwks: { keys: rows } };
}

function pemKeys(value: unknown, where: string): IssuerKeys {
  const pems = textList(value, where).flatMap(splitPem);
  if (pems.length === 0 || !pems.every((pem) => /^-----BEGIN (?:PUBLIC KEY|CERTIFICATE)-----/.test(pem))) {
    throw new ConfigError(
      `${where} must be PEM of public keys ("BEGIN PUBLIC KEY") or certificates ("BEGIN CERTIFICATE").`,
    );
  }
  return { kind: 'pem', pems };
}

/** The PEM blocks of a text, in order. */
export function splitPem(pem: string): readonly string[] {
  return pem.match(/-----BEGIN [A-Z0-9 ]+-----[\s\S]+?-----END [A-Z0-9 ]+-----/g) ?? [];
}
