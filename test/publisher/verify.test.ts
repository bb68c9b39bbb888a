import { beforeEach, describe, expect, it } from 'vitest';
import { signPayload } from '../../src/manifest/signing/jws.ts';
import { keyFromRandom } from '../../src/manifest/signing/key.ts';
import { readTag } from '../../src/bucket/read-tag.ts';
import { sampleOf } from '../../src/publisher/verify/check-blobs.ts';
import { FAULTS, type FaultKind } from '../../src/publisher/verify/faults.ts';
import { summarizeTag } from '../../src/manifest/tag-summary.ts';
import { verify, type VerifyReport } from '../../src/publisher/verify/verify.ts';
import { encodeOriginMark } from '../../src/registry/origin-mark.ts';
import { encodeTag } from '../../src/registry/records.ts';
import {
  blobKey,
  CATALOG_KEY,
  GC_JOURNAL_KEY,
  manifestKey,
  referrersKey,
  signaturesKey,
  tagKey,
  tagListKey,
} from '../../src/registry/keys.ts';
import { encodeReferrers, decodeReferrers } from '../../src/registry/referrers.ts';
import { decodeSortedList, encodeSortedList } from '../../src/registry/sorted-list.ts';
import { StorageError } from '../../src/registry/store.ts';
import { PUBLIC_REALM } from '../../src/registry/realms.ts';
import type { TagSummary } from '../../src/registry/summary.ts';
import { Bucket, digestOf, nameOf, tagOf, Writer, type Made } from './gc-bucket.ts';

const NAME = nameOf('library/app');
const encoder = new TextEncoder();

let bucket: Bucket;
let writer: Writer;
let image: Made;
let old: Made;
let child: Made;
let list: Made;
let signature: Made;

function run(options: Partial<Parameters<typeof verify>[1]> = {}): Promise<VerifyReport> {
  return verify(bucket, { table: [], sample: 1, repair: false, jobs: 4, ...options });
}

function kindsOf({ faults }: VerifyReport): FaultKind[] {
  return faults.map(({ kind }) => kind).sort();
}

/** Overwrites an object, its headers as they were unless told. */
async function overwrite(
  key: string,
  change: (bytes: Uint8Array) => Uint8Array,
  options: { contentType?: string; metadata?: Record<string, string> } = {},
): Promise<void> {
  const object = bucket.objects.get(key);
  if (object === undefined) throw new Error(`no ${key}`);
  await bucket.put(key, change(object.bytes), {
    contentType: options.contentType ?? object.contentType ?? '',
    metadata: options.metadata ?? object.metadata,
  });
}

async function writeLists(): Promise<void> {
  const entries: { name: string; detail: TagSummary }[] = [];
  for (const tag of ['list', 'v1']) {
    const reading = await readTag(bucket, tagKey(NAME, tagOf(tag)));
    if (reading?.kind !== 'read') throw new Error('no tag');
    const sources = {
      manifest: (digest: Made['digest']) =>
        Promise.resolve(bucket.objects.get(manifestKey(NAME, digest))?.bytes ?? null),
      blob: (digest: Made['digest']) =>
        Promise.resolve(bucket.objects.get(blobKey(PUBLIC_REALM, digest))?.bytes ?? null),
      blobSize: () => Promise.resolve(0),
    };
    entries.push({ name: tag, detail: await summarizeTag(reading, sources) });
  }
  const tags = encodeSortedList(entries);
  await bucket.put(tagListKey(NAME), tags.body, { contentType: 'application/json', metadata: tags.metadata });
  const catalog = encodeSortedList([{ name: NAME, detail: { tags: 2 } }]);
  await bucket.put(CATALOG_KEY, catalog.body, { contentType: 'application/json', metadata: catalog.metadata });
}

beforeEach(async () => {
  bucket = new Bucket();
  writer = new Writer(bucket, NAME);
  image = await writer.image('app');
  const payload = encoder.encode(
    JSON.stringify({
      schemaVersion: 1,
      name: NAME,
      tag: 'v1',
      architecture: 'amd64',
      fsLayers: [{ blobSum: image.blobs[1] }],
      history: [{ v1Compatibility: '{}' }],
    }),
  );
  const key = keyFromRandom(new Uint8Array(32).fill(7));
  if (key === null) throw new Error('no key');
  old = {
    form: 'docker-schema1',
    digest: digestOf(payload),
    bytes: signPayload(key, payload, '2026-01-01T00:00:00Z'),
    blobs: [],
  };
  await bucket.put(manifestKey(NAME, old.digest), old.bytes, {
    contentType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  });
  await writer.tag('v1', [image, old]);
  child = await writer.image('child');
  list = await writer.list([child]);
  await writer.tag('list', [list]);
  signature = await writer.image('signature', { subject: image.digest, form: 'oci-manifest' });
  await bucket.put(
    referrersKey(NAME, image.digest),
    encodeReferrers([{ mediaType: 'x', digest: signature.digest, size: signature.bytes.length }]),
    {
      contentType: 'application/vnd.oci.image.index.v1+json',
    },
  );
  await writeLists();
});

it('finds nothing wrong with what a publisher writes, and says how much it looked at', async () => {
  expect(await run()).toMatchObject({
    faults: [],
    repositories: 1,
    tags: 2,
    manifests: 5,
    blobs: 6,
    hashed: { blobs: 6 },
  });
});

it('summarises a tag of one image, and one of a list', () => {
  const entries = decodeSortedList(bucket.objects.get(tagListKey(NAME))?.bytes ?? new Uint8Array());
  expect(entries.map(({ detail }) => detail)).toEqual([
    {
      updated: '2026-01-01T00:00:00.000Z',
      size: 'layer child'.length,
      platforms: ['linux/amd64'],
      published: ['docker-list'],
      derived: [],
      missing: [],
    },
    {
      updated: '2026-01-01T00:00:00.000Z',
      size: 'layer app'.length,
      platforms: ['linux/amd64'],
      published: ['docker-schema2'],
      derived: ['docker-schema1'],
      missing: [],
    },
  ]);
});

describe('finds each damage, and mends what can be mended from what is there', () => {
  const spoil = (bytes: Uint8Array): Uint8Array =>
    Uint8Array.from(bytes, (byte, index) => (index === 20 ? byte ^ 1 : byte));
  const tag = tagKey(NAME, tagOf('v1'));
  const TABLE: readonly (readonly [string, () => Promise<void>, readonly FaultKind[], 'mended' | 'stays'])[] = [
    [
      'a tag object without its index',
      () => overwrite(tag, (bytes) => bytes, { metadata: {} }),
      ['tag-corrupt'],
      'stays',
    ],
    ['a tag object cut short', () => overwrite(tag, (bytes) => bytes.subarray(0, 100)), ['tag-corrupt'], 'stays'],
    [
      'a tag object with bytes too many',
      () => overwrite(tag, (bytes) => Buffer.concat([bytes, encoder.encode('x')])),
      ['tag-layout'],
      'stays',
    ],
    [
      'a tag object with a byte changed',
      () => overwrite(tag, (bytes) => Uint8Array.from(bytes, (byte, index) => (index === 3 ? byte ^ 1 : byte))),
      ['tag-digest'],
      'stays',
    ],
    [
      'a manifest missing by its digest',
      () => bucket.delete([manifestKey(NAME, image.digest)]),
      ['manifest-missing'],
      'mended',
    ],
    [
      'a schema 1 missing by its digest',
      () => bucket.delete([manifestKey(NAME, old.digest)]),
      ['manifest-missing'],
      'mended',
    ],
    [
      'a manifest that lost its digest',
      () => overwrite(manifestKey(NAME, image.digest), spoil),
      ['manifest-digest'],
      'mended',
    ],
    [
      'a schema 1 whose signature is broken',
      () =>
        overwrite(manifestKey(NAME, old.digest), (bytes) =>
          encoder.encode(new TextDecoder().decode(bytes).replace('"amd64"', '"arm64"')),
        ),
      ['schema1-signature'],
      'mended',
    ],
    [
      'a child that lost its digest',
      () => overwrite(manifestKey(NAME, child.digest), (bytes) => Buffer.concat([bytes, encoder.encode('\n')])),
      ['manifest-digest'],
      'stays',
    ],
    [
      'a manifest with a wrong content type',
      () => overwrite(manifestKey(NAME, image.digest), (bytes) => bytes, { contentType: 'application/json' }),
      ['manifest-type'],
      'mended',
    ],
    [
      'a child of a published list that is not there',
      () => bucket.delete([manifestKey(NAME, child.digest)]),
      ['child-left-out'],
      'stays',
    ],
    [
      'a layer missing',
      () => bucket.delete([blobKey(PUBLIC_REALM, image.blobs[1] ?? image.digest)]),
      ['blob-missing'],
      'stays',
    ],
    ['no tag list', () => bucket.delete([tagListKey(NAME)]), ['tag-list'], 'mended'],
    [
      'a tag list that is no list',
      () => overwrite(tagListKey(NAME), () => encoder.encode('oops')),
      ['tag-list'],
      'mended',
    ],
    [
      "a tag list without its first line's length",
      () => overwrite(tagListKey(NAME), (bytes) => bytes, { metadata: {} }),
      ['tag-list'],
      'mended',
    ],
    ['a tag that is not listed', () => writer.tag('new', [image]), ['tag-list'], 'mended'],
    ['a listed tag that is not there', () => bucket.delete([tagKey(NAME, tagOf('list'))]), ['tag-list'], 'mended'],
    [
      'a tag that moved without its list',
      async () => {
        bucket.now += 1_000;
        await writer.tag('v1', [child]);
      },
      ['tag-list'],
      'mended',
    ],
    [
      'a listed tag with what was not published under it',
      () => {
        const { etag } = bucket.objects.get(tagKey(NAME, tagOf('v1'))) ?? {};
        return overwrite(tagListKey(NAME), (bytes) => {
          const entries = decodeSortedList(bytes).map(({ name, detail }) =>
            name === 'v1'
              ? { name, detail: { ...(detail as TagSummary), etag, digests: [list.digest] } }
              : { name, detail },
          );
          return encodeSortedList(entries).body;
        });
      },
      ['tag-list'],
      'mended',
    ],
    ['no catalogue', () => bucket.delete([CATALOG_KEY]), ['catalog'], 'mended'],
    [
      'a catalogue that lacks the repository',
      async () => {
        const { body, metadata } = encodeSortedList([]);
        await bucket.put(CATALOG_KEY, body, { contentType: 'application/json', metadata });
      },
      ['catalog'],
      'mended',
    ],
    ['no referrers record', () => bucket.delete([referrersKey(NAME, image.digest)]), ['referrers'], 'mended'],
    [
      'a signatures record that cannot be read',
      async () => {
        const contentType = 'application/json';
        await bucket.put(signaturesKey(NAME, image.digest), encoder.encode('{'), { contentType });
      },
      ['signatures'],
      'mended',
    ],
    [
      'a referrers record that cannot be read',
      () => overwrite(referrersKey(NAME, image.digest), () => encoder.encode('[]')),
      ['referrers'],
      'mended',
    ],
    [
      'a referrer that is not there',
      () => bucket.delete([manifestKey(NAME, signature.digest)]),
      ['referrers'],
      'mended',
    ],
    [
      'a key outside the layout',
      async () => {
        await bucket.put('blobs/x', new Uint8Array(), { contentType: 'x' });
      },
      ['strange-key'],
      'stays',
    ],
  ];

  it.each(TABLE)('%s', async (_, damage, expected, end) => {
    await damage();
    const found = await run();
    expect(kindsOf(found)).toEqual(expected);
    expect(found.faults.some(({ repaired }) => repaired)).toBe(false);
    const repaired = await run({ repair: true });
    expect(repaired.faults.map((fault) => fault.repaired)).toEqual(repaired.faults.map(() => end === 'mended'));
    expect(kindsOf(await run())).toEqual(end === 'mended' ? [] : expected);
  });

  it('removes a damaged blob when told to repair, since publishers would find it there and not send it again', async () => {
    const key = blobKey(PUBLIC_REALM, image.blobs[1] ?? image.digest);
    await overwrite(key, (bytes) => Uint8Array.from(bytes, (byte) => byte ^ 1));
    expect(kindsOf(await run())).toEqual(['blob-digest']);
    expect(bucket.objects.has(key)).toBe(true);
    await run({ repair: true });
    expect(bucket.objects.has(key)).toBe(false);
    expect(kindsOf(await run())).toEqual(['blob-missing']);
  });

  it('says of a wrong size whether the blob or the manifest is to blame', async () => {
    const layer = await writer.blob('twelve bytes');
    const liar = await writer.manifest(
      'docker-schema2',
      {
        schemaVersion: 2,
        mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
        config: layer,
        layers: [{ ...layer, size: 99 }],
      },
      [],
    );
    await writer.tag('v1', [liar]);
    expect(kindsOf(await run()).filter((kind) => kind !== 'tag-list')).toContain('blob-size');
    await overwrite(blobKey(PUBLIC_REALM, layer.digest), () => encoder.encode('short'));
    const kinds = kindsOf(await run());
    expect(kinds).toContain('blob-digest');
    expect(kinds).not.toContain('blob-size');
  });

  it('keeps what an old list says of a tag whose object cannot be read', async () => {
    await overwrite(tag, (bytes) => bytes, { metadata: {} });
    await writer.tag('new', [image]);
    await run({ repair: true });
    const entries = decodeSortedList(bucket.objects.get(tagListKey(NAME))?.bytes ?? new Uint8Array());
    expect(entries.map(({ name, detail }) => [name, (detail as TagSummary).size > 0])).toEqual([
      ['list', true],
      ['new', true],
      ['v1', true],
    ]);
  });

  it('lets the referrers record of an upstream name what is fetched when a client pulls it', async () => {
    const key = referrersKey(NAME, image.digest);
    const listed = decodeReferrers(bucket.objects.get(key)?.bytes ?? new Uint8Array());
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const elsewhere = { mediaType, digest: digestOf(encoder.encode('elsewhere')), size: 9 };
    const put = async (metadata: Record<string, string>): Promise<void> => {
      await bucket.put(key, encodeReferrers([...listed, elsewhere]), { contentType: mediaType, metadata });
    };
    await put(encodeOriginMark({ origin: 'up', digest: image.digest, checked: 0, gone: null }));
    expect((await run()).faults).toEqual([]);
    await put({});
    expect((await run()).faults.map(({ kind }) => kind)).toEqual(['referrers']);
  });

  it('makes the descriptor of a referrer from its manifest', async () => {
    await bucket.delete([referrersKey(NAME, image.digest)]);
    await run({ repair: true });
    expect(decodeReferrers(bucket.objects.get(referrersKey(NAME, image.digest))?.bytes ?? new Uint8Array())).toEqual([
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: signature.digest,
        size: signature.bytes.length,
        artifactType: 'application/vnd.docker.container.image.v1+json',
      },
    ]);
  });

  it('does not overwrite what somebody else wrote meanwhile', async () => {
    await bucket.delete([tagListKey(NAME)]);
    const { body, metadata } = encodeSortedList([{ name: 'theirs', detail: null }]);
    let once = true;
    bucket.before = async (operation, key) => {
      if (operation !== 'put' || key !== tagListKey(NAME) || !once) return;
      once = false;
      await bucket.put(tagListKey(NAME), body, { contentType: 'application/json', metadata });
    };
    const { faults } = await run({ repair: true });
    expect(faults).toMatchObject([{ kind: 'tag-list', repaired: false }]);
    expect(bucket.objects.get(tagListKey(NAME))?.bytes).toEqual(body);
  });

  it('knows every fault by test', () => {
    const tested = new Set<string>(TABLE.flatMap(([, , kinds]) => kinds));
    const elsewhere = [
      'unreadable',
      'newer',
      'gc-journal',
      'blob-digest',
      'blob-not-fetched',
      'blob-size',
      'tag-form',
      'schema1-nameless',
      'child-missing',
    ];
    expect(Object.keys(FAULTS).filter((kind) => !tested.has(kind) && !elsewhere.includes(kind))).toEqual([]);
  });
});

it('says that a schema 1 has an empty name, on which Docker 1.6 and 1.7 crash', async () => {
  const fsLayers = [{ blobSum: image.blobs[1] }];
  const payload = encoder.encode(
    JSON.stringify({ schemaVersion: 1, name: '', fsLayers, history: [{ v1Compatibility: '{}' }] }),
  );
  const key = keyFromRandom(new Uint8Array(32).fill(7));
  if (key === null) throw new Error('no key');
  const bytes = signPayload(key, payload, '2026-01-01T00:00:00Z');
  const nameless: Made = { form: 'docker-schema1', digest: digestOf(payload), bytes, blobs: [] };
  await bucket.put(manifestKey(NAME, nameless.digest), bytes, {
    contentType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  });
  await writer.tag('v1', [image, nameless]);
  await writeLists();
  const { faults } = await run({ repair: true });
  expect(faults).toMatchObject([{ kind: 'schema1-nameless', where: `${NAME}:v1`, repaired: false }]);
});

it('says that a form is of another kind than its index says', async () => {
  await writer.tag('v1', [{ ...image, form: 'docker-list' }, old]);
  expect(kindsOf(await run())).toContain('tag-form');
});

it('takes a child that a derived list lacks for a fault: what we derive, we derive whole', async () => {
  const index = await writer.list([child], 'oci-index');
  await writer.tag('list', [index, list]);
  await writeLists();
  await bucket.delete([manifestKey(NAME, child.digest)]);
  expect(kindsOf(await run())).toEqual(['child-left-out', 'child-missing']);
});

it('looks at one repository only, and at the blobs it needs', async () => {
  const other = new Writer(bucket, 'library/other');
  await bucket.delete([blobKey(PUBLIC_REALM, (await other.image('other')).blobs[0] ?? image.digest)]);
  await bucket.delete([blobKey(PUBLIC_REALM, image.blobs[1] ?? image.digest)]);
  const report = await run({ name: NAME });
  expect(kindsOf(report)).toEqual(['blob-missing']);
  expect(report).toMatchObject({ repositories: 1, blobs: 5 });
});

it('says nothing of blobs that only manifests need which nothing needs', async () => {
  const lost = await writer.image('lost');
  await bucket.delete([blobKey(PUBLIC_REALM, lost.blobs[1] ?? lost.digest)]);
  expect(kindsOf(await run())).toEqual([]);
});

describe('a tag that was fetched from another registry', () => {
  const key = tagKey(NAME, tagOf('v1'));
  const mark = (gone: number | null): Record<string, string> =>
    encodeOriginMark({ origin: 'hub', digest: image.digest, checked: 0, gone });

  it('may lack blobs, which come when somebody pulls them; a published one that needs them may not', async () => {
    await overwrite(key, (bytes) => bytes, { metadata: { ...bucket.objects.get(key)?.metadata, ...mark(null) } });
    await bucket.delete([blobKey(PUBLIC_REALM, image.blobs[1] ?? image.digest)]);
    expect(kindsOf(await run())).toEqual(['blob-not-fetched']);
    expect(FAULTS['blob-not-fetched'].severity).toBe('note');
    await bucket.delete([blobKey(PUBLIC_REALM, child.blobs[1] ?? child.digest)]);
    expect(kindsOf(await run())).toEqual(['blob-missing', 'blob-not-fetched']);
  });

  it('may be an empty object, in no list, once it is gone there', async () => {
    const { body, metadata } = encodeTag({ updated: '2026-01-01T00:00:00Z', forms: [], missing: [] }, []);
    await bucket.put(tagKey(NAME, tagOf('gone')), body, {
      contentType: 'application/octet-stream',
      metadata: { ...metadata, ...mark(1) },
    });
    expect(kindsOf(await run())).toEqual([]);
  });
});

describe('a sample', () => {
  const items = Array.from({ length: 100 }, (_, index) => index);

  it.each([
    [0, 0],
    [0.001, 1],
    [0.05, 5],
    [1, 100],
  ])('of %f of 100 has %i', (share, count) => {
    const sample = sampleOf(items, share, Math.random);
    expect([sample.length, new Set(sample).size]).toEqual([count, count]);
  });

  it('hashes so many blobs, and looks at everything else all the same', async () => {
    await bucket.delete([manifestKey(NAME, image.digest)]);
    const report = await run({ sample: 0.34 });
    expect(report.hashed.blobs).toBe(2);
    expect(kindsOf(report)).toEqual(['manifest-missing']);
  });
});

it('goes on past an object that storage does not return, and says which', async () => {
  const before = (await run()).hashed.blobs;
  bucket.before = (operation, key) => {
    if (operation === 'get' && [tagKey(NAME, tagOf('v1')), manifestKey(NAME, child.digest)].includes(key))
      throw new StorageError('STORAGE_DENIED', `reading ${key}: refused`);
  };
  const { faults, hashed } = await run();
  expect(faults.filter(({ kind }) => kind === 'unreadable').map(({ where }) => where)).toEqual(
    expect.arrayContaining([`${NAME}:v1`, `${NAME}@${child.digest}`]),
  );
  expect(hashed.blobs).toBe(before);
});

it('empties a damaged journal of garbage collection if it may repair, and no newer one', async () => {
  await bucket.put(GC_JOURNAL_KEY, encoder.encode('{"half'), { contentType: 'application/json' });
  expect((await run({ repair: true })).faults).toMatchObject([{ kind: 'gc-journal', repaired: true }]);
  expect((await run()).faults).toEqual([]);
  await bucket.put(GC_JOURNAL_KEY, encoder.encode('{"version":2}'), { contentType: 'application/json' });
  expect((await run({ repair: true })).faults).toMatchObject([{ kind: 'newer', repaired: false }]);
});
