/**
 * Requests to one registry as different clients: authentication once, then each request with the headers of a client.
 */
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { listOf, objectOf, parseJson } from '../../registry/values/json.ts';
import type { KnownClient as Client } from '../../manifest/clients/known-clients.ts';
import { type Answer, sendRequest, type ExchangeOptions, type Exchange } from './exchange.ts';
import type { Finding } from './findings/findings.ts';

/** The options of a session. `credentials` are for Basic authentication, or for the token service. */
export interface SessionOptions extends ExchangeOptions {
  readonly credentials?: { readonly username: string; readonly password: string };
}

/** The image that is pulled. */
export interface ImageName {
  readonly name: RepositoryName;
  readonly tag: Tag;
}

/** An authenticated session with a registry. */
export interface Session {
  readonly base: URL;
  /** Whether requests carry `Authorization`. */
  readonly authorized: boolean;
  /** Requests a path of the registry, or any URL (without credentials if it is on another host). */
  send(
    method: 'GET' | 'HEAD',
    target: string | URL,
    headers?: Readonly<Record<string, string | readonly string[]>>,
  ): Promise<Exchange>;
}

/** The headers that a client sends. Go's transport, which engines and skopeo use, accepts gzip on GET. */
export function headersOf(
  client: Pick<Client, 'userAgent'>,
  accept: readonly string[],
  method: 'GET' | 'HEAD',
): Record<string, string | readonly string[]> {
  return {
    ...(client.userAgent === undefined ? {} : { 'user-agent': client.userAgent }),
    ...(accept.length === 0 ? {} : { accept }),
    ...(method === 'GET' ? { 'accept-encoding': 'gzip' } : {}),
  };
}

/** Requests `/v2/` as an engine does, and logs in if required. The session is null if the registry cannot be used. */
export async function openSession(
  base: URL,
  scope: string | undefined,
  options: SessionOptions,
): Promise<{ readonly session: Session | null; readonly findings: readonly Finding[]; readonly ping: Exchange }> {
  const findings: Finding[] = [];
  const ping = await sendRequest(
    { method: 'GET', url: new URL('/v2/', base), headers: { 'accept-encoding': 'gzip' } },
    options,
  );
  if (ping.kind === 'failure') return { session: null, findings: [{ id: 'unreachable', seen: ping.message }], ping };
  if (isChallenge(ping)) return { session: null, findings: [{ id: 'challenged', seen: challengeOf(ping) }], ping };
  if (ping.status !== 200 && ping.status !== 401) {
    const to = ping.headers.location === undefined ? '' : ` to ${ping.headers.location}`;
    return { session: null, findings: [{ id: 'ping-status', seen: `GET /v2/: ${String(ping.status)}${to}` }], ping };
  }
  if (ping.headers['docker-distribution-api-version']?.includes('registry/2.0') !== true) {
    findings.push({
      id: 'api-version-missing',
      seen: `GET /v2/: ${String(ping.status)}, ${ping.headers['docker-distribution-api-version'] ?? 'no such header'}`,
    });
  }
  if (ping.status === 200) return { session: sessionOf(base, undefined, options), findings, ping };
  if (!hasErrors(ping.body)) findings.push({ id: 'error-body', seen: 'GET /v2/: 401' });
  const login = await logIn(ping, scope, options);
  if (login.finding !== undefined) findings.push(login.finding);
  if (login.authorization === undefined) return { session: null, findings, ping };
  return { session: sessionOf(base, login.authorization, options), findings, ping };
}

/** Whether Cloudflare challenges the client ("Detect a Challenge Page response", Cloudflare's documentation). */
export function isChallenge({ headers }: Answer): boolean {
  return headers['cf-mitigated'] === 'challenge';
}

function challengeOf({ question, status }: Answer): string {
  return `GET ${question.url.pathname}: ${String(status)}, cf-mitigated: challenge`;
}

/** Whether a body is the OCI error envelope with at least one error. */
export function hasErrors(body: Uint8Array): boolean {
  return errorsOf(body).length > 0;
}

/** The errors of an OCI error body; empty if it is not valid. */
export function errorsOf(body: Uint8Array): readonly { readonly code: string; readonly message: string }[] {
  return listOf(objectOf(parseJson(body)).errors).flatMap((error) => {
    const { code, message } = objectOf(error);
    return typeof code === 'string' ? [{ code, message: typeof message === 'string' ? message : '' }] : [];
  });
}

function sessionOf(base: URL, authorization: string | undefined, options: ExchangeOptions): Session {
  return {
    base,
    authorized: authorization !== undefined,
    send: (method, target, headers = {}) => {
      const url = typeof target === 'string' ? new URL(target, base) : target;
      const own = authorization !== undefined && url.host === base.host && url.protocol === base.protocol;
      return sendRequest({ method, url, headers: own ? { ...headers, authorization } : headers }, options);
    },
  };
}

async function logIn(
  ping: Answer,
  scope: string | undefined,
  options: SessionOptions,
): Promise<{ readonly authorization?: string; readonly finding?: Finding }> {
  const challenge = ping.headers['www-authenticate'] ?? '';
  const { credentials } = options;
  const basic =
    credentials === undefined
      ? undefined
      : `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
  if (/\bbasic\b/i.test(challenge) && !/\bbearer\b/i.test(challenge)) {
    return basic === undefined
      ? { finding: { id: 'login-needed', seen: `WWW-Authenticate: ${challenge}` } }
      : { authorization: basic };
  }
  const parameters = new Map(
    [...challenge.matchAll(/([a-z]+)="([^"]*)"/gi)].map((match) => [match[1]?.toLowerCase() ?? '', match[2] ?? '']),
  );
  const realm = parameters.get('realm');
  if (!/\bbearer\b/i.test(challenge) || realm === undefined || !URL.canParse(realm)) {
    return { finding: { id: 'challenge-missing', seen: `WWW-Authenticate: ${challenge === '' ? 'none' : challenge}` } };
  }
  const url = new URL(realm);
  const service = parameters.get('service');
  if (service !== undefined) url.searchParams.set('service', service);
  if (scope !== undefined) url.searchParams.set('scope', scope);
  const answer = await sendRequest(
    { method: 'GET', url, headers: basic === undefined ? {} : { authorization: basic } },
    options,
  );
  if (answer.kind === 'failure')
    return { finding: { id: 'unreachable', seen: `token service ${realm}: ${answer.message}` } };
  if (answer.status !== 200)
    return { finding: { id: 'login-needed', seen: `token service ${realm}: ${String(answer.status)}` } };
  const value = objectOf(parseJson(answer.body));
  if (typeof value.token === 'string') return { authorization: `Bearer ${value.token}` };
  if (typeof value.access_token !== 'string')
    return { finding: { id: 'token-missing', seen: `${realm} returns no token` } };
  return {
    authorization: `Bearer ${value.access_token}`,
    finding: { id: 'token-missing', seen: `${realm} returns only access_token` },
  };
}
