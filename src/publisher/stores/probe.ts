/** Finds out whether storage keeps two publishers from overwriting each other, with one object that it deletes again. */
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
