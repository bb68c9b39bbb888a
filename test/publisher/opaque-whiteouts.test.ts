/** Opaque whiteouts, which Docker 1.6 to 1.8 ignores: what takes their place in layers for these engines. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readLinks } from '../../src/manifest/links.ts';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { readStoredTag } from '../../src/publisher/commands/stored.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import {
  LowerLayers,
  type Member,
  NameBudget,
  opaqueFolder,
  OpaqueLayer,
  TooManyNamesError,
} from '../../src/publisher/publish/opaque-whiteouts.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import type { PublishRequest, PublishResult } from '../../src/publisher/publish/request.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import { LayerScan } from '../../src/publisher/streams/opaque-scan.ts';
import { TarScanner } from '../../src/publisher/streams/tar-scanner.ts';
import { verify } from '../../src/publisher/verify/verify.ts';
import { blobKey } from '../../src/registry/keys.ts';
import { PUBLIC_REALM } from '../../src/registry/realms.ts';
import { writeDirImage } from './dir-image.ts';
import { Bucket, digestOf, nameOf, tagOf } from './gc-bucket.ts';
import { paxRecord, tarBytes, tarMember } from './sources/tar-bytes.ts';

type Layer = readonly Member[];
const OPAQUE = '.wh..wh..opq';

const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
const file = (path: string): Member => ({ path, isFolder: false });
const folder = (path: string): Member => ({ path, isFolder: true });

/** A file system: path → the layer that a file is from, or `folder`. */
type Tree = Map<string, string>;

function removeAll(tree: Tree, path: string): void {
  for (const one of [...tree.keys()]) if (one === path || one.startsWith(`${path}/`)) tree.delete(one);
}

function add(tree: Tree, { path, isFolder }: Member, content: string): void {
  const there = tree.get(path);
  if (there !== undefined && !(isFolder && there === 'folder')) removeAll(tree, path);
  for (let at = folderOf(path); at !== ''; at = folderOf(at)) {
    // MkdirAll of an engine fails here.
    if ((tree.get(at) ?? 'folder') !== 'folder') throw new RangeError('a file lies above');
    tree.set(at, 'folder');
  }
  tree.set(path, isFolder ? 'folder' : content);
}

const nameOfMember = ({ path }: Member): string => path.slice(path.lastIndexOf('/') + 1);
const isWhiteout = (member: Member): boolean => nameOfMember(member).startsWith('.wh.');
const hiddenBy = (member: Member): string =>
  `${folderOf(member.path)}/${nameOfMember(member).slice('.wh.'.length)}`.replace(/^\//, '');

/** What the layers mean (OCI image spec, layer.md): whiteouts hide what is below the layer. */
function meaning(layers: readonly Layer[]): Tree {
  const tree: Tree = new Map();
  for (const [at, layer] of layers.entries()) {
    for (const member of layer) {
      if (!isWhiteout(member)) continue;
      const opaque = opaqueFolder(member.path);
      if (opaque === null) removeAll(tree, hiddenBy(member));
      else for (const path of [...tree.keys()]) if (opaque === '' || path.startsWith(`${opaque}/`)) tree.delete(path);
    }
    for (const member of layer) if (!isWhiteout(member)) add(tree, member, String(at));
  }
  return tree;
}

/** What Docker 1.6 to 1.8 makes of them (moby, pkg/archive/diff.go, UnpackLayer): member by member. */
function asOldEngine(layers: readonly Layer[]): Tree {
  const tree: Tree = new Map();
  for (const [at, layer] of layers.entries()) {
    for (const member of layer) {
      if (member.path.startsWith('.wh..wh.')) continue;
      if (isWhiteout(member)) removeAll(tree, hiddenBy(member));
      else add(tree, member, String(at));
    }
  }
  return tree;
}

/** The layers with explicit whiteouts in front, where they need some. */
function rewritten(layers: readonly Layer[]): readonly Layer[] {
  const budget = new NameBudget();
  const own = layers.map((layer) => {
    const opaque = new Set(layer.flatMap(({ path }) => opaqueFolder(path) ?? []));
    const found = new OpaqueLayer(opaque, budget);
    for (const member of layer) found.add(member);
    return found;
  });
  const lower = new LowerLayers(
    own.flatMap(({ folders }) => [...folders]),
    budget,
  );
  return layers.map((layer, at) => {
    const whiteouts = own[at]?.whiteouts(lower) ?? [];
    for (const member of layer) lower.add(member);
    lower.endLayer();
    return [...whiteouts.map(file), ...layer];
  });
}

const sorted = (tree: Tree): [string, string][] => [...tree].sort(([a], [b]) => (a < b ? -1 : 1));

describe('explicit whiteouts', () => {
  const BASE: Layer = [folder('etc'), file('etc/a'), folder('etc/d'), file('etc/d/x'), file('top')];
  it.each<[string, readonly Layer[]]>([
    ['a folder that is made anew', [BASE, [folder('etc'), file(`etc/${OPAQUE}`), file('etc/new')]]],
    ['the marker behind the files', [BASE, [folder('etc'), file('etc/new'), file('etc/a'), file(`etc/${OPAQUE}`)]]],
    ['a folder that is there again', [BASE, [file(`etc/${OPAQUE}`), folder('etc/d'), file('etc/d/y')]]],
    ['a folder without a member of its own', [BASE, [file(`etc/${OPAQUE}`), file('etc/d/y')]]],
    ['a file in place of a folder', [BASE, [folder('etc'), file(`etc/${OPAQUE}`), file('etc/d')]]],
    ['the root', [BASE, [file(OPAQUE), folder('etc'), file('etc/b')]]],
    ['a folder in an opaque folder', [BASE, [file(`etc/${OPAQUE}`), folder('etc/d'), file(`etc/d/${OPAQUE}`)]]],
    ['what a layer between hid', [BASE, [file('etc/.wh.d')], [file(`etc/${OPAQUE}`), folder('etc')]]],
    ['what came back', [BASE, [file('etc/.wh.a')], [file('etc/a')], [file(`etc/${OPAQUE}`), folder('etc')]]],
    ['what was a folder', [BASE, [file('etc')], [folder('etc'), file(`etc/${OPAQUE}`), file('etc/q')]]],
    ['two layers', [BASE, [file(`etc/${OPAQUE}`), file('etc/m')], [file(`etc/${OPAQUE}`), file('etc/n')]]],
  ])('give old engines the same files: %s', (_, layers) => {
    expect(sorted(asOldEngine(rewritten(layers)))).toEqual(sorted(meaning(layers)));
    // A newer engine that reads the copy gets them too.
    expect(sorted(meaning(rewritten(layers)))).toEqual(sorted(meaning(layers)));
  });

  it('are needed: without them, deleted files come back', () => {
    const layers: readonly Layer[] = [BASE, [folder('etc'), file(`etc/${OPAQUE}`), file('etc/new')]];
    expect(asOldEngine(layers).has('etc/a')).toBe(true);
    expect(rewritten(layers)[1]?.map(({ path }) => path)).toEqual([
      'etc/.wh.a',
      'etc/.wh.d',
      'etc',
      `etc/${OPAQUE}`,
      'etc/new',
    ]);
  });

  it('give old engines the same files, whatever the layers are', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const member = fc.oneof(
      { weight: 4, arbitrary: path.map(file) },
      { weight: 3, arbitrary: path.map(folder) },
      {
        weight: 1,
        arbitrary: path.map((at) => file(`${folderOf(at)}/.wh.${nameOfMember(file(at))}`.replace(/^\//, ''))),
      },
      { weight: 2, arbitrary: path.map((at) => file(`${at}/${OPAQUE}`)) },
      { weight: 1, arbitrary: fc.constant(file(OPAQUE)) },
    );
    const layer = fc.array(member, { maxLength: 8 }).map(consistent);
    let compared = 0;
    fc.assert(
      fc.property(fc.array(layer, { minLength: 2, maxLength: 4 }), (layers) => {
        const trees = bothTrees(layers);
        if (trees === null) return;
        const { expected, got } = trees;
        compared += 1;
        // An engine makes folders above a whiteout that the layers do not have.
        const files = (tree: Tree): [string, string][] => sorted(tree).filter(([, content]) => content !== 'folder');
        expect(files(got)).toEqual(files(expected));
      }),
      { numRuns: 3_000 },
    );
    expect(compared).toBeGreaterThan(1_000);
  });

  it('end where there are too many names', () => {
    const layer = new OpaqueLayer(new Set(['etc']), new NameBudget(20));
    expect(() => {
      for (let at = 0; at < 10; at++) layer.add(file(`etc/${String(at)}`));
    }).toThrow(TooManyNamesError);
  });
});

/** What the layers mean, and what an old engine makes of the copies; null where engines fail. */
function bothTrees(layers: readonly Layer[]): { readonly expected: Tree; readonly got: Tree } | null {
  try {
    return { expected: meaning(layers), got: asOldEngine(rewritten(layers)) };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/**
 * Drops members that no program writes beside the earlier ones: a file with files below it, a whiteout of what is
 * there.
 */
function consistent(members: Layer): Layer {
  const kept: Member[] = [];
  const isBelow = (a: string, b: string): boolean => a.startsWith(`${b}/`);
  for (const member of members) {
    const target = isWhiteout(member) && opaqueFolder(member.path) === null ? hiddenBy(member) : member.path;
    const clash = kept.some((one) => {
      const other = isWhiteout(one) && opaqueFolder(one.path) === null ? hiddenBy(one) : one.path;
      const same = other === target;
      const isLeaf = (it: Member): boolean => !it.isFolder;
      return same || (isLeaf(one) && isBelow(target, other)) || (isLeaf(member) && isBelow(other, target));
    });
    if (!clash) kept.push(member);
  }
  return kept;
}

describe('the members of a layer', () => {
  const long = `${'d'.repeat(90)}/${'e'.repeat(60)}`;
  const archive = Buffer.concat([
    tarMember({ name: './', type: '5' }),
    tarMember({ name: './etc/', type: '5' }),
    tarMember({ name: 'etc/a', content: new Uint8Array(700) }),
    tarMember({ name: 'x', type: 'x', content: Buffer.from(paxRecord('path', `${long}/pax`)) }),
    tarMember({ name: 'short', content: new Uint8Array(1) }),
    tarMember({ name: '././@LongLink', type: 'L', content: Buffer.from(`${long}/gnu\0`) }),
    tarMember({ name: 'short' }),
    tarMember({ name: '../outside' }),
    tarBytes([{ name: 'link', type: '2' }]),
  ]);
  const expected = ['', 'etc', 'etc/a', `${long}/pax`, `${long}/gnu`, 'link'];

  it.each([1, 7, 512, 100_000])('are read from chunks of %i bytes', (step) => {
    const found: string[] = [];
    const scanner = new TarScanner((path) => found.push(path));
    for (let at = 0; at < archive.length; at += step) scanner.write(archive.subarray(at, at + step));
    expect(found).toEqual(expected);
  });

  const packed = gzipSync(archive);
  it.each<[string, Buffer, number]>([
    ['plain', archive, 2],
    ['gzip', packed, 2],
    ['gzip in two members', Buffer.concat([gzipSync(archive.subarray(0, 600)), gzipSync(archive.subarray(600))]), 2],
    ['bzip2', Buffer.from('BZh91AY&SY and so on'), 0],
    ['no archive', Buffer.alloc(2000, 'x'), 0],
    ['gzip of no archive', gzipSync(randomBytes(1_000_000)), 0],
    ['damaged gzip', Buffer.concat([packed.subarray(0, 40), Buffer.alloc(300_000, 7)]), 0],
    ['cut gzip', packed.subarray(0, packed.length - 8), 2],
    ['two bytes', Buffer.from('ab'), 0],
  ])('are counted while a layer is sent, and none in one that cannot be read: %s', async (_, bytes, count) => {
    const scan = new LayerScan((path) => path.startsWith('etc'));
    for (let at = 0; at < bytes.length; at += 100) await scan.write(bytes.subarray(at, at + 100));
    await scan.end();
    expect(scan.found.count).toBe(count);
  });
});

describe('an image with opaque whiteouts', () => {
  const [NAME, TAG] = [nameOf('test/opaque'), tagOf('v1')];
  const signer = createSigner(newKey());
  const deep = `etc/${'long-name-'.repeat(11)}`;
  const LAYERS = [
    tarBytes([
      { name: 'etc/', type: '5' },
      { name: 'etc/a' },
      { name: 'x', type: 'x', content: Buffer.from(paxRecord('path', deep)) },
      { name: 'etc/l' },
    ]),
    tarBytes([{ name: 'etc/', type: '5' }, { name: `etc/${OPAQUE}` }, { name: 'etc/b' }]),
    tarBytes([{ name: 'other' }]),
  ].map((bytes) => new Uint8Array(bytes));
  let root: string;
  let bucket: Bucket;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'gantry-opaque-'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));
  beforeEach(() => {
    bucket = new Bucket();
  });

  async function publish(
    more: Partial<PublishRequest> = {},
    layers: readonly Uint8Array[] = LAYERS,
  ): Promise<PublishResult> {
    const { folder } = await writeDirImage(await mkdtemp(join(root, 'image-')), { layers });
    const publisher = await createPublisher({ store: bucket, realms: [], signer, wait: () => Promise.resolve() });
    return publisher.publish(await openDir(folder), { name: NAME, tag: TAG, ...more });
  }

  async function layersOf(form: string): Promise<readonly Buffer[]> {
    const { record, manifests } = await readStoredTag(bucket, NAME, TAG);
    const { layers = [] } =
      readLinks(manifests[record.forms.findIndex((one) => one.form === form)] ?? new Uint8Array()) ?? {};
    const blobs = await Promise.all(
      layers.map(async ({ digest }) => {
        const object = await bucket.get(blobKey(PUBLIC_REALM, digest));
        if (object === null || object === 'changed') throw new Error(`${digest} is not stored`);
        return Buffer.from(await new Response(object.body).arrayBuffer());
      }),
    );
    return blobs.map((blob) => gunzipSync(blob));
  }

  it('is published with a warning that says which layer, where, and what to do', async () => {
    const { warnings } = await publish();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`etc/${OPAQUE}`);
    expect(warnings[0]).toContain('--rewrite-opaque');
    expect((await publish({}, [LAYERS[0] ?? new Uint8Array()])).warnings).toEqual([]);
  });

  it('gets copies for its schema 1, and all other forms keep its layers', async () => {
    await publish();
    const before = (await readStoredTag(bucket, NAME, TAG)).record;
    const { warnings } = await publish({ rewriteOpaque: true });
    expect(warnings).toEqual([]);
    const after = (await readStoredTag(bucket, NAME, TAG)).record;
    const others = (record: typeof after): unknown[] =>
      record.forms.flatMap(({ form, digest }) => (form === 'docker-schema1' ? [] : [[form, digest]]));
    expect(others(after)).toEqual(others(before));
    // Newest first, and the empty layer of the history entry without one.
    const [, top, middle, base] = await layersOf('docker-schema1');
    expect([base, top]).toEqual([LAYERS[0], LAYERS[2]].map((bytes) => Buffer.from(bytes ?? [])));
    const paths: string[] = [];
    new TarScanner((path) => paths.push(path)).write(middle ?? new Uint8Array());
    expect(paths).toEqual(['etc/.wh.a', deep.replace('etc/', 'etc/.wh.'), 'etc', `etc/${OPAQUE}`, 'etc/b']);
    expect((await verify(bucket, { table: [], sample: 1, repair: false, jobs: 2 })).faults).toEqual([]);
  });

  it('gives the same copies again', async () => {
    await publish({ rewriteOpaque: true });
    const again = await publish({ rewriteOpaque: true });
    expect([again.change, again.blobs.sent]).toEqual(['unchanged', 0]);
  });

  it('needs no copy where nothing is hidden', async () => {
    const layers = [LAYERS[2], LAYERS[1]].flatMap((bytes) => bytes ?? []);
    await publish({ rewriteOpaque: true }, layers);
    const [, top] = await layersOf('docker-schema1');
    expect(top).toEqual(Buffer.from(layers[1] ?? []));
  });

  it('that cannot be read as tar archives is published as it is, with a warning', async () => {
    const { warnings } = await publish({ rewriteOpaque: true }, [digestBytes(), LAYERS[1] ?? new Uint8Array()]);
    expect(warnings.some((warning) => warning.includes('no opaque whiteouts were rewritten'))).toBe(true);
  });
});

function digestBytes(): Uint8Array {
  return new TextEncoder().encode(digestOf(new Uint8Array()).repeat(20));
}
