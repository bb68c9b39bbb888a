import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../../src/publisher/publish/publish.ts';
import type { PublishResult } from '../../../src/publisher/publish/request.ts';
import { openSource } from '../../../src/publisher/sources/open.ts';
import { listPulpTree, openPulpRepository } from '../../../src/publisher/sources/pulp2.ts';
import { blobKey } from '../../../src/registry/keys.ts';
import { parseRealmTable } from '../../../src/registry/realms.ts';
import { Bucket, digestOf, nameOf, tagOf } from '../gc-bucket.ts';
import { listOf, makeImage, publishInPulp, schema1Of } from '../pulp-tree.ts';

const REALMS = parseRealmTable([{ pattern: 'closed/*', realm: 'team' }]);
const [amd64, arm64, old] = [makeImage('amd64'), makeImage('arm64', 'arm64'), makeImage('old')];
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gantry-pulp-'));
  await publishInPulp(root, {
    id: 'v4',
    name: 'rhel7/app',
    version: 4,
    tags: {
      latest: {
        list: listOf({ amd64, arm64 }),
        schema2: amd64.schema2,
        schema1: schema1Of(amd64, 'rhel7/app', 'latest'),
      },
      both: { schema2: amd64.schema2, schema1: schema1Of(amd64, 'rhel7/app', 'both') },
      old: { schema1: schema1Of(old, 'rhel7/app', 'old') },
    },
    images: [amd64, arm64, old],
  });
  await publishInPulp(root, {
    id: 'v3',
    name: 'secret',
    version: 3,
    isProtected: true,
    tags: { latest: { schema2: amd64.schema2 } },
    images: [amd64],
  });
  await publishInPulp(root, {
    id: 'v2',
    name: 'older',
    version: 2,
    tags: { latest: { schema1: schema1Of(old, 'older', 'latest') } },
    images: [old],
  });
  await publishInPulp(root, { id: 'v1', name: 'oldest', version: 1, tags: {} });
});

afterAll(() => rm(root, { recursive: true, force: true }));

async function publish(source: string, name: string): Promise<PublishResult & { readonly bucket: Bucket }> {
  const bucket = new Bucket();
  const publisher = await createPublisher({ store: bucket, realms: REALMS, signer: createSigner(newKey()) });
  const opened = await openSource(source, { env: {} });
  return { ...(await publisher.publish(opened, { name: nameOf(name), tag: tagOf('t') })), bucket };
}

const formsOf = ({ forms }: PublishResult) =>
  forms.map(
    ({ form, source, platform }) =>
      `${form}${platform === undefined ? '' : `/${platform.architecture}`} ${source.kind}`,
  );

describe('a repository published by Pulp 2', () => {
  test('gives every form that a tag has, each as it was published', async () => {
    const result = await publish(`pulp2:${join(root, 'v2/web/v4')}:latest`, 'rhel7/app');
    expect(formsOf(result)).toEqual([
      'docker-list published',
      'docker-schema2 published',
      'oci-manifest derived',
      'oci-index derived',
      'docker-schema1/amd64 published',
      'docker-schema1/arm64 derived',
    ]);
    expect(formsOf(await publish(`pulp2:${join(root, 'v2/app/v4.json')}:both`, 'a'))).toEqual([
      'docker-schema2 published',
      'docker-schema1 published',
      'oci-manifest derived',
    ]);
    expect(formsOf(await publish(`pulp2:${join(root, 'v2/web/v4')}:old`, 'a')).sort()).toEqual([
      'docker-schema1 published',
      'docker-schema2 derived',
      'oci-manifest derived',
    ]);
  });

  test('is read with the one folder of manifests that app file version 2 stands for', async () => {
    expect(formsOf(await publish(`pulp2:${join(root, 'v2/web/v2')}`, 'a')).sort()).toEqual([
      'docker-schema1 published',
      'docker-schema2 derived',
      'oci-manifest derived',
    ]);
  });

  test('tells its name, its tags and the digests of what is under them', async () => {
    const repository = await openPulpRepository(join(root, 'v2/web/v4'));
    expect(repository.name).toBe('rhel7/app');
    expect(new Set((await repository.tags())?.tags)).toEqual(new Set(['latest', 'both', 'old']));
    expect((await repository.digests(tagOf('latest')))?.slice(0, 2)).toEqual([
      digestOf(listOf({ amd64, arm64 })),
      digestOf(amd64.schema2),
    ]);
    expect(await repository.digests(tagOf('none'))).toBeNull();
    expect(await repository.open(tagOf('none'), { schema1: true })).toBeNull();
  });

  test('is found in its tree', async () => {
    expect(await listPulpTree(root)).toEqual(
      ['v1', 'v2', 'v3', 'v4'].map((id) => join(root, 'v2', 'app', `${id}.json`)),
    );
  });

  test('that is protected goes where only some may read, and nowhere else', async () => {
    await expect(publish(`pulp2:${join(root, 'v2/web/v3')}:latest`, 'secret')).rejects.toThrow(
      /protects this image, and secret would be public/,
    );
    const { bucket } = await publish(`pulp2:${join(root, 'v2/web/v3')}:latest`, 'closed/secret');
    expect(bucket.objects.has(blobKey(REALMS[0]?.realm ?? (undefined as never), digestOf(amd64.layer)))).toBe(true);
  });

  test.each([
    ['of the Docker v1 API', () => 'v2/app/v1.json:latest', /of the Docker v1 API, which has no manifests/],
    ['of the Docker v1 API, by its folder', () => 'v2/web/v1:latest', /of the Docker v1 API/],
    ['without such a tag', () => 'v2/web/v4:none', /has no tag "none"/],
    ['with many tags and none named', () => 'v2/web/v4', /has 3 tags/],
    ['that is not there', () => 'v2/web/none:latest', /there is no/],
    ['that is a whole tree', () => '', /is a whole Pulp 2 tree/],
  ])('is refused %s', async (_, path, message) => {
    await expect(publish(`pulp2:${join(root, path())}`, 'a')).rejects.toThrow(message);
  });

  test('is refused if its app file is damaged, of a newer version, or names nothing', async () => {
    const file = join(root, 'v2', 'app', 'bad.json');
    for (const [text, message] of [
      ['{', /is not a JSON object/],
      [JSON.stringify({ type: 'pulp-docker-redirect', version: 5 }), /has version 5; versions 2, 3 and 4 are read/],
      [JSON.stringify({ type: 'other', version: 4 }), /its type is "other"/],
    ] as const) {
      await writeFile(file, text);
      await expect(publish(`pulp2:${file}`, 'a')).rejects.toThrow(message);
    }
    await rm(file);
  });

  test('whose file has another content than its digest is refused, and nothing of it is published', async () => {
    const broken = await mkdtemp(join(tmpdir(), 'gantry-pulp-'));
    const image = makeImage('broken');
    await publishInPulp(broken, {
      id: 'a',
      name: 'a',
      version: 3,
      tags: { t: { schema2: image.schema2 } },
      images: [image],
    });
    const layer = Buffer.from(image.layer);
    layer[20] = (layer[20] ?? 0) ^ 1;
    await writeFile(join(broken, 'content/a', digestOf(image.layer).slice(7)), layer);
    await expect(publish(`pulp2:${join(broken, 'v2/web/a')}:t`, 'a')).rejects.toThrow(/is damaged/);
    await rm(broken, { recursive: true });
  });
});
