/**
 * Deletions that storage refuses after a deadline, by its own clock: presigned requests (AWS Signature Version 4,
 * "Authenticating Requests: Using Query Parameters") whose signature expires then. A network or a server that holds one
 * back cannot carry it out later.
 */
import { DeleteObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { AwsV4Signer } from 'aws4fetch';
import { type DeleteFence, StorageError } from '../../registry/store.ts';

/** How one object is deleted. */
export interface FencedDelete {
  readonly client: S3Client;
  readonly bucket: string;
  readonly key: string;
  readonly fence: DeleteFence;
  /** For messages. */
  readonly title: string;
}

/**
 * Sends one deletion once. `'expired'`: storage refuses it, since the deadline has passed. Throws {@link StorageError}.
 */
export async function deleteFenced({ client, bucket, key, fence, title }: FencedDelete): Promise<'done' | 'expired'> {
  const url = await addressOf(client, bucket, key);
  url.searchParams.set('X-Amz-Expires', String(fence.seconds));
  const credentials = await client.config.credentials();
  const signed = await new AwsV4Signer({
    method: 'DELETE',
    url: url.href,
    service: 's3',
    region: await client.config.region(),
    signQuery: true,
    datetime: fence.from.toISOString().replace(/[:-]|\.\d{3}/g, ''),
    accessKeyId: credentials.accessKeyId,
    secretAccessKey: credentials.secretAccessKey,
    ...(credentials.sessionToken !== undefined && { sessionToken: credentials.sessionToken }),
  }).sign();
  let response: Response;
  let text: string;
  try {
    response = await fetch(signed.url, { method: 'DELETE', signal: AbortSignal.timeout(fence.seconds * 1000) });
    text = await response.text();
  } catch (cause) {
    throw new StorageError('STORAGE_UNAVAILABLE', `deleting ${key}: ${title} did not answer in time`, { cause });
  }
  // S3 answers 204. A page of HTML with status 200, or a 404 without S3's code, is not from storage.
  if (response.status === 204 || (response.status === 404 && text.includes('NoSuchKey'))) return 'done';
  if (response.status === 403 && (/expired/i.test(text) || isPast(fence, response))) return 'expired';
  const denied = response.status === 403 || response.status === 401;
  throw new StorageError(
    denied ? 'STORAGE_DENIED' : 'STORAGE_UNAVAILABLE',
    `deleting ${key}: ${title} answered ${String(response.status)}`,
    { retryable: !denied },
  );
}

/**
 * Whether the deadline has passed by the clock of the server that answers: Ceph RGW 16.2 does not say so in the body.
 */
function isPast({ from, seconds }: DeleteFence, { headers }: Response): boolean {
  return Date.parse(headers.get('date') ?? '') >= from.getTime() + seconds * 1000;
}

/** The object's address as the client would send the request to it. */
async function addressOf(client: S3Client, bucket: string, key: string): Promise<URL> {
  let address: URL | undefined;
  const command = new DeleteObjectCommand({ Bucket: bucket, Key: key });
  command.middlewareStack.add(
    () => (args) => {
      const { protocol, hostname, port, path } = args.request as {
        readonly protocol: string;
        readonly hostname: string;
        readonly port?: number;
        readonly path: string;
      };
      address = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${String(port)}`}${path}`);
      return Promise.resolve({ output: { $metadata: {} }, response: {} });
    },
    // After the address is resolved and before the request is signed; it is never sent.
    { step: 'build', priority: 'low' },
  );
  await client.send(command);
  if (address === undefined) throw new TypeError('the S3 client made no request');
  return address;
}
