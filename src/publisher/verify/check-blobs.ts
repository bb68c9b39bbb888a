/** Checks blobs: whether they are stored, and have their digest. */
import { createHash } from 'node:crypto';
import { algorithmOf, type Digest, hexOf } from '../../registry/digest.ts';
import type { ListedObject, ReadStore } from '../../registry/store.ts';

/** Hashes a stored blob as a stream. `'gone'`: it was deleted meanwhile. `onBytes` is called for each chunk. */
export async function hashBlob(
  store: ReadStore,
  key: string,
  digest: Digest,
  onBytes: (bytes: number) => void,
): Promise<'right' | 'wrong' | 'gone'> {
  const object = await store.get(key);
  if (object === null || object === 'changed') return 'gone';
  const hash = createHash(algorithmOf(digest));
  let length = 0;
  for await (const chunk of object.body) {
    hash.update(chunk);
    length += chunk.length;
    onBytes(chunk.length);
  }
  // A read that ends early without an error is a fault of the store, not of the blob.
  if (length !== object.size)
    throw new Error(`the store returned ${String(length)} of ${String(object.size)} bytes of ${key}`);
  return hash.digest('hex') === hexOf(digest) ? 'right' : 'wrong';
}

/** A random sample of a share (0 to 1) of the items, at least one of any. `random` gives numbers in [0, 1). */
export function sampleOf<T>(items: readonly T[], share: number, random: () => number): readonly T[] {
  if (share >= 1) return items;
  const left = [...items];
  const count = Math.min(left.length, Math.max(share > 0 ? 1 : 0, Math.round(left.length * share)));
  // Fisher–Yates shuffle of the part that is taken.
  for (let index = 0; index < count; index += 1) {
    const other = index + Math.floor(random() * (left.length - index));
    const [a, b] = [left[index], left[other]];
    if (a !== undefined && b !== undefined) [left[index], left[other]] = [b, a];
  }
  return left.slice(0, count);
}

/** A blob to check: its key, and the sizes that manifests give, each with one such manifest. */
export interface NeededBlob {
  readonly digest: Digest;
  readonly key: string;
  readonly sizes: ReadonlyMap<number, string>;
  /** One of the manifests that reference it. */
  readonly where: string;
  /** Whether something published references it. Blobs of fetched tags alone may be absent. */
  readonly published: boolean;
}

/** The fault that a blob's listing shows; null if there is none. */
export function checkListed(
  blob: NeededBlob,
  object: Pick<ListedObject, 'size'> | null,
): { readonly kind: 'blob-missing' | 'blob-size'; readonly message: string } | null {
  if (object === null) return { kind: 'blob-missing', message: blob.digest };
  for (const [size, by] of blob.sizes) {
    if (size !== object.size)
      return {
        kind: 'blob-size',
        message: `${blob.digest} has ${String(object.size)} bytes, ${by} says ${String(size)}`,
      };
  }
  return null;
}
