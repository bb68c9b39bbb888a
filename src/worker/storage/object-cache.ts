/**
 * Bytes of small objects that this isolate read recently. They are never served without asking R2 whether they are
 * still current; R2 then sends no body.
 */
import type { StoredObject } from '../../registry/store.ts';

/**
 * Bytes of one cache at most, and of one object: a fraction of an isolate's 128 MiB, and more than any manifest that
 * clients accept.
 */
export const MEMORY_SIZE = 8 * 1024 * 1024;
export const REMEMBERED_MAX = 256 * 1024;

/** An object, or the `range` of it that was read. `etag` is R2's, a hash of the whole object. */
export interface Remembered {
  readonly etag: string;
  readonly range: StoredObject['range'];
  readonly bytes: Uint8Array;
}

/** A cache that evicts the least recently used entries. */
export interface ObjectMemory {
  recall(name: string): Remembered | undefined;
  /** Stores an object that is not too long, in place of the previous one. */
  keep(name: string, object: Remembered): void;
  forget(name: string): void;
}

/** Approximate bytes of an entry beside its content and name. */
const OVERHEAD = 256;

/** An empty cache of so many bytes, overhead included. */
export function objectMemory(size = MEMORY_SIZE): ObjectMemory {
  // A Map is in the order of insertion: the first entry is the oldest.
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
