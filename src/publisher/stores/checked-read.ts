/**
 * Compares the bytes of an object with its ETag. Records, unlike blobs and manifests, have no digest: a bit that flips
 * on the way would be written back with the next change.
 */
import { createHash } from 'node:crypto';
import { StorageError } from '../../registry/store.ts';
import type { ObjectAnswer } from './s3/requests.ts';

/** The longest object that is compared, in bytes: it is read whole. */
export const CHECKED_MAX = 4 * 2 ** 20;

/** Bytes that arrive so often are what is stored, whatever the ETag says. */
const AGREEMENT = 3;

/** How often an object is read at most. */
const ATTEMPTS = 8;

/**
 * Whether the ETag is the MD5 of the bytes: of an object that was written by one PUT and is not encrypted with a key of
 * its own (Amazon S3 API reference, "Object", ETag).
 */
export function hasMd5Etag({ etag, isPlain }: ObjectAnswer): boolean {
  return isPlain && /^[0-9a-f]{32}$/.test(etag);
}

/** Where an object's bytes come from. */
export interface CheckedReading {
  readonly key: string;
  /** Hex MD5 that the bytes should have. */
  readonly etag: string;
  readonly chunksOf: (answer: ObjectAnswer) => AsyncIterable<Uint8Array>;
  /** Reads the same version once more. */
  readonly again: () => Promise<ObjectAnswer | null | 'changed'>;
}

/**
 * The bytes of an object, read again where they do not match. `matches`: false if the same other bytes arrived {@link
 * AGREEMENT} times, so the ETag is no MD5, or the object is damaged. Throws {@link StorageError}.
 */
export async function readChecked(
  first: ObjectAnswer,
  { key, etag, chunksOf, again }: CheckedReading,
): Promise<{ readonly bytes: Uint8Array; readonly matches: boolean }> {
  const seen = new Map<string, number>();
  let answer = first;
  for (let attempt = 1; ; attempt += 1) {
    const chunks: Uint8Array[] = [];
    const hash = createHash('md5');
    for await (const chunk of chunksOf(answer)) {
      hash.update(chunk);
      chunks.push(chunk);
    }
    const md5 = hash.digest('hex');
    const times = (seen.get(md5) ?? 0) + 1;
    if (md5 === etag || times === AGREEMENT) return { bytes: Buffer.concat(chunks), matches: md5 === etag };
    seen.set(md5, times);
    if (attempt === ATTEMPTS)
      throw new StorageError('STORAGE_UNAVAILABLE', `reading ${key}: other bytes arrive each time than were stored`);
    const next = await again();
    if (next === null || next === 'changed')
      throw new StorageError('STORAGE_UNAVAILABLE', `reading ${key}: the object was replaced while it was read`);
    answer = next;
  }
}
