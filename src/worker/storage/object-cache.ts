/** Bytes of small objects that this isolate read lately. They are never an answer by themselves: R2 is asked whether they still are what is stored, and then sends none. */
import type { StoredObject } from '../../registry/store.ts';

/** Bytes that are kept at most in one memory, and of one object: a fraction of an isolate's 128 MiB, and more than any manifest that clients take. */
export const MEMORY_SIZE = 8 * 1024 * 1024;
export const REMEMBERED_MAX = 256 * 1024;

/** An object or part of it, as it was read: `etag` is R2's, a hash of all its bytes; `range` says which of them these are. */
export interface Remembered {
  readonly etag: string;
  readonly range: StoredObject['range'];
  readonly bytes: Uint8Array;
}

/** A memory that forgets first what was not asked for the longest. */
export interface ObjectMemory {
  recall(name: string): Remembered | undefined;
  /** Keeps what is not too long, in place of what was there. */
  keep(name: string, object: Remembered): void;
  forget(name: string): void;
}

/** Bytes that an entry costs beside its own and its name's, about. */
const OVERHEAD = 256;

/** An empty memory of so many bytes, overhead included. */
export function objectMemory(size = MEMORY_SIZE): ObjectMemory {
  // A Map keeps the order in which its entries were set: the first is the oldest.
  const entries = new Map<string, Remembered>();
  let used = 0;

  function forget(name: string): void {
    const entry = entries.get(name);
    if (entry === undefined) return;
    entries.delete(name);
    used -= costOf(name, entry);
  }

  return {
    recall(name) {
      const entry = entries.get(name);
      if (entry === undefined) return undefined;
      entries.delete(name);
      entries.set(name, entry);
      return entry;
    },
    keep(name, object) {
      forget(name);
      if (object.bytes.length > REMEMBERED_MAX) return;
      entries.set(name, object);
      used += costOf(name, object);
      for (const oldest of entries.keys()) {
        if (used <= size) break;
        forget(oldest);
      }
    },
    forget,
  };
}

function costOf(name: string, { bytes }: Remembered): number {
  return bytes.length + 2 * name.length + OVERHEAD;
}
