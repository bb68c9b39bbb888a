/** Which forms a published image gets where layers, types or names are not as usual. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { payloadOf } from '../../src/manifest/signing/jws.ts';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { readStoredTag } from '../../src/publisher/commands/stored.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import type { PublishRequest, PublishResult } from '../../src/publisher/publish/request.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import { verify } from '../../src/publisher/verify/verify.ts';
import type { Descriptor } from '../../src/registry/descriptor.ts';
import { hexOf } from '../../src/registry/digest.ts';
import { blobKey } from '../../src/registry/keys.ts';
import { MEDIA_TYPES } from '../../src/registry/media-type.ts';
import { PUBLIC_REALM } from '../../src/registry/realms.ts';
import type { TagRecord } from '../../src/registry/records.ts';
import { writeDirImage } from './dir-image.ts';
import { Bucket, digestOf, nameOf, tagOf } from './gc-bucket.ts';

const [NAME, TAG] = [nameOf('test/forms'), tagOf('v1')];
const signer = createSigner(newKey());

let root: string;
let bucket: Bucket;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gantry-forms-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(() => {
  bucket = new Bucket();
});

async function publish(folder: string, more: Partial<PublishRequest> = {}): Promise<PublishResult> {
  const publisher = await createPublisher({ store: bucket, realms: [], signer, wait: () => Promise.resolve() });
  return publisher.publish(await openDir(folder), { name: NAME, tag: TAG, ...more });
}

const stored = async (): Promise<TagRecord> => (await readStoredTag(bucket, NAME, TAG)).record;
const formsOf = ({ forms }: Pick<TagRecord, 'forms'>): string[] =>
  forms.map(({ source, form }) => `${source.kind} ${form}`);
const expectSound = async (): Promise<void> => {
  expect((await verify(bucket, { table: [], sample: 1, repair: false, jobs: 2 })).faults).toEqual([]);
};

/** Changes the layers' descriptors in the manifest of a `dir:` folder. */
async function changeLayers(
  folder: string,
  bytes: Uint8Array,
  change: (layer: Descriptor, index: number) => object,
): Promise<void> {
  const manifest = JSON.parse(new TextDecoder().decode(bytes)) as { layers: Descriptor[] };
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, layers: manifest.layers.map(change) }));
}

describe('a schema 1 with an empty name', () => {
  async function writeNameless(folder: string): Promise<string> {
    const image = await writeDirImage(join(root, `${folder}-v2`));
    await publish(image.folder);
    const { record, manifests } = await readStoredTag(bucket, NAME, TAG);
    const at = record.forms.findIndex(({ form }) => form === 'docker-schema1');
    const payload = new TextDecoder().decode(payloadOf(manifests[at] ?? new Uint8Array()));
    const nameless = new TextEncoder().encode(payload.replace(/"name": "[^"]*"/, '"name": ""'));
    await writeFile(join(image.folder, 'manifest.json'), signer.sign(nameless, '2026-11-24T00:00:00Z'));
    return image.folder;
  }

  it('is refused with the reason and what to do, and nothing is written', async () => {
    const folder = await writeNameless('alone');
    bucket = new Bucket();
    await expect(publish(folder)).rejects.toMatchObject({
      message: expect.stringContaining('empty name') as string,
      hint: expect.stringContaining('derives') as string,
    });
    expect(bucket.keys()).toEqual([]);
  });

  it('does not take the place of the derived one', async () => {
    const folder = await writeNameless('beside');
    const before = await stored();
    await expect(publish(folder)).rejects.toThrow('empty name');
    expect(await stored()).toEqual(before);
  });
});

describe('a schema 2 whose layers are packed with zstd', () => {
  it('gets an OCI manifest, and with --recompress a schema 2 with gzip layers and a schema 1', async () => {
    const folder = join(root, 'zstd');
    const plain = new Uint8Array(4096).fill(7);
    const image = await writeDirImage(folder, { layers: [plain, new Uint8Array(512)] });
    const packed = new Uint8Array(zstdCompressSync(plain));
    await writeFile(join(folder, hexOf(digestOf(packed))), packed);
    await changeLayers(folder, image.manifestBytes, (layer, index) =>
      index > 0 ? layer : { mediaType: MEDIA_TYPES.dockerLayerZstd, size: packed.length, digest: digestOf(packed) },
    );
    await publish(folder);
    expect(formsOf(await stored())).toEqual(['published docker-schema2', 'derived oci-manifest']);
    expect((await stored()).forms.map(({ nonstandard }) => nonstandard)).toEqual([['docker-zstd'], undefined]);
    await expectSound();

    await publish(folder, { recompress: 'zstd' });
    expect(formsOf(await stored())).toEqual([
      'published docker-schema2',
      'derived docker-schema2',
      'derived oci-manifest',
      'derived docker-schema1',
    ]);
    await expectSound();
  });
});

describe('a layer with an address of its own', () => {
  async function writeForeign(folder: string): Promise<{ folder: string; layer: Descriptor['digest'] }> {
    const image = await writeDirImage(join(root, folder), { layers: 2 });
    await changeLayers(image.folder, image.manifestBytes, (layer, index) =>
      index > 0
        ? layer
        : { ...layer, mediaType: MEDIA_TYPES.dockerLayerForeignGzip, urls: ['https://mcr.example/layer'] },
    );
    const [layer] = image.layers;
    if (layer === undefined) throw new Error('no layer');
    return { folder: image.folder, layer };
  }

  it('that the source has is stored, and the image gets its schema 1', async () => {
    const { folder, layer } = await writeForeign('held');
    await publish(folder);
    expect(formsOf(await stored())).toContain('derived docker-schema1');
    expect(bucket.keys()).toContain(blobKey(PUBLIC_REALM, layer));
    await expectSound();
  });

  it('that only the bucket has is enough', async () => {
    const { folder, layer } = await writeForeign('in the bucket');
    await publish(folder);
    await rm(join(folder, hexOf(layer)));
    await publish(folder, { replace: true });
    expect(formsOf(await stored())).toContain('derived docker-schema1');
  });

  it('that nobody has keeps the image from its schema 1', async () => {
    const { folder, layer } = await writeForeign('elsewhere');
    await rm(join(folder, hexOf(layer)));
    const { missing } = await publish(folder);
    expect(missing).toMatchObject([{ form: 'docker-schema1', reason: 'schema1-foreign-layers' }]);
    await expectSound();
  });
});
