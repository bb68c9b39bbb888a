import { describe, expect, it } from 'vitest';
import { readAll, readBytes } from '../../src/bucket/read-object.ts';
import { StorageError } from '../../src/registry/store.ts';

/** Gives some bytes, and then neither more nor an end; cannot be cancelled either. */
const silent = (bytes: number): ReadableStream<Uint8Array> => {
  let isFirst = true;
  return new ReadableStream({
    pull: (controller) => {
      if (!isFirst) return new Promise<never>(() => undefined);
      isFirst = false;
      controller.enqueue(new Uint8Array(bytes));
      return undefined;
    },
    cancel: () => new Promise<never>(() => undefined),
  });
};

describe('a body that hangs', () => {
  it('is a failure that may pass, after the limit: read whole', async () => {
    const failure = await readAll(silent(5), 10, 20).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StorageError);
    expect(failure).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true });
  });

  it('is a failure that may pass, after the limit: read in parts, of which it gives the first', async () => {
    const reader = readBytes(silent(5), 20);
    expect(await reader.take(5)).toHaveLength(5);
    await expect(reader.take(1)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true });
    await reader.end();
  });
});
