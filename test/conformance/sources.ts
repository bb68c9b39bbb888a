/** The suite that every implementation of the image source port passes. */
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImageSource, SourceBlob } from '../../src/bucket/image-source.ts';
import { readImage } from '../../src/bucket/read-image.ts';
import { digestOf } from '../publisher/gc-bucket.ts';
import type { TestImage } from '../publisher/pulp-tree.ts';

async function bytesOf(blob: SourceBlob | null): Promise<Uint8Array | null> {
  return blob === null ? null : new Uint8Array(await buffer(blob.chunks));
}

/** Declares the suite. `open` gives a source that holds exactly the image. */
export function describeImageSource(
  title: string,
  image: TestImage,
  open: () => Promise<{ readonly source: ImageSource; readonly close: () => Promise<void> }>,
): void {
  describe(title, () => {
    const unknown = digestOf(new TextEncoder().encode('not in any source'));
    let source: ImageSource;
    let close: () => Promise<void>;

    beforeAll(async () => {
      ({ source, close } = await open());
    });

    afterAll(async () => {
      await source.close();
      await close();
    });

    test('has the published manifest as its root, byte for byte', () => {
      expect(source.roots.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual([
        Buffer.from(image.schema2).toString(),
      ]);
    });

    test('gives null for a manifest or blob that it does not have', async () => {
      expect(await source.manifest(unknown)).toBeNull();
      expect(await source.blob(unknown)).toBeNull();
    });

    test('gives blobs, each as often as it is opened', async () => {
      for (const bytes of [image.config, image.layer, image.layer]) {
        const blob = await source.blob(digestOf(bytes));
        expect([undefined, bytes.length]).toContain(blob?.size);
        expect(await bytesOf(blob)).toEqual(new Uint8Array(bytes));
      }
    });

    test('gives the same bytes in pooled buffers, where it has them', async () => {
      const { pooled } = (await source.blob(digestOf(image.layer))) ?? {};
      if (pooled === undefined) return;
      const copies: Uint8Array[] = [];
      for await (const chunk of pooled.chunks) copies.push(Uint8Array.from(chunk));
      expect(Buffer.concat(copies).equals(Buffer.from(image.layer))).toBe(true);
    });

    test('has no referrers of a manifest that nothing refers to', async () => {
      expect(await source.referrers(digestOf(image.schema2))).toEqual([]);
    });

    test('is read as an image, with its config', async () => {
      const { content, leftOut } = await readImage(source);
      expect(content.roots.map(({ digest }) => digest)).toEqual([digestOf(image.schema2)]);
      expect([...content.configs.keys()]).toEqual([digestOf(image.config)]);
      expect(leftOut).toEqual([]);
    });
  });
}
