/**
 * Deletions that storage refuses after a deadline, by its own clock: presigned requests (AWS Signature Version 4,
 * "Authenticating Requests: Using Query Parameters") whose signature expires then. A network or a server that holds one
 * back cannot carry it out later.
 */
import { type DeleteFence, StorageError } from '../../registry/store.ts';
import type { S3Client } from './s3/client.ts';

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
  let answer: Awaited<ReturnType<S3Client['sendPresigned']>>;
  try {
    const signal = AbortSignal.timeout(fence.seconds * 1000);
    answer = await client.sendPresigned({ method: 'DELETE', bucket, key, signal }, fence);
  } catch (cause) {
    throw new StorageError('STORAGE_UNAVAILABLE', `deleting ${key}: ${title} did not answer in time`, { cause });
  }
  const { status, headers, text } = answer;
  // S3 answers 204. A page of HTML with status 200, or a 404 without S3's code, is not from storage.
  if (status === 204 || (status === 404 && text.includes('NoSuchKey'))) return 'done';
  if (status === 403 && (/expired/i.test(text) || isPast(fence, headers.date))) return 'expired';
  const denied = status === 403 || status === 401;
  throw new StorageError(
    denied ? 'STORAGE_DENIED' : 'STORAGE_UNAVAILABLE',
    `deleting ${key}: ${title} answered ${String(status)}`,
    { retryable: !denied },
  );
}

/**
 * Whether the deadline has passed by the clock of the server that answers: Ceph RGW 16.2 does not say so in the body.
 */
function isPast({ from, seconds }: DeleteFence, date = ''): boolean {
  return Date.parse(date) >= from.getTime() + seconds * 1000;
}
