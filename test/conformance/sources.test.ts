/** The suite of image sources, over all of them. */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { originSource } from '../../src/bucket/origin-image.ts';
import type { ImageSource } from '../../src/bucket/image-source.ts';
import { readTag } from '../../src/bucket/read-tag.ts';
import { openStoredImage } from '../../src/bucket/stored-image.ts';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { createRegistryClient } from '../../src/origin/client.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import { openDockerArchive } from '../../src/publisher/sources/docker-archive.ts';
import { openOciArchive } from '../../src/publisher/sources/oci-archive.ts';
import { openOciLayout } from '../../src/publisher/sources/oci-layout.ts';
import { openPulpTag } from '../../src/publisher/sources/pulp2.ts';
import { openRegistryImage } from '../../src/publisher/sources/registry/repository.ts';
import { tagKey } from '../../src/registry/keys.ts';
import { MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import { PUBLIC_REALM } from '../../src/registry/realms.ts';
import { type FakeRegistry, startFakeRegistry } from '../origin/fake-registry.ts';
import { Bucket, digestOf, nameOf, tagOf } from '../publisher/gc-bucket.ts';
import { makeImage, publishInPulp } from '../publisher/pulp-tree.ts';
import { describeImageSource } from './sources.ts';

const image = makeImage('one image for every source');
const BLOBS = [image.config, image.layer];
const MEDIA_TYPE = MEDIA_TYPE_OF_FORM['docker-schema2'];
const hexOf = (bytes: Uint8Array): string => digestOf(bytes).slice('sha256:'.length);

/** Opens a source that is made of files in a folder. */
function fromFolder(make: (folder: string) => Promise<ImageSource>) {
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gantry-sources-'));
    return { source: await make(folder), close: () => rm(folder, { recursive: true, force: true }) };
  };
}

async function writeDir(folder: string): Promise<void> {
  await writeFile(join(folder, 'version'), 'Directory Transport Version: 1.1\n');
  await writeFile(join(folder, 'manifest.json'), image.schema2);
  for (const bytes of BLOBS) await writeFile(join(folder, hexOf(bytes)), bytes);
}

async function writeLayout(folder: string): Promise<void> {
  const blobs = join(folder, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  for (const bytes of [image.schema2, ...BLOBS]) await writeFile(join(blobs, hexOf(bytes)), bytes);
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const root = { mediaType: MEDIA_TYPE, digest: digestOf(image.schema2), size: image.schema2.length };
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [root] }));
}

/** Packs the folder. */
function pack(folder: string): string {
  const file = `${folder}/archive.tar`;
  const { status, stderr } = spawnSync('tar', ['--exclude=./archive.tar', '-C', folder, '-cf', file, '.'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return file;
}

async function startRegistry(): Promise<FakeRegistry> {
  const registry = await startFakeRegistry();
  const digest = digestOf(image.schema2);
  registry.answer = ({ path }) => {
    if (path === '/v2/') return { body: '{}' };
    if (path === '/v2/a/b/manifests/t' || path === `/v2/a/b/manifests/${digest}`)
      return { body: image.schema2, headers: { 'content-type': MEDIA_TYPE, 'docker-content-digest': digest } };
    const blob = BLOBS.find((bytes) => path === `/v2/a/b/blobs/${digestOf(bytes)}`);
    return blob === undefined ? undefined : { body: blob };
  };
  return registry;
}

describeImageSource(
  'dir:',
  image,
  fromFolder(async (folder) => {
    await writeDir(folder);
    return openDir(folder);
  }),
);

describeImageSource(
  'oci:',
  image,
  fromFolder(async (folder) => {
    await writeLayout(folder);
    return openOciLayout(folder);
  }),
);

describeImageSource(
  'oci-archive:',
  image,
  fromFolder(async (folder) => {
    await writeLayout(folder);
    return openOciArchive(pack(folder), {});
  }),
);

describeImageSource(
  'docker-archive:, as engines write it since 25',
  image,
  fromFolder(async (folder) => {
    await writeLayout(folder);
    const [Config, layer] = BLOBS.map((bytes) => `blobs/sha256/${hexOf(bytes)}`);
    await writeFile(join(folder, 'manifest.json'), JSON.stringify([{ Config, RepoTags: ['a/b:t'], Layers: [layer] }]));
    return openDockerArchive(pack(folder), {});
  }),
);

describeImageSource(
  'pulp2:',
  image,
  fromFolder(async (folder) => {
    await publishInPulp(folder, {
      id: 'a-b',
      name: 'a/b',
      version: 4,
      tags: { t: { schema2: image.schema2 } },
      images: [image],
    });
    return openPulpTag(join(folder, 'v2', 'app', 'a-b.json'), {});
  }),
);

describeImageSource('docker://', image, async () => {
  const registry = await startRegistry();
  const source = await openRegistryImage(`//${registry.registry.host}/a/b:t`, { env: {}, tlsVerify: false });
  return { source, close: () => registry.close() };
});

describeImageSource('the origin client', image, async () => {
  const registry = await startRegistry();
  const client = createRegistryClient({ baseUrl: registry.registry, userAgent: 'test' });
  const source = originSource(client, nameOf('a/b'), [{ bytes: image.schema2, digest: digestOf(image.schema2) }]);
  return { source, close: () => registry.close() };
});

describeImageSource(
  'a tag of the bucket',
  image,
  fromFolder(async (folder) => {
    await writeDir(folder);
    const store = new Bucket();
    const [name, tag] = [nameOf('a/b'), tagOf('t')];
    const publisher = await createPublisher({ store, realms: [], signer: createSigner(newKey()) });
    await publisher.publish(await openDir(folder), { name, tag });
    const reading = await readTag(store, tagKey(name, tag));
    if (reading?.kind !== 'read') throw new Error('the tag was not published');
    return openStoredImage({ store, name, realm: PUBLIC_REALM }, reading);
  }),
);
