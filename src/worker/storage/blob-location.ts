/** URLs to which clients are redirected for blobs. */
import { assertNever } from '../../registry/errors.ts';
import { PUBLIC_REALM, type RealmName } from '../../registry/realms.ts';
import type { BlobDelivery, UrlSigning } from './blob-delivery.ts';

/** The blob that the URL is for. */
export interface BlobRequest {
  readonly method: 'GET' | 'HEAD';
  readonly realm: RealmName;
  /** Key in the bucket. */
  readonly key: string;
  readonly now: Date;
}

/**
 * Whether blobs of the realm are redirected. A URL without a signature is open to everybody, so blobs of protected
 * realms are not redirected to one.
 */
export function redirectsBlobs(delivery: BlobDelivery, realm: RealmName): boolean {
  switch (delivery.mode) {
    case 'stream':
      return false;
    case 'presigned':
      return true;
    case 'redirect':
      return delivery.signing !== null || realm === PUBLIC_REALM;
    default:
      return assertNever(delivery);
  }
}

/** The URL. `signed`: it is for this client and this time, so caches must not store it. */
export async function locationOf(
  delivery: Exclude<BlobDelivery, { mode: 'stream' }>,
  request: BlobRequest,
): Promise<{ readonly url: string; readonly signed: boolean }> {
  if (delivery.mode === 'presigned') return { url: await presign(delivery, request), signed: true };
  const plain = delivery.base + request.key;
  const { rewrite, signing } = delivery;
  const url = rewrite === null ? plain : plain.replace(rewrite.match, () => rewrite.replace);
  return signing === null ? { url, signed: false } : { url: await signUrl(url, signing, request.now), signed: true };
}

/**
 * AWS Signature Version 4 in the query ("Authenticating Requests: Using Query Parameters"), as R2's S3 endpoint accepts
 * it. GET and HEAD have different signatures.
 */
export async function presign(
  { endpoint, bucket, ttl, accessKeyId, secretAccessKey }: Extract<BlobDelivery, { mode: 'presigned' }>,
  { method, key, now }: Pick<BlobRequest, 'method' | 'key' | 'now'>,
): Promise<string> {
  const { AwsV4Signer } = await import('aws4fetch');
  const url = new URL(`${bucket}/${key}`, endpoint);
  url.searchParams.set('X-Amz-Expires', String(ttl));
  const datetime = now.toISOString().replace(/[:-]|\.\d{3}/g, '');
  const signer = new AwsV4Signer({
    method,
    url: url.href,
    accessKeyId,
    secretAccessKey,
    service: 's3',
    region: 'auto',
    datetime,
    signQuery: true,
  });
  return (await signer.sign()).url.href;
}

/** crane's token: `<parameter>=exp=<unix>~hmac=<hex>` over `exp=<unix>~url=<path>`, without percent-encoding. */
export async function signUrl(
  url: string,
  { secret, parameter, ttl, algorithm }: UrlSigning,
  now: Date,
): Promise<string> {
  const expiry = `exp=${String(Math.floor(now.getTime() / 1000) + ttl)}`;
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: algorithm }, false, ['sign']);
  const mac = new Uint8Array(
    await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(`${expiry}~url=${new URL(url).pathname}`)),
  );
  const hex = Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${url}${url.includes('?') ? '&' : '?'}${parameter}=${expiry}~hmac=${hex}`;
}
