/**
 * Blobs that have arrived and are on their way to storage. A client sends the next blob meanwhile; storage is often the
 * slower side. Whoever asks for such a blob waits until it is stored, so that no manifest is accepted before its blobs.
 */
import type { WriteStore } from '../../registry/store.ts';

/** Most blobs on their way at once. Each is a file that is read and sent. */
const PENDING_MAX = 6;

/** Failures that are remembered until somebody asks. */
const FAILURES_MAX = 256;

/** Stores blobs in the background. */
export interface PendingBlobs {
  /** The store, in which a blob is found, or its failure thrown, once it is no longer on its way. */
  readonly store: WriteStore;
  /**
   * Starts to store a blob; resolves as soon as few enough are on their way. What `write` throws is thrown once, by the
   * next one who asks for the key; after that it is as if the blob had not been sent.
   */
  begin(key: string, write: (store: WriteStore) => Promise<void>): Promise<void>;
  /** Resolves when no blob is on its way. */
  settled(): Promise<void>;
}

/** Makes it over a store. */
export function openPendingBlobs(store: WriteStore): PendingBlobs {
  const pending = new Map<string, Promise<void>>();
  /** Those of `pending` that are not over; failures stay in `pending` until they are asked for. */
  const running = new Set<Promise<void>>();

  async function stored(key: string): Promise<void> {
    const job = pending.get(key);
    if (job === undefined) return;
    try {
      await job;
    } finally {
      if (pending.get(key) === job) pending.delete(key);
    }
  }

  return {
    store: {
      ...passOn(store),
      head: async (key) => {
        await stored(key);
        return store.head(key);
      },
      get: async (key, options) => {
        await stored(key);
        return store.get(key, options);
      },
    },
    begin: async (key, write) => {
      while (running.size >= PENDING_MAX) await Promise.race([...running].map((job) => job.catch(() => undefined)));
      const job = write(store);
      pending.set(key, job);
      running.add(job);
      job.then(
        () => {
          running.delete(job);
          if (pending.get(key) === job) pending.delete(key);
        },
        () => {
          running.delete(job);
          const [oldest] = pending.keys();
          if (pending.size > PENDING_MAX + FAILURES_MAX && oldest !== undefined) pending.delete(oldest);
        },
      );
    },
    settled: async () => {
      await Promise.allSettled(running);
    },
  };
}

function passOn(store: WriteStore): WriteStore {
  return {
    head: (key) => store.head(key),
    get: (key, options) => store.get(key, options),
    list: (prefix, options) => store.list(prefix, options),
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys) => store.delete(keys),
    deleteFenced: store.deleteFenced?.bind(store),
  };
}
