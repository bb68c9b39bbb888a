/**
 * Bearer tokens (Docker's "Token Authentication Specification" and "Token Authentication Implementation"): verifying
 * those of others and our own, and making our own. Loaded when the first such token arrives, so that jose is no part of
 * a public pull.
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

/** Seconds by which clocks may differ; distribution's registry allows the same. */
export const CLOCK_LEEWAY = 60;

/** One entry of the `access` claim. */
export interface AccessClaim {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** What a token that holds says. */
export interface VerifiedToken {
  /** `own`: made by our `/token`; else the name of the issuer. */
  readonly by: { readonly own: true } | { readonly own: false; readonly issuer: string };
  readonly subject: string;
  readonly access: readonly AccessClaim[];
  /** Our own claim `realms`: what the catalogue may show. */
  readonly realms: readonly string[];
  readonly expires: Date;
}

/** What is needed to verify. */
export interface Verifier {
  readonly issuers: readonly JwtIssuer[];
  /** PEM of our own signing keys, and the audience of our own tokens. */
  readonly own: { readonly pem: string; readonly audience: string } | null;
  readonly now: Date;
}

/** The issuer's keys could not be had, so nobody knows whether the token holds. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
}

/**
 * Verifies a token: signature, issuer, audience, `exp` (which it must have), `nbf`, and the form of its claims. null if
 * it does not hold. Throws {@link KeysUnavailableError}.
 */
export async function verifyToken(token: string, { issuers, own, now }: Verifier): Promise<VerifiedToken | null> {
  try {
    // Not verified yet: it only says whose keys to take, and jwtVerify compares it with the issuer's once more.
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

/** Makes a token, signed with the first key of the PEM. */
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

/** Keys to try in turn; `kid` narrows them where the token has one that we know. */
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
      // A key of another kind than the token's algorithm is one that did not sign it.
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

// Keys are imported, and remote sets fetched, once an isolate: the map's keys come from the configuration, so it does
// not grow.
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
            // What the set says ("no such key", "several") is an answer; anything else is a set that could not be read.
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
  if (typeof value !== 'object' || value === null) return null;
  const { type, name, actions } = value as Record<string, unknown>;
  if (typeof type !== 'string' || typeof name !== 'string' || !Array.isArray(actions)) return null;
  return { type, name, actions: actions.filter((action: unknown): action is string => typeof action === 'string') };
}
