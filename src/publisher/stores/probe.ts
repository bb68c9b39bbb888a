/**
 * Finds out what storage can do, with one object that is deleted again: whether two publishers overwrite each other,
 * and whether it refuses late deletions.
 */
import { randomUUID } from 'node:crypto';
import type { IfMatchStyle } from '../../bucket/format.ts';
import { StorageError, type WriteStore } from '../../registry/store.ts';

const OPTIONS = { contentType: 'text/plain' } as const;
const [FIRST, SECOND, THIRD] = ['first', 'second', 'third'].map((text) => new TextEncoder().encode(text)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

/**
 * Tells how storage wants `If-Match`. `open` gives the store with one style. Throws {@link StorageError} if storage
 * ignores a condition, refuses a right one, or does not delete.
 */
export async function probeStorage(open: (style: IfMatchStyle) => WriteStore, title: string): Promise<IfMatchStyle> {
  const key = `probe/${randomUUID()}`;
  const store = open('quoted');
  try {
    return await tryConditions(key, store, open('bare'), title);
  } finally {
    await store.delete([key]).catch(() => undefined);
  }
}

async function tryConditions(key: string, quoted: WriteStore, bare: WriteStore, title: string): Promise<IfMatchStyle> {
  const created = await quoted.put(key, FIRST, { ...OPTIONS, onlyIf: 'absent' });
  if (created === 'precondition-failed') throw unsafe(title, 'refuses to create an object with If-None-Match: *');
  if ((await quoted.put(key, SECOND, { ...OPTIONS, onlyIf: 'absent' })) !== 'precondition-failed')
    throw unsafe(title, 'overwrites an object in spite of If-None-Match: *');
  let style: IfMatchStyle = 'quoted';
  let replaced = await quoted.put(key, SECOND, { ...OPTIONS, onlyIf: created });
  if (replaced === 'precondition-failed') {
    style = 'bare';
    replaced = await bare.put(key, SECOND, { ...OPTIONS, onlyIf: created });
  }
  if (replaced === 'precondition-failed') throw unsafe(title, 'refuses to replace an object with the right If-Match');
  const store = style === 'quoted' ? quoted : bare;
  if ((await store.put(key, THIRD, { ...OPTIONS, onlyIf: created })) !== 'precondition-failed')
    throw unsafe(title, 'replaces an object in spite of a wrong If-Match');
  await store.delete([key]);
  if ((await store.head(key)) !== null) throw unsafe(title, 'still has an object after it was deleted');
  return style;
}

function unsafe(title: string, what: string): StorageError {
  return new StorageError(
    'STORAGE_DENIED',
    `${title} cannot be written safely: its storage ${what}, so two publishers would overwrite each other's tags; ` +
      'use storage with conditional writes, such as R2, Amazon S3 or Ceph RGW',
  );
}

/** Well before the deadline of {@link withProbedDeadlines}, in milliseconds. */
const LONG_AGO = 3_600_000;

/**
 * A store that finds out before its first fenced deletion whether storage refuses one whose deadline has passed, on
 * which the agreement of garbage collection with publishers rests. If it does not, all fenced deletions throw {@link
 * StorageError}. Costs five requests.
 */
export function withProbedDeadlines(store: WriteStore, title: string): WriteStore {
  let probed: Promise<void> | undefined;
  return {
    head: (key) => store.head(key),
    get: (key, options) => store.get(key, options),
    list: (prefix, options) => store.list(prefix, options),
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys) => store.delete(keys),
    deleteFenced: async (keys, fence) => {
      probed ??= probeDeadline(store, title);
      try {
        await probed;
      } catch (error) {
        probed = undefined;
        throw error;
      }
      return fencedBy(store, keys, fence);
    },
  };
}

async function probeDeadline(store: WriteStore, title: string): Promise<void> {
  const key = `probe/${randomUUID()}`;
  try {
    await store.put(key, FIRST, OPTIONS);
    const uploaded = (await store.head(key))?.uploaded ?? new Date();
    const fence = { from: new Date(uploaded.getTime() - LONG_AGO), seconds: 60 };
    if ((await fencedBy(store, [key], fence)) === 'expired' && (await store.head(key)) !== null) return;
    throw new StorageError(
      'STORAGE_DENIED',
      `${title} cannot be collected safely: its storage carries out a deletion whose presigned request has expired, so one that is held ` +
        'on its way could delete what a tag needs by then; nothing was deleted; publishing works, but delete with storage that refuses them, ' +
        'such as R2, Amazon S3 or Ceph RGW',
    );
  } finally {
    await store.delete([key]).catch(() => undefined);
  }
}

function fencedBy(
  store: WriteStore,
  ...[keys, fence]: Parameters<NonNullable<WriteStore['deleteFenced']>>
): Promise<'done' | 'expired'> {
  if (store.deleteFenced === undefined) throw new TypeError('the store cannot fence deletions');
  return store.deleteFenced(keys, fence);
}
