/**
 * Bearer tokens (Docker's "Token Authentication Specification" and "Token Authentication Implementation"): verifying
 * our own tokens and those of external issuers, and issuing our own. Imported with the first such token, so that public
 * pulls do not load jose.
 */
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  errors,
  exportJWK,
  importJWK,
  importPKCS8,
  importSPKI,
  importX509,
  jwtVerify,
  SignJWT,
} from 'jose';
import type { CryptoKey, JWK, JWTPayload, JWTVerifyGetKey, JWTVerifyOptions } from 'jose';
import { type IssuerKeys, type JwtIssuer, OWN_ISSUER, splitPem } from './issuer.ts';
import { objectOf } from '../../../registry/values/json.ts';

/** Allowed clock skew in seconds, as in distribution's registry. */
export const CLOCK_LEEWAY = 60;

/** One entry of the `access` claim. */
export interface AccessClaim {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** The claims of a valid token. */
export interface VerifiedToken {
  /** `own`: issued by our `/token`; otherwise the name of the issuer. */
  readonly by: { readonly own: true } | { readonly own: false; readonly issuer: string };
  readonly subject: string;
  readonly access: readonly AccessClaim[];
  /** Our own claim `realms`: realms that the catalogue may list. */
  readonly realms: readonly string[];
  readonly expires: Date;
}

/** Everything that verification needs. */
export interface Verifier {
  readonly issuers: readonly JwtIssuer[];
  /** PEM of our signing keys, and the audience of our tokens. */
  readonly own: { readonly pem: string; readonly audience: string } | null;
  readonly now: Date;
}

/** The issuer's keys could not be fetched, so the token could not be checked. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
}

/**
 * Verifies a token: signature, issuer, audience, `exp` (required), `nbf`, and the form of its claims. null if it is
 * invalid. Throws {@link KeysUnavailableError}.
 */
export async function verifyToken(token: string, { issuers, own, now }: Verifier): Promise<VerifiedToken | null> {
  try {
    // Not verified yet: it only selects the keys. jwtVerify compares it with the issuer's again.
    const { iss } = decodeJwt(token);
    const rules = { clockTolerance: CLOCK_LEEWAY, currentDate: now, requiredClaims: ['exp', 'aud'] };
    if (iss === OWN_ISSUER) {
      if (own === null) return null;
      const payload = await verifyWith(await ownKeys(own.pem), token, {
        ...rules,
        issuer: OWN_ISSUER,
        audience: own.audience,
        algorithms: ['ES256'],
      });
      return payload === null ? null : read(payload, { own: true });
    }
    const issuer = issuers.find((one) => one.issuer === iss);
    if (issuer === undefined) return null;
    const options = {
      ...rules,
      issuer: issuer.issuer,
      audience: [...issuer.audience],
      algorithms: [...issuer.algorithms],
    };
    const payload = await verifyWith(keysOf(issuer.keys), token, options);
    return payload === null ? null : read(payload, { own: false, issuer: issuer.name });
  } catch (error) {
    if (error instanceof KeysUnavailableError) throw error;
    if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A token of our own. */
export interface OwnClaims {
  readonly subject: string;
  readonly audience: string;
  readonly access: readonly AccessClaim[];
  readonly realms: readonly string[];
  readonly issued: Date;
  /** Seconds. */
  readonly lifetime: number;
}

/** Issues a token, signed with the first key of the PEM. */
export async function signToken(
  pem: string,
  { subject, audience, access, realms, issued, lifetime }: OwnClaims,
): Promise<string> {
  const [first] = await ownKeys(pem);
  if (first === undefined) throw new TypeError('TOKEN_SIGNING_KEY has no key');
  const seconds = Math.floor(issued.getTime() / 1000);
  return new SignJWT({ access, ...(realms.length > 0 && { realms }) })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: first.kid })
    .setIssuer(OWN_ISSUER)
    .setSubject(subject)
    .setAudience(audience)
    .setIssuedAt(seconds)
    .setNotBefore(seconds)
    .setExpirationTime(seconds + lifetime)
    .setJti(crypto.randomUUID())
    .sign(first.signing);
}

/** Keys to try in turn; a known `kid` selects one. */
type KeySource =
  | { readonly kind: 'set'; readonly get: JWTVerifyGetKey }
  | { readonly kind: 'tries'; readonly keys: readonly ((algorithm: string) => Promise<CryptoKey>)[] };

async function verifyWith(
  source: KeySource | readonly OwnKey[],
  token: string,
  options: JWTVerifyOptions,
): Promise<JWTPayload | null> {
  if ('kind' in source && source.kind === 'set') return verifyWithSet(source.get, token, options);
  const keys =
    'kind' in source
      ? source.keys
      : source.map(
          ({ verifying }) =>
            () =>
              Promise.resolve(verifying),
        );
  for (const key of keys) {
    try {
      return (await jwtVerify(token, ({ alg }) => key(alg), options)).payload;
    } catch (error) {
      // A key of another type than the token's algorithm cannot have signed it.
      if (!(
        error instanceof errors.JWSSignatureVerificationFailed ||
        error instanceof TypeError ||
        error instanceof DOMException
      ))
        throw error;
    }
  }
  return null;
}

async function verifyWithSet(
  get: JWTVerifyGetKey,
  token: string,
  options: JWTVerifyOptions,
): Promise<JWTPayload | null> {
  try {
    return (await jwtVerify(token, get, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (next) {
        if (!(next instanceof errors.JWSSignatureVerificationFailed)) throw next;
      }
    }
    return null;
  }
}

// Keys are imported, and remote key sets fetched, once per isolate. The map's keys come from the configuration, so it
// is bounded.
const sources = new WeakMap<IssuerKeys, KeySource>();

function keysOf(keys: IssuerKeys): KeySource {
  const kept = sources.get(keys);
  if (kept !== undefined) return kept;
  const made = makeSource(keys);
  sources.set(keys, made);
  return made;
}

function makeSource(keys: IssuerKeys): KeySource {
  switch (keys.kind) {
    case 'remote': {
      const remote = createRemoteJWKSet(new URL(keys.url));
      return {
        kind: 'set',
        get: async (header, token) => {
          try {
            return await remote(header, token);
          } catch (cause) {
            // "No such key" and "several keys" are results. Any other error means that the key set could not be read.
            const answers = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported];
            if (answers.some((kind) => cause instanceof kind)) throw cause;
            throw new KeysUnavailableError(`the key set at ${keys.url} could not be read`, { cause });
          }
        },
      };
    }
    case 'jwks':
      return { kind: 'set', get: createLocalJWKSet({ keys: keys.jwks.keys.map((key) => key as unknown as JWK) }) };
    case 'pem':
      return {
        kind: 'tries',
        keys: keys.pems.map(
          (pem) => (algorithm) =>
            pem.includes('BEGIN CERTIFICATE') ? importX509(pem, algorithm) : importSPKI(pem, algorithm),
        ),
      };
  }
}

interface OwnKey {
  readonly kid: string;
  readonly signing: CryptoKey;
  readonly verifying: CryptoKey;
}

let kept: { readonly pem: string; readonly keys: readonly OwnKey[] } | null = null;

async function ownKeys(pem: string): Promise<readonly OwnKey[]> {
  if (kept?.pem === pem) return kept.keys;
  const keys = await Promise.all(
    splitPem(pem).map(async (block): Promise<OwnKey> => {
      const signing = await importPKCS8(block, 'ES256', { extractable: true });
      const { kty, crv, x, y } = (await exportJWK(signing)) as Readonly<Record<string, string>>;
      const open = { kty, crv, x, y } as JWK;
      const verifying = await importJWK(open, 'ES256');
      if (verifying instanceof Uint8Array) throw new TypeError('TOKEN_SIGNING_KEY is not a P-256 key');
      return { kid: await calculateJwkThumbprint(open), signing, verifying };
    }),
  );
  kept = { pem, keys };
  return keys;
}

function read(payload: JWTPayload, by: VerifiedToken['by']): VerifiedToken | null {
  const { sub = '', exp, access = [], realms = [] } = payload as JWTPayload & { access?: unknown; realms?: unknown };
  if (exp === undefined || !Array.isArray(access) || !Array.isArray(realms)) return null;
  const claims = access.map(toClaim);
  if (claims.includes(null)) return null;
  return {
    by,
    subject: sub,
    access: claims.filter((claim) => claim !== null),
    realms: realms.filter((realm: unknown): realm is string => typeof realm === 'string'),
    expires: new Date(exp * 1000),
  };
}

function toClaim(value: unknown): AccessClaim | null {
  const { type, name, actions } = objectOf(value);
  if (typeof type !== 'string' || typeof name !== 'string' || !Array.isArray(actions)) return null;
  return { type, name, actions: actions.filter((action: unknown): action is string => typeof action === 'string') };
}
