/** A leased buffer. Release it once nothing reads it any more. */
export interface BufferLease {
  readonly buffer: Uint8Array;
  release(): void;
}

/** A pool of buffers that have at most `capacity` bytes in total. */
export interface BufferPool {
  /** Waits in turn until `size` bytes are free. A size above the capacity waits until it is the only lease. */
  acquire(size: number, signal?: AbortSignal): Promise<BufferLease>;
}

/**
 * Creates a pool. Buffers are reused, since the garbage collector frees large buffers too late: memory stays bounded
 * for a body of any length. To avoid deadlock, a caller must not wait for a second lease while it holds one that is
 * not being sent.
 */
export function createBufferPool(capacity: number): BufferPool {
  let used = 0;
  const idle: Uint8Array[] = [];
  const waiting: { size: number; grant: () => void }[] = [];

  const fits = (size: number): boolean => used === 0 || used + size <= capacity;
  const next = (): void => {
    for (let first = waiting[0]; first !== undefined && fits(first.size); first = waiting[0]) {
      waiting.shift();
      used += first.size;
      first.grant();
    }
  };
  const take = (size: number): Uint8Array => {
    const index = idle.findIndex((one) => one.length === size);
    const found = index < 0 ? undefined : idle.splice(index, 1)[0];
    if (found !== undefined) return found;
    idle.length = 0;
    return new Uint8Array(size);
  };

  return {
    async acquire(size, signal) {
      signal?.throwIfAborted();
      if (waiting.length === 0 && fits(size)) {
        used += size;
      } else {
        await new Promise<void>((resolve, reject) => {
          const entry = { size, grant: resolve };
          waiting.push(entry);
          signal?.addEventListener(
            'abort',
            () => {
              const index = waiting.indexOf(entry);
              if (index < 0) return;
              waiting.splice(index, 1);
              reject(signal.reason as Error);
              next();
            },
            { once: true },
          );
        });
      }
      const buffer = take(size);
      let leased = true;
      return {
        buffer,
        release: () => {
          if (!leased) return;
          leased = false;
          used -= size;
          idle.push(buffer);
          next();
        },
      };
    },
  };
}

/**
 * The buffer size for a body that is sent whole: one of a few sizes, so that buffers can be reused, and at most a part.
 */
export function bufferSizeFor(size: number, partSize: number): number {
  let rounded = 64 * 1024;
  while (rounded < size) rounded *= 4;
  return Math.min(rounded, Math.max(partSize, size));
}
