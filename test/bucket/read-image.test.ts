/** What is read of an image: limits, and what may be missing. */
import { describe, expect, test } from 'vitest';
import type { ImageSource } from '../../src/bucket/image-source.ts';
import { IMAGE_LIMITS, ON_DEMAND_CHILDREN, readImage } from '../../src/bucket/read-image.ts';
import type { Digest } from '../../src/registry/digest.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import { digestOf } from '../publisher/gc-bucket.ts';
import { makeImage, type TestImage } from '../publisher/pulp-tree.ts';

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

interface Child {
  readonly bytes: Uint8Array;
  readonly mediaType?: string;
  readonly more?: Record<string, unknown>;
}

function indexOf(children: readonly Child[]): Uint8Array {
  return json({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['oci-index'],
    manifests: children.map(({ bytes, mediaType = MEDIA_TYPE_OF_FORM['docker-schema2'], more }) => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
      ...more,
    })),
  });
}

/** A source of these manifests and blobs, and what was requested of it. */
function sourceOf(root: Uint8Array, contents: readonly Uint8Array[]): ImageSource & { readonly requested: Digest[] } {
  const byDigest = new Map(contents.map((bytes) => [digestOf(bytes), bytes]));
  const requested: Digest[] = [];
  return {
    requested,
    roots: [{ bytes: root }],
    manifest: (digest) => {
      requested.push(digest);
      const bytes = byDigest.get(digest);
      return Promise.resolve(bytes === undefined ? null : { bytes });
    },
    blob: (digest) => {
      const bytes = byDigest.get(digest);
      const chunks = new ReadableStream<Uint8Array>({
        start: (controller) => {
          if (bytes !== undefined) controller.enqueue(bytes);
          controller.close();
        },
      });
      return Promise.resolve(bytes === undefined ? null : { size: undefined, chunks });
    },
    referrers: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

const contentsOf = (images: readonly TestImage[]): Uint8Array[] =>
  images.flatMap(({ schema2, config }) => [schema2, config]);

describe('an image that is read on demand', () => {
  const images = Array.from({ length: 30 }, (_, index) => makeImage(`image ${String(index)}`));
  const children = images.map(({ schema2 }, index) => ({
    bytes: schema2,
    more: { platform: { os: 'linux', architecture: index === 29 ? 'amd64' : `other${String(index)}` } },
  }));

  test('has so many images of a list, the default platform among them', async () => {
    const source = sourceOf(indexOf(children), contentsOf(images));
    const { content, leftOut } = await readImage(source, { scope: 'on-demand' });
    expect(content.children.size).toBe(ON_DEMAND_CHILDREN);
    expect(content.children.has(digestOf(children[29]?.bytes ?? new Uint8Array()))).toBe(true);
    expect(leftOut).toHaveLength(30 - ON_DEMAND_CHILDREN);
    expect(source.requested).toHaveLength(ON_DEMAND_CHILDREN);
  });

  test('has no attestations, and may lack children and configs', async () => {
    const [one, two] = images;
    if (one === undefined || two === undefined) throw new Error('no images');
    const attestation = { bytes: two.schema2, more: { platform: { os: 'unknown', architecture: 'unknown' } } };
    const root = indexOf([{ bytes: one.schema2 }, attestation, { bytes: makeImage('absent').schema2 }]);
    const { content } = await readImage(sourceOf(root, [one.schema2, two.schema2]), { scope: 'on-demand' });
    expect([...content.children.keys()]).toEqual([digestOf(one.schema2)]);
    expect(content.configs.size).toBe(0);
  });
});

describe('an image that is read completely', () => {
  const image = makeImage('complete');

  test('must have its config', async () => {
    await expect(readImage(sourceOf(image.schema2, []))).rejects.toThrow(`lacks the config ${digestOf(image.config)}`);
  });

  test('must have one of the images of its list', async () => {
    await expect(readImage(sourceOf(indexOf([{ bytes: image.schema2 }]), []))).rejects.toThrow('lacks all images');
  });

  test('names the children that were left out', async () => {
    const other = makeImage('other');
    const root = indexOf([{ bytes: image.schema2 }, { bytes: other.schema2 }]);
    const { leftOut } = await readImage(sourceOf(root, contentsOf([image])));
    expect(leftOut.map(({ digest }) => digest)).toEqual([digestOf(other.schema2)]);
  });
});

describe.each(['complete', 'on-demand'] as const)('what is refused, %s', (scope) => {
  const image = makeImage('limits');

  test('a child of another size than the list says', async () => {
    const root = indexOf([{ bytes: image.schema2, more: { size: 1 } }]);
    await expect(readImage(sourceOf(root, contentsOf([image])), { scope })).rejects.toThrow('the list says 1');
  });

  test('a config of another content', async () => {
    const source = sourceOf(image.schema2, []);
    const wrong = Uint8Array.from(image.config, (byte, at) => (at === 0 ? byte ^ 1 : byte));
    const blob: ImageSource['blob'] = (_, options) => sourceOf(image.schema2, [wrong]).blob(digestOf(wrong), options);
    await expect(readImage({ ...source, blob }, { scope })).rejects.toThrow('the config');
  });

  test('a config beyond the limit', async () => {
    const size = IMAGE_LIMITS.config + 1;
    const root = json({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
      config: { mediaType: MEDIA_TYPES.dockerConfig, size, digest: digestOf(image.config) },
      layers: [],
    });
    await expect(readImage(sourceOf(root, [image.config]), { scope })).rejects.toThrow('the limit for a config');
  });

  test('lists in lists beyond the limit', async () => {
    const lists = [indexOf([{ bytes: image.schema2 }])];
    for (let depth = 0; depth < IMAGE_LIMITS.depth; depth += 1)
      lists.push(indexOf([{ bytes: lists.at(-1) ?? new Uint8Array(), mediaType: MEDIA_TYPE_OF_FORM['oci-index'] }]));
    const root = lists.pop() ?? new Uint8Array();
    await expect(readImage(sourceOf(root, [...lists, ...contentsOf([image])]), { scope })).rejects.toThrow(
      'more than 4 other lists',
    );
  });

  test('more children than the limit', async () => {
    const children = Array.from({ length: IMAGE_LIMITS.children + 1 }, (_, index) => ({
      bytes: json({ index }),
    }));
    const reading = readImage(sourceOf(indexOf(children), []), { scope: 'complete' });
    await expect(reading).rejects.toThrow('more than 2000 children');
  });
});
