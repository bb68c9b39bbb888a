import { parseRepositoryName } from '../../registry/name.ts';
import { realmOf, type RealmName } from '../../registry/realms.ts';
import type { RobotTokenLine } from '../../registry/robot-token.ts';
import { type Caller, callerWithout, together } from './caller.ts';
import { type ClientCertificate, fits, isTrusted } from './certificate.ts';
import { serviceOf } from './challenge.ts';
import { type Credentials, readCredentials } from './credentials.ts';
import type { AccessClaim, VerifiedToken } from './tokens/jwt.ts';
import { type AccessPolicy, realmsOfIssuer, usesCertificates } from './policy.ts';
import { findRobotToken } from './tokens/robot-tokens.ts';

/**
 * The token that `/token` issues without credentials. It gives access to public repositories only, but Docker does not
 * continue without a token.
 */
export const GUEST_TOKEN = 'anonymous';

/** The credentials of a request. */
export interface Presented {
  readonly authorization: string | null;
  /** `request.cf.tlsClientAuth`; null without it. */
  readonly certificate: ClientCertificate | null;
}

/** Whether the request has credentials other than the guest token. */
export function presentsAnything(policy: AccessPolicy, { authorization, certificate }: Presented): boolean {
  const credentials = readCredentials(authorization);
  const something =
    credentials.kind !== 'none' && !(credentials.kind === 'bearer' && credentials.token === GUEST_TOKEN);
  return something || (certificate !== null && usesCertificates(policy) && isTrusted(certificate));
}

/** Options of {@link identify}. */
export interface IdentifyOptions {
  /** Whether tokens of our own `/token` count. `/token` itself says no: a token must not renew itself. */
  readonly ownTokens: boolean;
}

/**
 * Identifies the caller. `origin`: scheme and host of the client's request. Throws `KeysUnavailableError` if the keys
 * of a token's issuer could not be fetched.
 */
export async function identify(
  policy: AccessPolicy,
  { authorization, certificate }: Presented,
  origin: string,
  now: Date,
  options: IdentifyOptions = { ownTokens: true },
): Promise<Caller> {
  const byCredentials = await fromCredentials(policy, readCredentials(authorization), origin, now, options);
  return certificate === null ? byCredentials : together(byCredentials, fromCertificate(policy, certificate));
}

async function fromCredentials(
  policy: AccessPolicy,
  credentials: Credentials,
  origin: string,
  now: Date,
  { ownTokens }: IdentifyOptions,
): Promise<Caller> {
  switch (credentials.kind) {
    case 'none':
      return callerWithout('nobody');
    case 'unreadable':
      return callerWithout('refused');
    case 'basic':
      return fromRobotToken(policy, await findRobotToken(policy.robotTokens, credentials.password, now));
    case 'bearer': {
      if (credentials.token === GUEST_TOKEN) return callerWithout('guest');
      if (!credentials.token.includes('.'))
        return fromRobotToken(policy, await findRobotToken(policy.robotTokens, credentials.token, now));
      if (policy.issuers.length === 0 && policy.signingKeys === null) return callerWithout('refused');
      const { verifyToken } = await import('./tokens/jwt.ts');
      const own =
        policy.signingKeys === null || !ownTokens
          ? null
          : { pem: policy.signingKeys, audience: serviceOf(policy, origin) };
      const verified = await verifyToken(credentials.token, { issuers: policy.issuers, own, now });
      return verified === null ? callerWithout('refused') : fromToken(policy, verified);
    }
  }
}

function fromRobotToken(policy: AccessPolicy, line: RobotTokenLine | null): Caller {
  if (line === null) return callerWithout('refused');
  const realms = [...policy.protectedRealms].filter((realm) => line.realms.includes(realm));
  return {
    ...callerWithout('nobody'),
    standing: 'known',
    name: line.name,
    realms: new Set(realms),
    expires: line.expires,
  };
}

function fromToken(policy: AccessPolicy, { by, subject, access, realms, expires }: VerifiedToken): Caller {
  const within = by.own ? policy.protectedRealms : realmsOfIssuer(policy, by.issuer);
  const repositories = access
    .filter((claim) => claim.type === 'repository' && allows(claim, 'pull'))
    .filter(({ name }) => isWithin(policy, within, name));
  const catalogue = access.some(
    (claim) => claim.type === 'registry' && claim.name === 'catalog' && allows(claim, 'list'),
  );
  const listed = catalogue ? [...within].filter((realm) => !by.own || realms.includes(realm)) : [];
  return {
    ...callerWithout('nobody'),
    standing: 'known',
    name: subject,
    repositories: new Set(repositories.map(({ name }) => name)),
    listed: new Set(listed),
    expires,
  };
}

function fromCertificate(policy: AccessPolicy, certificate: ClientCertificate): Caller {
  const realms = policy.readers
    .filter(({ certificates }) => certificates.some((rule) => fits(rule, certificate)))
    .map(({ realm }) => realm);
  // A certificate without a matching rule is ignored: it may be for another service on the same host.
  return realms.length === 0
    ? callerWithout('nobody')
    : {
        ...callerWithout('nobody'),
        standing: 'known',
        name: certificate.certSubjectDNRFC2253,
        realms: new Set(realms),
      };
}

function allows({ actions }: AccessClaim, action: string): boolean {
  return actions.includes(action) || actions.includes('*');
}

function isWithin(policy: AccessPolicy, realms: ReadonlySet<RealmName>, text: string): boolean {
  const name = parseRepositoryName(text);
  return name !== null && realms.has(realmOf(policy.realms, name));
}
