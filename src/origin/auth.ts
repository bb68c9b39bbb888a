/**
 * Authentication at a registry: Basic, and Bearer as docker/distribution describes it ("Token Authentication
 * Specification", "OAuth2").
 *
 * Credentials are sent only after a challenge. A token is cached by scope and used for no other one: Pulp 3 refuses a
 * repository's token at `/v2/`, so the ping has its own token without a scope.
 */
import { type Challenge, parseChallenges } from '../http/challenge.ts';
import { toBase64 } from '../registry/base64.ts';
import { objectOf } from '../registry/values/json.ts';
import { OriginError } from './errors.ts';
import { refuseRealm } from './policy.ts';
import { addressOf, statusError, type Transport } from './transport.ts';

/** Credentials for a registry or its token service. */
export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  /** A refresh token (`identitytoken` in Docker's configuration): exchanged for access tokens. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** An access token (`registrytoken`): sent as it is. */
  | { readonly kind: 'registry-token'; readonly token: string };

/** Credentials, or a function that loads them once, after the first challenge. Null: anonymous access. */
export type CredentialsProvider = Credentials | null | (() => Promise<Credentials | null>);

/** Answers challenges and caches tokens. */
export interface Authenticator {
  /** The `Authorization` for a scope, by the last challenge; undefined if none is needed so far. */
  authorization(scope: string, signal?: AbortSignal): Promise<string | undefined>;
  /**
   * The `Authorization` for the next attempt after a 401; null if there is nothing better than `sent`.
   * Throws {@link OriginError} if the token service issues no token.
   */
  answer(
    challenge: string | null,
    scope: string,
    sent: string | undefined,
    signal?: AbortSignal,
  ): Promise<string | null>;
}

/** Lifetime of a token without `expires_in`, in seconds (distribution's token specification). */
const DEFAULT_EXPIRY = 60;

/** Bytes of a token response: the limit of containers/image (`internal/iolimits`). */
const TOKEN_RESPONSE_MAX = 1024 * 1024;

/** Characters of a token: servers refuse longer headers, and many tokens are cached. */
const TOKEN_MAX = 16 * 1024;

/** Most cached tokens, for long-lived clients of registries with many repositories. */
const TOKENS_MAX = 1_000;

interface Token {
  readonly value: string;
  /** When it is no longer sent, in milliseconds of the clock. */
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
  let loaded: Promise<Credentials | null> | undefined;

  const credentials = (): Promise<Credentials | null> => {
    if (loaded === undefined) {
      const loading =
        typeof options.credentials === 'function' ? options.credentials() : Promise.resolve(options.credentials);
      loaded = loading;
      // A failed credential helper runs again next time.
      loading.catch(() => {
        if (loaded === loading) loaded = undefined;
      });
    }
    return loaded;
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
    const response = await (own?.kind === 'identity-token'
      ? transport.send({
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
      : transport.send({
          method: 'GET',
          url: withQuery(realm, service, scopes),
          headers,
          authorization: own === null ? undefined : basic(own),
          signal,
        }));
    if (response.status === 401 || response.status === 403 || response.status === 400) {
      const { message } = await statusError(response, transport.clock.now());
      const who = own === null ? 'returns no token without credentials' : 'refuses the credentials';
      throw new OriginError('ORIGIN_UNAUTHORIZED', `the token service of ${registry.host} ${who} (${message})`, {
        status: response.status,
      });
    }
    if (response.status !== 200) throw await statusError(response, transport.clock.now());
    return readToken(await response.read(TOKEN_RESPONSE_MAX), realm, transport.clock.now());
  }

  function token(realm: URL, service: string | undefined, scope: string, signal?: AbortSignal): Promise<Token> {
    // Callers share the token request, so each caller's signal ends only its own wait.
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
      // Another caller is fetching a new token: wait for that one.
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
        const own = await credentials();
        // An access token goes to the registry alone.
        const withCredentials = own !== null && own.kind !== 'registry-token';
        const problem = refuseRealm(registry, realm, withCredentials, transport.policy);
        if (problem !== null) throw new OriginError('ORIGIN_POLICY', `${registry.host}: ${problem}`, { status: 401 });
        const next = { kind: 'bearer', realm: new URL(realm), service: bearer.params.get('service') } as const;
        scheme = next;
        if (own?.kind === 'registry-token') return sent === undefined ? `Bearer ${own.token}` : null;
        // Another request may have fetched a new token in the meantime.
        const kept = tokens.get(scope);
        const value = kept === undefined ? undefined : await abortable(kept, signal).catch(() => undefined);
        if (value !== undefined && `Bearer ${value.value}` !== sent && transport.clock.now() < value.until)
          return `Bearer ${value.value}`;
        const challenged = bearer.params.get('scope') ?? '';
        const fresh = await tokenFor(next, scope, challenged, signal);
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

  // The challenge names the scope to request; ours is only the cache key.
  async function tokenFor(
    bearer: Extract<Scheme, { kind: 'bearer' }>,
    scope: string,
    challenged: string,
    signal?: AbortSignal,
  ): Promise<Token> {
    if (challenged === '' || challenged === scope) return token(bearer.realm, bearer.service, scope, signal);
    const fresh = await token(bearer.realm, bearer.service, challenged, signal);
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
      `${addressOf(realm)} did not answer with JSON where a token was expected`,
      { cause },
    );
  }
  const { token, access_token: access, expires_in: expires } = objectOf(value);
  const text = typeof token === 'string' && token !== '' ? token : access;
  // Control characters could inject a header.
  if (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text))
    throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(realm)} answered without a token`);
  if (text.length > TOKEN_MAX)
    throw new OriginError('ORIGIN_LIMIT', `${addressOf(realm)} answered with a token of more than 16 KiB`);
  const seconds = typeof expires === 'number' && expires > 0 ? expires : DEFAULT_EXPIRY;
  // A token that expires in transit causes a 401, so it is renewed early: by a tenth of its lifetime, at most 10 s.
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
