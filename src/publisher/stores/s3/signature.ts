/**
 * AWS Signature Version 4 for S3 (Amazon S3 API reference, "Authenticating Requests"). Own code: what publishers need
 * is short, and aws4fetch, which the Worker uses, works on `Headers`: loading them takes Node 34 ms of processor time.
 */
import { createHash, createHmac } from 'node:crypto';

/** Keys that sign requests. */
export interface SigningKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** A request as it is signed. */
export interface UnsignedRequest {
  readonly method: string;
  /** Its path and query must be encoded as {@link encodeRfc3986} does. */
  readonly url: URL;
  /** Names in lower case. All are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** Hex sha256 of the body, or `UNSIGNED-PAYLOAD`. */
  readonly payloadHash: string;
}

/** What a signature is made with. */
export interface Signing {
  readonly keys: SigningKeys;
  readonly region: string;
  readonly date: Date;
}

/** Sign what a body may be: only its length is known to storage. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

/** Hex sha256 of no bytes. */
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** The headers of a signed request, `authorization` included. */
export function signedHeaders(
  { method, url, headers, payloadHash }: UnsignedRequest,
  { keys, region, date }: Signing,
): Record<string, string> {
  const all: Record<string, string> = {
    ...headers,
    host: url.host,
    'x-amz-content-sha256': payloadHash,
    'x-amz-date': amzDate(date),
    ...(keys.sessionToken !== undefined && { 'x-amz-security-token': keys.sessionToken }),
  };
  const names = Object.keys(all).sort();
  const canonical = canonicalRequest(method, url, all, names, payloadHash);
  const { scope, signature } = sign(canonical, { keys, region, date });
  all.authorization =
    `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, ` +
    `Signature=${signature}`;
  return all;
}

/** The address of a request that holds for some seconds from the date on, with its signature in the query. */
export function presignedUrl(
  { method, url }: Pick<UnsignedRequest, 'method' | 'url'>,
  { keys, region, date }: Signing,
  seconds: number,
): URL {
  const signed = new URL(url);
  const query = {
    ...Object.fromEntries(url.searchParams),
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${keys.accessKeyId}/${scopeOf(date, region)}`,
    'X-Amz-Date': amzDate(date),
    'X-Amz-Expires': String(seconds),
    'X-Amz-SignedHeaders': 'host',
    ...(keys.sessionToken !== undefined && { 'X-Amz-Security-Token': keys.sessionToken }),
  };
  signed.search = encodeQuery(query);
  const canonical = canonicalRequest(method, signed, { host: url.host }, ['host'], UNSIGNED_PAYLOAD);
  signed.search += `&X-Amz-Signature=${sign(canonical, { keys, region, date }).signature}`;
  return signed;
}

/** Encodes all characters but the unreserved ones of RFC 3986. */
export function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A query string, encoded and in the order in which it is signed. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]): [string, string] => [encodeRfc3986(name), encodeRfc3986(value)])
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map((pair) => pair.join('='))
    .join('&');
}

function canonicalRequest(
  method: string,
  { pathname, search }: URL,
  headers: Readonly<Record<string, string>>,
  names: readonly string[],
  payloadHash: string,
): string {
  const lines = names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/\s+/g, ' ')}\n`);
  return [method, pathname, search.slice(1), lines.join(''), names.join(';'), payloadHash].join('\n');
}

function sign(canonical: string, { keys, region, date }: Signing): { scope: string; signature: string } {
  const scope = scopeOf(date, region);
  const hash = createHash('sha256').update(canonical).digest('hex');
  const key = scope.split('/').reduce<string | Buffer>((last, part) => hmac(last, part), `AWS4${keys.secretAccessKey}`);
  return { scope, signature: hmac(key, ['AWS4-HMAC-SHA256', amzDate(date), scope, hash].join('\n')).toString('hex') };
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function scopeOf(date: Date, region: string): string {
  return `${amzDate(date).slice(0, 8)}/${region}/s3/aws4_request`;
}

/** ISO 8601, basic format: `20130524T000000Z`. */
function amzDate(date: Date): string {
  return date.toISOString().replace(/[:-]|\.\d{3}/g, '');
}
