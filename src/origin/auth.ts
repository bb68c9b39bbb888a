/**
 * Showing credentials to a registry: Basic, and Bearer as docker/distribution describes it ("Token Authentication Specification", "OAuth2").
 *
 * Nothing is sent until the registry asks. A token is kept for its scope and no other use: Pulp 3 refuses a repository's token at `/v2/`, so the ping has one of
 * its own, without a scope.
 */
import { type Challenge, parseChallenges } from '../http/challenge.ts';
import { toBase64 } from '../registry/base64.ts';
import { OriginError } from './errors.ts';
import { refuseRealm } from './policy.ts';
import { nameOf, statusError, type Transport } from './transport.ts';

/** What proves who we are. */
export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  /** A refresh token (`identitytoken` in Docker's configuration): exchanged for access tokens. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** An access token (`registrytoken`): sent as it is. */
  | { readonly kind: 'registry-token'; readonly token: string };

/** Credentials, or how to get them; asked once, when the registry wants some. Null: there are none. */
export type CredentialsProvider = Credentials | null | (() => Promise<Credentials | null>);

/** Answers challenges, and remembers how. */
export interface Authenticator {
  /** The `Authorization` for a scope, as far as is known without asking anew; undefined for none. */
  authorization(scope: string, signal?: AbortSignal): Promise<string | undefined>;
  /**
   * What to send after a 401: the `Authorization` for the next try, or null if there is nothing better than what was `sent`.
   * Throws {@link OriginError} if a token cannot be had.
   */
  answer(
    challenge: string | null,
    scope: string,
    sent: string | undefined,
    signal?: AbortSignal,
  ): Promise<string | null>;
}

/** How long a token holds that does not say, in seconds (distribution's token specification). */
const DEFAULT_EXPIRY = 60;

/** Most tokens kept; a long-lived client of a registry with many repositories would keep them all. */
const TOKENS_MAX = 1_000;

interface Token {
  readonly value: string;
  /** Not sent from then on, in milliseconds of the clock. */
  readonly until: number;
}

type Scheme =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: URL; readonly service: string | undefined };

/** Makes an authenticator for one registry. */
export function createAuthenticator(options: {
  readonly registry: URL;
  readonly credentials: CredentialsProvider;
  readonly transport: Transport;
  readonly userAgent: string;
}): Authenticator {
  const { registry, transport, userAgent } = options;
  const tokens = new Map<string, Promise<Token>>();
  let scheme: Scheme = { kind: 'none' };
  let known: Promise<Credentials | null> | undefined;

  const credentials = (): Promise<Credentials | null> => {
    if (known === undefined) {
      const asked =
        typeof options.credentials === 'function' ? options.credentials() : Promise.resolve(options.credentials);
      known = asked;
      // A helper that failed is asked again next time.
      asked.catch(() => {
        if (known === asked) known = undefined;
      });
    }
    return known;
  };

  async function fetchToken(
    realm: URL,
    service: string | undefined,
    scope: string,
    signal?: AbortSignal,
  ): Promise<Token> {
    const own = await credentials();
    const scopes = scope === '' ? [] : scope.split(' ');
    const headers: Record<string, string> = { 'user-agent': userAgent, accept: 'application/json' };
    const answer = await (own?.kind === 'identity-token'
      ? transport.ask({
          method: 'POST',
          url: realm,
          headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams([
            ['grant_type', 'refresh_token'],
            ['refresh_token', own.token],
            ['client_id', 'gantry'],
            ...(service === undefined ? [] : [['service', service]]),
            ...(scope === '' ? [] : [['scope', scope]]),
          ]).toString(),
          signal,
        })
      : transport.ask({
          method: 'GET',
          url: withQuery(realm, service, scopes),
          headers,
          authorization: own === null ? undefined : basic(own),
          signal,
        }));
    if (answer.status === 401 || answer.status === 403 || answer.status === 400) {
      const { message } = await statusError(answer, transport.clock.now());
      const who = own === null ? 'gives no token without credentials' : 'refuses the credentials';
      throw new OriginError('ORIGIN_UNAUTHORIZED', `the token service of ${registry.host} ${who} (${message})`, {
        status: answer.status,
      });
    }
    if (answer.status !== 200) throw await statusError(answer, transport.clock.now());
    return readToken(await answer.read(), realm, transport.clock.now());
  }

  function token(realm: URL, service: string | undefined, scope: string, signal?: AbortSignal): Promise<Token> {
    // The signal of the first to ask must not fail those who wait with it, so it is looked at by each alone.
    const fresh = fetchToken(realm, service, scope);
    const oldest = tokens.keys().next();
    if (tokens.size >= TOKENS_MAX && oldest.done !== true) tokens.delete(oldest.value);
    tokens.set(scope, fresh);
    fresh.catch(() => {
      if (tokens.get(scope) === fresh) tokens.delete(scope);
    });
    return abortable(fresh, signal);
  }

  async function headerOf(current: Scheme, scope: string, signal?: AbortSignal): Promise<string | undefined> {
    if (current.kind === 'none') return undefined;
    const own = await credentials();
    if (current.kind === 'basic') return own === null ? undefined : basic(own);
    if (own?.kind === 'registry-token') return `Bearer ${own.token}`;
    const kept = tokens.get(scope);
    if (kept !== undefined) {
      const { value, until } = await abortable(kept, signal);
      if (transport.clock.now() < until) return `Bearer ${value}`;
      // Whoever comes while the new one is being fetched waits for that one.
      if (tokens.get(scope) !== kept) return headerOf(current, scope, signal);
    }
    return `Bearer ${(await token(current.realm, current.service, scope, signal)).value}`;
  }

  return {
    authorization: (scope, signal) => headerOf(scheme, scope, signal),

    async answer(challenge, scope, sent, signal) {
      const challenges = challenge === null ? [] : parseChallenges(challenge);
      const bearer = find(challenges, 'bearer');
      const realm = bearer?.params.get('realm');
      if (bearer !== undefined && realm !== undefined) {
        const problem = refuseRealm(registry, realm, transport.policy);
        if (problem !== null) throw new OriginError('ORIGIN_POLICY', `${registry.host}: ${problem}`, { status: 401 });
        const next = { kind: 'bearer', realm: new URL(realm), service: bearer.params.get('service') } as const;
        scheme = next;
        const own = await credentials();
        if (own?.kind === 'registry-token') return sent === undefined ? `Bearer ${own.token}` : null;
        // Another request may have fetched a new token while this one was on its way with the old.
        const kept = tokens.get(scope);
        const value = kept === undefined ? undefined : await abortable(kept, signal).catch(() => undefined);
        if (value !== undefined && `Bearer ${value.value}` !== sent && transport.clock.now() < value.until)
          return `Bearer ${value.value}`;
        const asked = bearer.params.get('scope') ?? '';
        const fresh = await tokenFor(next, scope, asked, signal);
        return `Bearer ${fresh.value}`;
      }
      if (find(challenges, 'basic') !== undefined) {
        scheme = { kind: 'basic' };
        const own = await credentials();
        return own?.kind === 'basic' && sent === undefined ? (basic(own) ?? null) : null;
      }
      return null;
    },
  };

  // The registry knows best which scope it wants; ours is only what the token is kept under.
  async function tokenFor(
    bearer: Extract<Scheme, { kind: 'bearer' }>,
    scope: string,
    asked: string,
    signal?: AbortSignal,
  ): Promise<Token> {
    if (asked === '' || asked === scope) return token(bearer.realm, bearer.service, scope, signal);
    const fresh = await token(bearer.realm, bearer.service, asked, signal);
    tokens.set(scope, Promise.resolve(fresh));
    return fresh;
  }
}

function find(challenges: readonly Challenge[], scheme: string): Challenge | undefined {
  return challenges.find((challenge) => challenge.scheme.toLowerCase() === scheme);
}

function basic(credentials: Credentials): string | undefined {
  if (credentials.kind !== 'basic') return undefined;
  return `Basic ${toBase64(new TextEncoder().encode(`${credentials.username}:${credentials.password}`))}`;
}

function withQuery(realm: URL, service: string | undefined, scopes: readonly string[]): URL {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  return url;
}

function readToken(body: Uint8Array, realm: URL, now: number): Token {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch (cause) {
    throw new OriginError(
      'ORIGIN_PROTOCOL',
      `${nameOf(realm)} answered something else than JSON where a token was expected`,
      { cause },
    );
  }
  const {
    token,
    access_token: access,
    expires_in: expires,
  } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const text = typeof token === 'string' && token !== '' ? token : access;
  // What is no token68 or b64token could carry a header of its own.
  if (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text))
    throw new OriginError('ORIGIN_PROTOCOL', `${nameOf(realm)} answered without a token`);
  const seconds = typeof expires === 'number' && expires > 0 ? expires : DEFAULT_EXPIRY;
  // A token that ends on its way is a 401; a tenth of its life, ten seconds at most, is kept back.
  return { value: text, until: now + 1000 * (seconds - Math.min(10, seconds / 10)) };
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
