/** Files as blobs: the bytes are the file's, in whatever buffers they come. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFileBlob } from '../../../src/publisher/sources/files.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-files-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function blobOf(size: number) {
  const path = join(folder, String(size));
  const bytes = createHash('shake256', { outputLength: size }).update(String(size)).digest();
  await writeFile(path, bytes);
  const blob = await openFileBlob(path);
  if (blob?.pooled === undefined) throw new Error('no blob');
  return { path, bytes, blob: { ...blob, pooled: blob.pooled } };
}

describe('a file as a blob', () => {
  it.each([0, 1, 262_144, 262_145, 3_000_000])(
    'of %i bytes comes whole, in its own buffers and in pooled ones',
    async (size) => {
      const { bytes, blob } = await blobOf(size);
      expect(blob.size).toBe(size);
      const own: Uint8Array[] = [];
      for await (const chunk of blob.chunks) own.push(chunk);
      expect(Buffer.concat(own).equals(bytes)).toBe(true);
      const copied: Buffer[] = [];
      for await (const chunk of blob.pooled.chunks) copied.push(Buffer.from(chunk));
      expect(Buffer.concat(copied).equals(bytes)).toBe(true);
    },
  );

  it('pooled chunks stay valid while the reported number of later ones is read', async () => {
    const { bytes, blob } = await blobOf(5_000_000);
    const held: { chunk: Uint8Array; at: number }[] = [];
    let at = 0;
    for await (const chunk of blob.pooled.chunks) {
      held.push({ chunk, at });
      at += chunk.length;
      // What was read ahead lies in its buffer by then.
      await new Promise((resolve) => setImmediate(resolve));
      for (const one of held.slice(-1 - blob.pooled.validChunks))
        expect(bytes.subarray(one.at, one.at + one.chunk.length).equals(one.chunk)).toBe(true);
    }
    expect(at).toBe(bytes.length);
  });

  it('may be left early, and tells why it cannot be read', async () => {
    const { path, blob } = await blobOf(2_000_000);
    const reading = blob.pooled.chunks[Symbol.asyncIterator]();
    await reading.next();
    await reading.return?.();
    const again = await openFileBlob(path);
    await rm(path);
    await expect(again?.pooled?.chunks[Symbol.asyncIterator]().next()).rejects.toThrow(`${path} cannot be read`);
  });

  it('that shrank meanwhile ends early', async () => {
    const { path, blob } = await blobOf(1_500_000);
    await truncate(path, 10);
    let count = 0;
    for await (const chunk of blob.pooled.chunks) count += chunk.length;
    expect(count).toBe(10);
  });
});
