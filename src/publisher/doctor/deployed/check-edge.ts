/** Whether the edge lets every kind of client in: TLS, challenges, HTTP/3; and whether both forms come. */
import { isKnownIn2015 } from '../certificate.ts';
import type { Exchange, ExchangeOptions } from '../exchange.ts';
import { sendRequest } from '../exchange.ts';
import { type Offer, openTls } from '../handshake.ts';
import { bareType } from '../manifest-answer.ts';
import { errorsOf, isChallenge } from '../session.ts';
import { MEDIA_TYPE_OF_FORM } from '../../../registry/media-type.ts';
import { listOf, objectOf, parseJson, textOf } from '../../../registry/values/json.ts';
import { answered, type CheckId, type CheckResult, notAsked } from './checks.ts';
import type { RunCurl } from './curl.ts';
import { type CheckTarget, isModern, MODERN_ACCEPT } from './target.ts';

/** A cipher with each key that a certificate may have; Go 1.4 has these curves. */
const OFFERS = {
  'tls12-aes128-gcm': 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256',
  'tls12-aes128-sha': 'ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:AES128-SHA',
} as const satisfies Partial<Record<CheckId, string>>;

const OF_TLS = [
  'tls12-aes128-gcm',
  'tls12-aes128-sha',
  'tls12-ecdsa',
  'http1-without-alpn',
  'root-known',
] as const satisfies readonly CheckId[];

/** Opens connections as old engines do. */
export async function checkTls(base: URL, { timeoutMs }: ExchangeOptions): Promise<readonly CheckResult[]> {
  if (base.protocol !== 'https:') return OF_TLS.map((id) => notAsked(id, 'the address is http'));
  const open = (ciphers: string): ReturnType<typeof openTls> => {
    const offer: Offer = { maxVersion: 'TLSv1.2', ciphers, ecdhCurve: 'prime256v1:secp384r1:secp521r1' };
    return openTls(base, timeoutMs, offer);
  };
  const gcm = await open(OFFERS['tls12-aes128-gcm']);
  const sha = await open(OFFERS['tls12-aes128-sha']);
  const seenOf = (opened: Awaited<typeof gcm>): string =>
    'error' in opened ? opened.error : `${opened.protocol} ${opened.cipher}`;
  const either = 'error' in gcm ? sha : gcm;
  const handshakes = [
    answered('tls12-aes128-gcm', !('error' in gcm), seenOf(gcm)),
    answered('tls12-aes128-sha', !('error' in sha), seenOf(sha)),
  ];
  if ('error' in either) return [...handshakes, ...OF_TLS.slice(2).map((id) => notAsked(id, 'no connection'))];
  const { certificate, http1 } = either;
  const roots = `issued by ${certificate.issuer}, up to ${certificate.roots.join(', ')}`;
  const isKnown = isKnownIn2015(certificate);
  return [
    ...handshakes,
    answered('tls12-ecdsa', certificate.keyType === 'ecdsa', `${certificate.keyType}, issued by ${certificate.issuer}`),
    answered('http1-without-alpn', http1, http1 ? 'GET /v2/: HTTP/1.1' : 'GET /v2/: no HTTP/1.1'),
    isKnown === null
      ? notAsked('root-known', `${roots}: ${lookOnHost(base)}`)
      : answered('root-known', isKnown, `${roots}; ${lookOnHost(base)}`),
  ];
}

function lookOnHost({ hostname, port }: URL): string {
  const address = `${hostname}:${port === '' ? '443' : port}`;
  return `check on the host with \`openssl s_client -connect ${address} -tls1_2 -CApath /etc/ssl/certs < /dev/null\``;
}

/** User agents that bot detection meets: an old engine, a new one, skopeo, curl. */
const USER_AGENTS = [
  'docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/4.1 os/linux arch/amd64',
  'docker/28.5.2 go/go1.24.9 os/linux arch/amd64',
  'skopeo/1.20.0',
  'curl/8.14.1',
] as const;

/** Asks for `/v2/` as several programs do. */
export async function checkChallenges(base: URL, options: ExchangeOptions): Promise<CheckResult> {
  const seen: string[] = [];
  let challenged = false;
  for (const agent of USER_AGENTS) {
    const url = new URL('/v2/', base);
    const answer = await sendRequest({ method: 'GET', url, headers: { 'user-agent': agent } }, options);
    const isChallenged = answer.kind === 'answer' && isChallenge(answer);
    challenged ||= isChallenged;
    seen.push(`${agent.split(' ')[0] ?? ''}: ${isChallenged ? 'challenged' : statusOf(answer)}`);
  }
  return answered('not-challenged', !challenged, seen.join(', '));
}

/** Asks for the tag as an old engine and as a new client. */
export async function checkForms({ session, byTag, first }: CheckTarget): Promise<readonly CheckResult[]> {
  const old = await session.send('GET', byTag, { 'user-agent': USER_AGENTS[0] });
  const isSchema1 =
    old.kind === 'answer' &&
    old.status === 200 &&
    bareType(old.headers['content-type']) === MEDIA_TYPE_OF_FORM['docker-schema1'];
  const reason = reasonOf(old);
  return [
    answered('form-old', isSchema1 || reason !== null, `${typeSeen(old)}${reason === null ? '' : `, ${reason}`}`),
    answered('form-new', first.kind === 'answer' && first.status === 200 && isModern(first), typeSeen(first)),
  ];
}

/** The reason of a 404, as Gantry writes it; null for any other answer. */
function reasonOf(answer: Exchange): string | null {
  if (answer.kind === 'failure' || answer.status !== 404 || errorsOf(answer.body).length === 0) return null;
  const [first] = listOf(objectOf(parseJson(answer.body)).errors);
  return textOf(objectOf(objectOf(first).detail).reason);
}

/**
 * Compares Content-Length of HEAD over HTTP/3 with that over HTTP/1.1. Node speaks no HTTP/3; some builds of curl do.
 */
export async function checkHttp3({ session, byTag }: CheckTarget, runCurl: RunCurl): Promise<CheckResult> {
  const url = new URL(byTag, session.base);
  const how = `test it with \`curl --http3-only -I ${url.href}\``;
  if (url.protocol !== 'https:') return notAsked('head-http3', 'the address is http');
  if (session.authorized) return notAsked('head-http3', `the image needs a login; ${how} and your token`);
  const head = await session.send('HEAD', byTag, MODERN_ACCEPT);
  const expected = head.kind === 'answer' ? head.headers['content-length'] : undefined;
  const result = await runCurl(url, MODERN_ACCEPT);
  if (result.kind === 'unable') return notAsked('head-http3', `${result.why}; ${how}`);
  const { length } = result;
  const seen = `Content-Length: ${length ?? 'none'} over HTTP/3, ${expected ?? 'none'} over HTTP/1.1`;
  return answered('head-http3', length !== undefined && length === expected, seen);
}

function statusOf(exchange: Exchange): string {
  return exchange.kind === 'failure' ? exchange.message : String(exchange.status);
}

function typeSeen(exchange: Exchange): string {
  if (exchange.kind === 'failure') return exchange.message;
  return `${String(exchange.status)} ${exchange.headers['content-type'] ?? 'no Content-Type'}`;
}
