/**
 * Syncing from docker-registry, which makes a schema 1 for whoever asks for one, and from a tree of Pulp 2: what is
 * asked, what is written, what is told.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import { parseSyncConfig } from '../../src/publisher/sync/config.ts';
import { openSyncSources } from '../../src/publisher/sync/sources.ts';
import { hasFailures, type SyncReport } from '../../src/publisher/sync/outcome.ts';
import type { SyncOptions } from '../../src/publisher/sync/run.ts';
import { sync } from '../../src/publisher/sync/sync.ts';
import { syncLines } from '../../src/publisher/sync/report.ts';
import { readTag } from '../../src/bucket/read-tag.ts';
import { manifestKey, referrersKey, tagKey, tagListKey } from '../../src/registry/keys.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import { decodeSortedList } from '../../src/registry/sorted-list.ts';
import { Bucket, digestOf, nameOf, tagOf } from '../publisher/gc-bucket.ts';
import { type FaultProxy, startFaultProxy } from '../faults/proxy.ts';
import { makeImage, publishInPulp, schema1Of, type TestImage } from '../publisher/pulp-tree.ts';
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts';
import { gantry, missingPrograms, titleWith } from './programs.ts';

const missing = missingPrograms('docker-registry');

const SIGNER = createSigner(newKey());

let folder: string;
let registry: DockerRegistry;
let proxy: FaultProxy;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-sync-'));
  if (missing.length > 0) return;
  registry = await startDockerRegistry(join(folder, 'registry'));
  proxy = await startFaultProxy(`http://${registry.host}`);
});

afterAll(async () => {
  await proxy.close();
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => {
  proxy.fault = () => undefined;
});

async function pushBlob(name: string, bytes: Uint8Array): Promise<void> {
  const begun = await fetch(`http://${registry.host}/v2/${name}/blobs/uploads/`, { method: 'POST' });
  const url = new URL(begun.headers.get('location') ?? '', `http://${registry.host}`);
  url.searchParams.set('digest', digestOf(bytes));
  expect(
    (
      await fetch(url, {
        method: 'PUT',
        body: Buffer.from(bytes),
        headers: { 'content-type': 'application/octet-stream' },
      })
    ).status,
  ).toBe(201);
}

async function pushManifest(name: string, tag: string, bytes: Uint8Array, type: string): Promise<void> {
  const answer = await fetch(`http://${registry.host}/v2/${name}/manifests/${tag}`, {
    method: 'PUT',
    body: Buffer.from(bytes),
    headers: { 'content-type': type },
  });
  expect(answer.status, await answer.text()).toBe(201);
}

async function push(name: string, tag: string, { schema2, config, layer }: TestImage): Promise<void> {
  for (const blob of [config, layer]) await pushBlob(name, blob);
  await pushManifest(name, tag, schema2, MEDIA_TYPE_OF_FORM['docker-schema2']);
}

/** A signature as cosign stores it: an OCI image of one layer, under a tag that tells what it is of. */
async function pushSignature(name: string, of: Uint8Array, text: string): Promise<string> {
  const [config, layer] = [
    Buffer.from('{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]}}'),
    Buffer.from(text),
  ];
  const tag = `${digestOf(of).replace(':', '-')}.sig`;
  for (const blob of [config, layer]) await pushBlob(name, blob);
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'],
    config: { mediaType: MEDIA_TYPES.ociConfig, size: config.length, digest: digestOf(config) },
    layers: [
      { mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json', size: layer.length, digest: digestOf(layer) },
    ],
  };
  await pushManifest(name, tag, Buffer.from(JSON.stringify(manifest)), MEDIA_TYPE_OF_FORM['oci-manifest']);
  return tag;
}

async function run(bucket: Bucket, yaml: string, options: Partial<SyncOptions> = {}): Promise<SyncReport> {
  const sources = openSyncSources({ env: { HOME: folder } });
  try {
    const publisher = await createPublisher({ store: bucket, realms: [], signer: SIGNER });
    return await sync(await sources.jobs(parseSyncConfig(yaml, 'sync.yaml')), {
      store: bucket,
      realms: [],
      publisher: () => Promise.resolve(publisher),
      dryRun: false,
      full: false,
      pruneLimit: 1,
      onEvent: () => undefined,
      ...options,
    });
  } finally {
    await sources.close();
  }
}

const NATURAL = (a: string, b: string): number => Number(a) - Number(b);

const from = (name: string, more = ''): string => `repositories:\n  - from: docker://${proxy.host}/${name}\n${more}`;

async function formsOf(bucket: Bucket, name: string, tag: string): Promise<string[]> {
  const reading = await readTag(bucket, tagKey(nameOf(name), tagOf(tag)));
  return reading?.kind === 'read' ? reading.record.forms.map(({ form, source }) => `${form} ${source.kind}`) : [];
}

const asked = (since: number): string[] => proxy.seen.slice(since).map(({ method, path }) => `${method} ${path}`);

describe.skipIf(missing.length > 0)(titleWith('syncing from a registry', missing), () => {
  test('publishes all tags, with the schema 1 that the registry gives to whoever asks for that alone', async () => {
    for (const tag of ['1', '2', '3']) await push('all', tag, makeImage(`all ${tag}`));
    const bucket = new Bucket();
    const report = await run(bucket, from('all', '    to: mirror/all'));
    expect(report.repositories[0]).toMatchObject({
      listed: 3,
      selected: 3,
      tags: { new: ['1', '2', '3'] },
      failures: [],
    });
    expect(await formsOf(bucket, 'mirror/all', '2')).toEqual([
      'docker-schema2 published',
      'docker-schema1 published',
      'oci-manifest derived',
    ]);
  });

  test('costs one request for each tag that did not move, beside that for the list', async () => {
    for (const tag of ['1', '2', '3', '4']) await push('quiet', tag, makeImage(`quiet ${tag}`));
    const bucket = new Bucket();
    await run(bucket, from('quiet'));
    const since = proxy.seen.length;
    const report = await run(bucket, from('quiet'));
    expect(report.repositories[0]?.tags.unchanged).toHaveLength(4);
    // Whether the registry has the referrers API is asked once.
    const requests = asked(since).filter((line) => line !== 'GET /v2/' && !line.startsWith('GET /v2/quiet/referrers/'));
    expect(asked(since).length - requests.length).toBeLessThanOrEqual(2);
    expect(requests.sort()).toEqual([
      'GET /v2/quiet/tags/list',
      ...['1', '2', '3', '4'].map((tag) => `HEAD /v2/quiet/manifests/${tag}`),
    ]);
  });

  test('reads what was published under many tags in two requests, and knows what moved', async () => {
    const tags = Array.from({ length: 12 }, (_, at) => String(at));
    for (const tag of tags) await push('many', tag, makeImage(`many ${tag}`));
    const bucket = new Bucket();
    await run(bucket, from('many'));
    const seen: string[] = [];
    bucket.before = (operation, key) => void seen.push(`${operation} ${key}`);
    expect((await run(bucket, from('many'))).repositories[0]?.tags.unchanged).toHaveLength(12);
    expect(seen.filter((line) => line.includes('many')).sort()).toEqual([
      // Once to know what moved, and once more at the end, to see that the lists are right.
      'get repositories/many/_tags.json',
      'get repositories/many/_tags.json',
      'list repositories/many/_tags/',
      'list repositories/many/_tags/',
    ]);
    await push('many', '7', makeImage('moved'));
    expect((await run(bucket, from('many'))).repositories[0]?.tags).toMatchObject({
      moved: ['7'],
      unchanged: tags.filter((tag) => tag !== '7').sort(NATURAL),
    });
  });

  test('publishes anew what moved, and nothing else', async () => {
    for (const tag of ['1', '2']) await push('moving', tag, makeImage(`moving ${tag}`));
    const bucket = new Bucket();
    await run(bucket, from('moving'));
    await push('moving', '2', makeImage('moved'));
    const report = await run(bucket, from('moving'));
    expect(report.repositories[0]?.tags).toMatchObject({ moved: ['2'], unchanged: ['1'] });
    expect(await formsOf(bucket, 'moving', '2')).toEqual([
      'docker-schema2 published',
      'docker-schema1 published',
      'oci-manifest derived',
    ]);
  });

  test.each<[string, FaultProxy['fault']]>([
    [
      '404',
      ({ headers }) =>
        isSecondQuestion(headers.accept)
          ? { kind: 'answer', status: 404, body: '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}' }
          : undefined,
    ],
    ['an error', ({ headers }) => (isSecondQuestion(headers.accept) ? { kind: 'answer', status: 406 } : undefined)],
  ])('does not assume that there is a schema 1: %s is as good as none, and ours is derived', async (_, fault) => {
    await push('without', '1', makeImage('without'));
    proxy.fault = fault;
    const bucket = new Bucket();
    await run(bucket, from('without'));
    expect(await formsOf(bucket, 'without', '1')).toEqual([
      'docker-schema2 published',
      'oci-manifest derived',
      'docker-schema1 derived',
    ]);
  });

  test('does not ask for a schema 1 where that is not wanted', async () => {
    await push('unasked', '1', makeImage('unasked'));
    const bucket = new Bucket();
    await run(bucket, from('unasked', '    schema1: false'));
    expect(await formsOf(bucket, 'unasked', '1')).toEqual([
      'docker-schema2 published',
      'oci-manifest derived',
      'docker-schema1 derived',
    ]);
  });

  test('takes cosign’s tags along with their image, also ones that come later', async () => {
    const image = makeImage('signed');
    await push('signed', '1', image);
    const bucket = new Bucket();
    await run(bucket, from('signed', '    tags: ["1"]'));
    const tag = await pushSignature('signed', image.schema2, 'a signature');
    await pushSignature('signed', Buffer.from('another image'), 'of what nobody took');
    const report = await run(bucket, from('signed', '    tags: ["1"]'));
    expect(report.repositories[0]?.tags).toMatchObject({ unchanged: ['1'], new: [tag] });
    expect((await run(bucket, from('signed'))).repositories[0]?.tags).toMatchObject({ unchanged: ['1', tag] });
  });

  test.each([
    ['by the referrers API, in one request a digest', true],
    ['by their fallback tag, in no request for what has none', false],
  ])('takes referrers along that come after their image: %s', async (_, hasApi) => {
    const name = hasApi ? 'late-api' : 'late-tag';
    const [image, other] = [makeImage(`${name} 1`), makeImage(`${name} 2`)];
    await push(name, '1', image);
    await push(name, 'same', image);
    await push(name, '2', other);
    const listed = new Map<string, string>();
    const index = (manifests: readonly object[]): string =>
      JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE_OF_FORM['oci-index'], manifests });
    const headers = { 'content-type': MEDIA_TYPE_OF_FORM['oci-index'] };
    if (hasApi) {
      proxy.fault = ({ path }) => {
        const subject = /\/referrers\/(.*)$/.exec(path)?.[1];
        return subject === undefined
          ? undefined
          : { kind: 'answer', status: 200, headers, body: listed.get(subject) ?? index([]) };
      };
    }
    const bucket = new Bucket();
    const yaml = from(name, '    schema1: false');
    expect((await run(bucket, yaml)).repositories[0]?.tags).toMatchObject({ new: ['1', '2', 'same'] });

    const attach = async (subject: Uint8Array, text: string, mediaType: string): Promise<Uint8Array> => {
      const layer = Buffer.from(text);
      const config = Buffer.from('{}');
      const described = (bytes: Uint8Array, type: string) => ({
        mediaType: type,
        size: bytes.length,
        digest: digestOf(bytes),
      });
      const manifest = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'],
          artifactType: 'application/vnd.example.signature',
          config: described(config, 'application/vnd.oci.empty.v1+json'),
          layers: [described(layer, 'text/plain')],
          subject: described(subject, mediaType),
        }),
      );
      for (const blob of [config, layer]) await pushBlob(name, blob);
      await pushManifest(name, `kept-${digestOf(manifest).slice(7, 20)}`, manifest, MEDIA_TYPE_OF_FORM['oci-manifest']);
      const list = index([described(manifest, MEDIA_TYPE_OF_FORM['oci-manifest'])]);
      listed.set(digestOf(subject), list);
      if (!hasApi)
        await pushManifest(name, digestOf(subject).replace(':', '-'), Buffer.from(list), headers['content-type']);
      return manifest;
    };
    const signature = await attach(image.schema2, 'a signature', MEDIA_TYPE_OF_FORM['docker-schema2']);
    const selected = `${yaml}\n    tags: ['1', '2', 'same']`;
    const report = await run(bucket, selected);
    expect(report.repositories[0]?.failures).toEqual([]);
    expect(report.repositories[0]?.tags).toMatchObject({ unchanged: ['2'], referrers: ['1', 'same'] });
    const record = bucket.objects.get(referrersKey(nameOf(name), digestOf(image.schema2)));
    expect(Buffer.from(record?.bytes ?? []).toString()).toContain(digestOf(signature));
    expect(bucket.objects.has(manifestKey(nameOf(name), digestOf(signature)))).toBe(true);

    const since = proxy.seen.length;
    expect((await run(bucket, selected)).repositories[0]?.tags).toMatchObject({ unchanged: ['1', '2', 'same'] });
    const requests = asked(since).filter((line) => line.includes('referrers') || line.includes('manifests/sha256'));
    // Of the two images and the signature, each once; the tag is there for one of them alone.
    if (hasApi) expect(requests).toHaveLength(3);
    else expect(requests.filter((line) => line.includes('manifests/'))).toHaveLength(1);

    const second = await attach(signature, 'a signature of the signature', MEDIA_TYPE_OF_FORM['oci-manifest']);
    expect((await run(bucket, selected)).repositories[0]?.tags).toMatchObject({ referrers: ['1', 'same'] });
    expect(bucket.objects.has(manifestKey(nameOf(name), digestOf(second)))).toBe(true);
  });

  test('writes nothing in a dry run, and says what it would', async () => {
    await push('dry', '1', makeImage('dry'));
    const bucket = new Bucket();
    const report = await run(bucket, from('dry'), { dryRun: true });
    expect(report.repositories[0]).toMatchObject({ tags: { new: ['1'] } });
    expect(report.repositories[0]?.sentBytes).toBeGreaterThan(0);
    expect(bucket.objects.size).toBe(0);
  });

  test('prunes what the source does not have any more, or what is not chosen any more, and no repository beside it', async () => {
    for (const tag of ['1', '2']) await push('pruned', tag, makeImage(`pruned ${tag}`));
    const bucket = new Bucket();
    await run(bucket, from('pruned', '    to: p'));
    await run(bucket, from('pruned', '    to: p/more'));
    // A tag that somebody published by hand.
    await run(bucket, from('pruned', '    to: other'));
    const own = bucket.objects.get(tagKey(nameOf('other'), tagOf('1')));
    bucket.objects.set(tagKey(nameOf('p'), tagOf('mine')), {
      ...(own ?? (undefined as never)),
      key: tagKey(nameOf('p'), tagOf('mine')),
    });

    expect((await run(bucket, from('pruned', '    to: p\n    tags: ["1"]'))).repositories[0]?.tags.pruned).toEqual([]);
    expect(
      (await run(bucket, from('pruned', '    to: p\n    tags: ["1"]\n    prune: missing'), { dryRun: true }))
        .repositories[0]?.tags.pruned,
    ).toEqual(['mine']);
    expect(bucket.objects.has(tagKey(nameOf('p'), tagOf('mine')))).toBe(true);
    expect(
      (await run(bucket, from('pruned', '    to: p\n    tags: ["1"]\n    prune: missing'))).repositories[0]?.tags
        .pruned,
    ).toEqual(['mine']);
    expect(
      (await run(bucket, from('pruned', '    to: p\n    tags: ["1"]\n    prune: unselected'))).repositories[0]?.tags
        .pruned,
    ).toEqual(['2']);
    expect(bucket.objects.has(tagKey(nameOf('p/more'), tagOf('2')))).toBe(true);
  });

  test('takes what it prunes from the list, too, without the key that signs', async () => {
    for (const tag of ['1', '2']) await push('keyless', tag, makeImage(`keyless ${tag}`));
    const bucket = new Bucket();
    await run(bucket, from('keyless'));
    const publisher = (): Promise<never> => Promise.reject(new Error('the key cannot be read'));
    const report = await run(bucket, from('keyless', '    tags: ["1"]\n    prune: unselected'), { publisher });
    expect(report.repositories[0]).toMatchObject({ tags: { unchanged: ['1'], pruned: ['2'] } });
    const list = bucket.objects.get(tagListKey(nameOf('keyless')));
    expect(decodeSortedList(list?.bytes ?? new Uint8Array()).map(({ name }) => name)).toEqual(['1']);
  });

  test('prunes nothing where the source lists nothing', async () => {
    await push('emptied', '1', makeImage('emptied'));
    const bucket = new Bucket();
    await run(bucket, from('emptied'));
    proxy.fault = ({ path }) =>
      path.endsWith('/tags/list')
        ? { kind: 'answer', status: 200, headers: { 'content-type': 'application/json' }, body: '{"tags":null}' }
        : undefined;
    const report = await run(bucket, from('emptied', '    prune: unselected'));
    expect(report.repositories[0]?.tags.pruned).toEqual([]);
    expect(report.repositories[0]?.warnings.join()).toMatch(/lists no tags/);
  });

  test('goes on past a bad image and a bad repository, and lists them', async () => {
    for (const tag of ['1', '2', '3']) await push('some', tag, makeImage(`some ${tag}`));
    const bad = digestOf(makeImage('some 2').layer);
    proxy.fault = ({ path }) => (path.includes(bad) ? { kind: 'corrupt' } : undefined);
    const bucket = new Bucket();
    const report = await run(
      bucket,
      `repositories:\n  - from: docker://${proxy.host}/absent\n  - from: pulp2:${join(folder, 'absent')}\n  - from: docker://${proxy.host}/some`,
    );
    expect(report.repositories.map(({ tags }) => tags.new.length)).toEqual([0, 0, 2]);
    expect(report.repositories[2]?.failures).toMatchObject([
      { tag: '2', message: expect.stringMatching(/is damaged/) as string },
    ]);
    expect(hasFailures(report)).toBe(true);
    expect(await formsOf(bucket, 'some', '2')).toEqual([]);
    const text = syncLines(report, 200).join('\n');
    expect(text).toMatch(/some:2 .*is damaged/);
    expect(text).toMatch(/absent does not exist/);
    expect(text).toMatch(/3 repositories · 2 tags written · .* · 3 failures/);
  });

  test('stops asking a registry that limits us, and says how many tags were not tried', async () => {
    for (let tag = 0; tag < 20; tag += 1) await pushManifestOnly('limited', String(tag));
    proxy.fault = ({ path }) =>
      path.includes('/manifests/') ? { kind: 'answer', status: 429, headers: { 'retry-after': '3600' } } : undefined;
    const since = proxy.seen.length;
    const report = await run(new Bucket(), from('limited'));
    expect(report.repositories[0]?.warnings.join()).toMatch(/\d+ more tags of .*limited were not tried/);
    expect(asked(since).filter((line) => line.includes('/manifests/')).length).toBeLessThan(20);
  });

  async function pushManifestOnly(name: string, tag: string): Promise<void> {
    await push(name, tag, makeImage('one for all'));
  }
});

function isSecondQuestion(accept: string | undefined): boolean {
  return accept?.includes('manifest.v1+') === true && !accept.includes('v2+json');
}

describe('syncing a tree of Pulp 2', () => {
  test('takes the repositories that are wanted under names of their own, unchanged ones for nothing, and tells of those that cannot be read', async () => {
    const root = join(folder, 'pulp');
    const image = makeImage('pulp');
    const tags = { latest: { schema2: image.schema2, schema1: schema1Of(image, 'rhel7/a', 'latest') } };
    await publishInPulp(root, { id: 'a', name: 'rhel7/a', version: 4, tags, images: [image] });
    await publishInPulp(root, { id: 'b', name: 'rhel7/b', version: 3, isProtected: true, tags, images: [image] });
    await publishInPulp(root, { id: 'c', name: 'other/c', version: 3, tags, images: [image] });
    await publishInPulp(root, { id: 'd', name: 'rhel7/d', version: 1, tags: {} });
    const bucket = new Bucket();
    const yaml = `repositories:\n  - from: pulp2:${root}\n    repositories: ['rhel7/*']\n    to: legacy/*`;
    const report = await run(bucket, yaml);
    expect(await formsOf(bucket, 'legacy/rhel7/a', 'latest')).toEqual([
      'docker-schema2 published',
      'docker-schema1 published',
      'oci-manifest derived',
    ]);
    expect(report.repositories.flatMap(({ failures }) => failures.map(({ message }) => message)).sort()).toEqual([
      expect.stringMatching(/d\.json describes a repository of the Docker v1 API/),
      expect.stringMatching(/protects this image/),
    ]);
    expect((await run(bucket, yaml)).repositories[0]?.tags.unchanged).toEqual(['latest']);
  });
});

describe.skipIf(missing.length > 0)(titleWith('gantry sync', missing), () => {
  test('reports, and ends with 1 if something failed; a file that is wrong ends with 2', async () => {
    await mkdir(join(folder, 'cli'), { recursive: true });
    await push('cli', '1', makeImage('cli'));
    const file = join(folder, 'cli', 'sync.yaml');
    const env = { ...process.env, HOME: folder, GANTRY_KEY: join(folder, 'cli', 'key.pem') };
    const cli = (...args: string[]) =>
      gantry(['sync', file, '--state', join(folder, 'cli', 'state'), ...args], { env });
    await writeFile(file, from('cli', '    to: mirror/cli'));
    const good = await cli('--json');
    expect(good.stderr + String(good.code)).toMatch(/0$/);
    const events = good.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.at(-1)).toMatchObject({
      event: 'result',
      repositories: [{ to: 'mirror/cli', tags: { new: ['1'] } }],
    });
    expect(events).toContainEqual({ event: 'tag', name: 'mirror/cli', tag: '1', what: 'new' });

    await writeFile(file, `${from('cli', '    to: mirror/cli')}\n  - from: docker://${registry.host}/absent`);
    const half = await cli();
    expect(half.code).toBe(1);
    expect(half.stdout).toMatch(/mirror\/cli .*1 tag, 1 unchanged/);
    expect(half.stdout).toMatch(/failed .*absent does not exist/);

    await push('cli', '2', makeImage('cli 2'));
    const keyless = join(folder, 'cli', 'no-key.pem');
    await writeFile(keyless, 'no key');
    const unsigned = await gantry(['sync', file, '--state', join(folder, 'cli', 'state')], {
      env: { ...env, GANTRY_KEY: keyless },
    });
    expect(unsigned).toMatchObject({ code: 1, stdout: '' });
    expect(unsigned.stderr).toMatch(/no-key\.pem is not a valid signing key/);

    await writeFile(file, 'repositories:\n  - from: docker://a\n    tag: x');
    const wrong = await cli();
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/sync\.yaml:3: .*unknown member "tag"/);
  });
});
