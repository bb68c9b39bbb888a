/** A buffer that is lent; give it back once nothing reads it any more. */
export interface BufferLease {
  readonly buffer: Uint8Array;
  release(): void;
}

/** Lends buffers, together at most `capacity` bytes. */
export interface BufferPool {
  /** Waits in turn until `size` bytes are free. A size above the capacity is lent alone. */
  acquire(size: number, signal?: AbortSignal): Promise<BufferLease>;
}

/**
 * Makes a pool. Memory is used again instead of being left to the garbage collector, which sees too late that large buffers are gone: that is what keeps the process small
 * however long a body is. Nobody may wait for a second buffer while holding one that is not being sent, so that waiting always ends.
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
      let lent = true;
      return {
        buffer,
        release: () => {
          if (!lent) return;
          lent = false;
          used -= size;
          idle.push(buffer);
          next();
        },
      };
    },
  };
}

/** Bytes to lend for a body of `size` that goes whole: of a few sizes, so that buffers can be used again, and no larger than a part. */
export function bufferSizeFor(size: number, partSize: number): number {
  let rounded = 64 * 1024;
  while (rounded < size) rounded *= 4;
  return Math.min(rounded, Math.max(partSize, size));
}
