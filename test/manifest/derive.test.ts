import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { derive } from '../../src/manifest/derive.ts';
import {
  type Derivation,
  type DeriveOptions,
  HISTORY_MAX,
  type ImageContent,
  LAYERS_MAX,
  type Manifest,
} from '../../src/manifest/image.ts';
import { verifyDocument } from '../../src/manifest/signing/jws.ts';
import { readManifest } from '../../src/manifest/read.ts';
import { buildSchema1, EMPTY_LAYER } from '../../src/manifest/schema1.ts';
import { sha256Of } from '../../src/manifest/signing/sha256.ts';
import type { Descriptor } from '../../src/registry/descriptor.ts';
import { REASONS } from '../../src/registry/errors.ts';
import { type Form, MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import { formatPlatform } from '../../src/registry/platform.ts';
import { titleOf } from '../attacks.ts';
import { config, content, image, layer, list, on, options, parsed } from './images.ts';

/** `published oci-index`, `derived docker-schema1 linux/arm64`, in the record's order. */
const shown = ({ forms }: Derivation): string[] =>
  forms.map(({ source, form, platform }) =>
    [source.kind, form, ...(platform === undefined ? [] : [formatPlatform(platform)])].join(' '),
  );

/** `docker-schema1 schema1-no-history linux/arm64`. */
const lacks = ({ missing }: Derivation): string[] =>
  missing.map(({ form, reason, platform }) =>
    [form, reason, ...(platform === undefined ? [] : [formatPlatform(platform)])].join(' '),
  );

/** What holds of whatever is derived. */
function expectSound(from: ImageContent, made: Derivation): void {
  const all = [...made.forms, ...made.others];
  const digests = all.map(({ digest }) => digest);
  for (const manifest of all) {
    // A stranger that reads the bytes finds the same form under the same digest.
    expect(readManifest(manifest.bytes, manifest.mediaType)).toMatchObject({
      form: manifest.form,
      digest: manifest.digest,
      mediaType: manifest.mediaType,
    });
    if (manifest.source.kind === 'derived') expect(digests).toContain(manifest.source.from);
    else expect([...from.roots, ...from.children.values()].map(({ bytes }) => bytes)).toContain(manifest.bytes);
  }
  for (const { digest, bytes } of made.blobs) expect(sha256Of(bytes)).toBe(digest);
  expect(made.others.filter(({ digest }) => made.forms.some((form) => form.digest === digest))).toEqual([]);
  expect(made.explanations).toHaveLength(made.missing.length);
  for (const manifest of all.filter(({ form }) => form === 'docker-list' || form === 'oci-index')) {
    for (const { digest } of parsed(manifest).manifests as Descriptor[])
      if (manifest.source.kind === 'derived') expect(digests).toContain(digest);
  }
  const named = all.filter(({ form, source }) => form === 'docker-schema1' && source.kind === 'derived');
  const needsEmpty = named.some((one) =>
    (parsed(one).fsLayers as { blobSum: string }[]).some(({ blobSum }) => blobSum === EMPTY_LAYER.digest),
  );
  expect(made.blobs.some(({ digest }) => digest === EMPTY_LAYER.digest)).toBe(needsEmpty);
}

const deriveSoundly = (from: ImageContent, how: Partial<DeriveOptions> = {}): Derivation => {
  const made = derive(from, { ...options, ...how });
  expectSound(from, made);
  return made;
};

const find = (made: Derivation, form: Form, platform?: string) =>
  made.forms.find(
    (one) =>
      one.form === form &&
      (platform === undefined || (one.platform !== undefined && formatPlatform(one.platform) === platform)),
  );

const base = layer('base');
const top = layer('top');
const dockerLayers = [base, top].map((one) => ({ ...one, mediaType: MEDIA_TYPES.dockerLayerGzip }));

describe('a Docker schema 2', () => {
  const one = image('docker-schema2', dockerLayers);
  const made = deriveSoundly(content([one.manifest], [one]));

  it('gives a signed schema 1, with the payload that docker/distribution makes, and the empty layer', () => {
    expect(shown(made)).toEqual(['published docker-schema2', 'derived oci-manifest', 'derived docker-schema1']);
    expect(lacks(made)).toEqual([]);
    const schema1 = find(made, 'docker-schema1');
    const direct = buildSchema1(
      { config: one.config, layers: [base.digest, top.digest], name: options.name, tag: options.tag },
      'compat',
    );
    if (schema1 === undefined || direct.kind !== 'payload') throw new Error('nothing made');
    expect(verifyDocument(schema1.bytes).payload).toEqual(direct.payload);
    expect(schema1.digest).toBe(sha256Of(direct.payload));
    expect(made.blobs).toEqual([{ digest: EMPTY_LAYER.digest, bytes: EMPTY_LAYER.bytes }]);
  });

  it('gives an OCI manifest around the same config and layers', () => {
    const { config: source } = parsed(one.manifest) as { config: Descriptor };
    expect(parsed(find(made, 'oci-manifest'))).toEqual({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'],
      config: { ...source, mediaType: MEDIA_TYPES.ociConfig },
      layers: [base, top],
    });
  });

  it('of foreign layers keeps their addresses in the OCI manifest', () => {
    const foreign = {
      mediaType: MEDIA_TYPES.dockerLayerForeignGzip,
      digest: base.digest,
      size: 4,
      urls: ['https://a/b'],
    };
    const windows = image('docker-schema2', [foreign]);
    const oci = find(deriveSoundly(content([windows.manifest], [windows])), 'oci-manifest');
    expect(parsed(oci).layers).toEqual([{ ...foreign, mediaType: MEDIA_TYPES.ociLayerNondistributableGzip }]);
  });

  it('that is no image gives none', () => {
    const plugin = image('docker-schema2', dockerLayers, config(2), 'application/vnd.docker.plugin.v1+json');
    expect(shown(deriveSoundly(content([plugin.manifest], [plugin])))).toEqual(['published docker-schema2']);
  });

  it('signs at the time when the image was made, so that a second publication gives the same bytes', () => {
    const [block] = parsed(find(made, 'docker-schema1')).signatures as { protected: string }[];
    expect(JSON.parse(Buffer.from(block?.protected ?? '', 'base64url').toString())).toMatchObject({
      time: '2026-11-24T00:08:56Z',
    });
    expect(derive(content([one.manifest], [one]), options)).toEqual(made);
  });

  it.each([
    ['2026-11-24T01:08:56+01:00', '2026-11-24T00:08:56Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
    // Not RFC 3339: the machine's own time zone would decide.
    ['2026-11-24 00:08:56', '1970-01-01T00:00:00Z'],
    ['yesterday', '1970-01-01T00:00:00Z'],
    [7, '1970-01-01T00:00:00Z'],
    [undefined, '1970-01-01T00:00:00Z'],
  ])('made at %s is signed at %s', (created, expected) => {
    const dated = image('docker-schema2', dockerLayers, config(2, { created }));
    const [block] = parsed(find(deriveSoundly(content([dated.manifest], [dated])), 'docker-schema1')).signatures as {
      protected: string;
    }[];
    expect(JSON.parse(Buffer.from(block?.protected ?? '', 'base64url').toString())).toMatchObject({ time: expected });
  });

  it('without empty entries needs no empty layer', () => {
    const plain = image(
      'docker-schema2',
      dockerLayers,
      config(2, { history: [{ created_by: 'a' }, { created_by: 'b' }] }),
    );
    expect(deriveSoundly(content([plain.manifest], [plain])).blobs).toEqual([]);
  });
});

describe('an OCI manifest', () => {
  const one = image('oci-manifest', [base, layer('plain', MEDIA_TYPES.ociLayerTar)]);
  const made = deriveSoundly(content([one.manifest], [one]));

  it('gives a schema 2 around the same config and layers, and a schema 1', () => {
    expect(shown(made)).toEqual(['published oci-manifest', 'derived docker-schema2', 'derived docker-schema1']);
    const source = parsed(one.manifest) as { config: Descriptor; layers: Descriptor[] };
    expect(parsed(find(made, 'docker-schema2'))).toEqual({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
      config: { ...source.config, mediaType: MEDIA_TYPES.dockerConfig },
      layers: [
        { ...source.layers[0], mediaType: MEDIA_TYPES.dockerLayerGzip },
        { ...source.layers[1], mediaType: MEDIA_TYPES.dockerLayerTar },
      ],
    });
  });

  it('gives the schema 1 that its schema 2 would give', () => {
    const schema2 = find(made, 'docker-schema2');
    if (schema2 === undefined) throw new Error('no schema 2');
    const again = deriveSoundly(content([schema2], [one]));
    expect(find(again, 'docker-schema1')?.bytes).toEqual(find(made, 'docker-schema1')?.bytes);
  });
});

describe('a Docker list', () => {
  const amd64 = image('docker-schema2', dockerLayers);
  const arm = image('docker-schema2', [...dockerLayers].reverse(), config(2, { architecture: 'arm' }));
  const windows = image(
    'docker-schema2',
    [{ ...base, mediaType: MEDIA_TYPES.dockerLayerForeignGzip, urls: ['https://mcr.example/x'] }],
    config(1, { os: 'windows' }),
  );
  const root = list('docker-list', [
    [windows.manifest, on('windows', 'amd64', { 'os.version': '10.0.17763.1' })],
    [arm.manifest, on('linux', 'arm', { variant: 'v7' })],
    [amd64.manifest, on('linux', 'amd64')],
  ]);

  it('gives a schema 1 for each platform, that of the default one first, and its schema 2 for clients without lists', () => {
    const made = deriveSoundly(content([root], [amd64, arm, windows]));
    expect(shown(made)).toEqual([
      'published docker-list',
      'derived oci-index',
      'published docker-schema2 linux/amd64',
      'derived oci-manifest linux/amd64',
      'derived docker-schema1 linux/amd64',
      'derived docker-schema1 linux/arm/v7',
    ]);
    expect(lacks(made)).toEqual(['docker-schema1 schema1-foreign-layers windows/amd64:10.0.17763.1']);
    expect(made.others.map(({ source, form, digest }) => [source.kind, form, digest])).toEqual([
      ['published', 'docker-schema2', windows.manifest.digest],
      ['published', 'docker-schema2', arm.manifest.digest],
      ['derived', 'oci-manifest', expect.anything()],
      ['derived', 'oci-manifest', expect.anything()],
    ]);
    expect(parsed(find(made, 'docker-schema1', 'linux/arm/v7')).architecture).toBe('arm');
  });

  it('gives an OCI index of derived OCI children in its order, platforms kept', () => {
    const index = parsed(find(deriveSoundly(content([root], [amd64, arm, windows])), 'oci-index'));
    expect((index.manifests as Descriptor[]).map(({ mediaType, platform }) => [mediaType, platform])).toEqual([
      [MEDIA_TYPE_OF_FORM['oci-manifest'], { architecture: 'amd64', os: 'windows', 'os.version': '10.0.17763.1' }],
      [MEDIA_TYPE_OF_FORM['oci-manifest'], { architecture: 'arm', os: 'linux', variant: 'v7' }],
      [MEDIA_TYPE_OF_FORM['oci-manifest'], { architecture: 'amd64', os: 'linux' }],
    ]);
  });

  it('that names an OCI manifest too keeps it in the index as it is', () => {
    const oci = image('oci-manifest', [base]);
    const mixed = list('docker-list', [
      [oci.manifest, on('linux', 'arm64')],
      [amd64.manifest, on('linux', 'amd64')],
    ]);
    const index = parsed(find(deriveSoundly(content([mixed], [oci, amd64])), 'oci-index'));
    expect((index.manifests as Descriptor[])[0]?.digest).toBe(oci.manifest.digest);
  });

  it('in compat mode converts foreign layers too, as distribution does', () => {
    expect(shown(deriveSoundly(content([root], [amd64, arm, windows]), { mode: 'compat' }))).toContain(
      'derived docker-schema1 windows/amd64:10.0.17763.1',
    );
  });

  it('of which only some images were published says so for the others', () => {
    const made = deriveSoundly(content([root], [amd64]));
    expect(shown(made)).toEqual([
      'published docker-list',
      'derived oci-index',
      'published docker-schema2 linux/amd64',
      'derived oci-manifest linux/amd64',
      'derived docker-schema1 linux/amd64',
    ]);
    expect(lacks(made)).toEqual([
      'docker-schema1 schema1-not-published windows/amd64:10.0.17763.1',
      'docker-schema1 schema1-not-published linux/arm/v7',
    ]);
  });

  it('without linux/amd64 has no schema 1 for engines that name no platform', () => {
    const made = deriveSoundly(
      content(
        [
          list('docker-list', [
            [arm.manifest, on('linux', 'arm')],
            [windows.manifest, on('windows', 'amd64')],
          ]),
        ],
        [arm, windows],
      ),
    );
    expect(shown(made)).toEqual(['published docker-list', 'derived oci-index', 'derived docker-schema1 linux/arm']);
    expect(lacks(made)).toEqual([
      'docker-schema1 schema1-foreign-layers windows/amd64',
      'docker-schema1 schema1-no-platform',
    ]);
  });
});

describe('an OCI index', () => {
  const amd64 = image('oci-manifest', [base, top]);
  const v7 = image('oci-manifest', [base], config(1, { architecture: 'arm', variant: 'v7' }));
  const v5 = image('oci-manifest', [top], config(1, { architecture: 'arm', variant: 'v5' }));
  const windows = image('oci-manifest', [layer('win')], config(1, { os: 'windows' }));
  const attestation = image(
    'oci-manifest',
    [layer('{}', 'application/vnd.in-toto+json')],
    config(1, { architecture: 'unknown', os: 'unknown' }),
  );
  const referring = {
    ...on('unknown', 'unknown'),
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': amd64.manifest.digest,
    },
  };
  const ofWindows = on('windows', 'amd64', { 'os.version': '10.0.20348.1', 'os.features': ['win32k'] });
  const root = list('oci-index', [
    [v7.manifest, on('linux', 'arm', { variant: 'v7' })],
    [amd64.manifest, on('linux', 'amd64')],
    [attestation.manifest, referring],
    [v5.manifest, on('linux', 'arm', { variant: 'v5' })],
    [windows.manifest, ofWindows],
  ]);
  const images = [amd64, v7, v5, windows, attestation];
  const made = deriveSoundly(content([root], images));

  it('gives a Docker list of derived schema 2 children in its order, platforms kept whole, attestations left out', () => {
    const children = parsed(find(made, 'docker-list')).manifests as Descriptor[];
    expect(children.map(({ platform, mediaType }) => [platform, mediaType])).toEqual([
      [{ architecture: 'arm', os: 'linux', variant: 'v7' }, MEDIA_TYPE_OF_FORM['docker-schema2']],
      [{ architecture: 'amd64', os: 'linux' }, MEDIA_TYPE_OF_FORM['docker-schema2']],
      [{ architecture: 'arm', os: 'linux', variant: 'v5' }, MEDIA_TYPE_OF_FORM['docker-schema2']],
      [ofWindows.platform, MEDIA_TYPE_OF_FORM['docker-schema2']],
    ]);
  });

  it('gives manifests for clients without lists, and a schema 1 a platform', () => {
    expect(shown(made)).toEqual([
      'published oci-index',
      'derived docker-list',
      'published oci-manifest linux/amd64',
      'derived docker-schema2 linux/amd64',
      'derived docker-schema1 linux/amd64',
      'derived docker-schema1 linux/arm/v7',
      'derived docker-schema1 linux/arm/v5',
      'derived docker-schema1 windows/amd64:10.0.20348.1',
    ]);
    expect(lacks(made)).toEqual([]);
  });

  it('keeps every child pullable by its digest, attestations and derived schema 2 manifests too', () => {
    const digests = new Set([...made.forms, ...made.others].map(({ digest }) => digest));
    for (const { manifest } of images) expect(digests).toContain(manifest.digest);
    for (const { digest } of parsed(find(made, 'docker-list')).manifests as Descriptor[])
      expect(digests).toContain(digest);
  });

  it('with an index inside gives the same children, flat', () => {
    const inner = list('oci-index', [
      [v7.manifest, on('linux', 'arm', { variant: 'v7' })],
      [amd64.manifest, on('linux', 'amd64')],
    ]);
    const outer = list('oci-index', [
      [inner],
      [attestation.manifest, referring],
      [v5.manifest, on('linux', 'arm', { variant: 'v5' })],
      [windows.manifest, ofWindows],
    ]);
    const nested = deriveSoundly(content([outer], images, { children: [inner] }));
    expect(find(nested, 'docker-list')?.bytes).toEqual(find(made, 'docker-list')?.bytes);
    expect(nested.others.map(({ digest }) => digest)).toContain(inner.digest);
  });

  it('with an index inside whose descriptors tell no platform takes that of its own descriptor', () => {
    const inner = list('oci-index', [[amd64.manifest]]);
    const outer = list('oci-index', [[inner, on('linux', 'amd64', { variant: 'v3' })]]);
    expect(shown(deriveSoundly(content([outer], [amd64], { children: [inner] })))).toContain(
      'derived docker-schema1 linux/amd64/v3',
    );
  });

  it('whose descriptors tell no platform takes those of the configs', () => {
    const silent = list('oci-index', [[v7.manifest], [amd64.manifest]]);
    expect(shown(deriveSoundly(content([silent], [v7, amd64])))).toContain('derived docker-schema1 linux/arm/v7');
  });

  it('with one image of zstd leaves that out of the Docker list, with the reason', () => {
    const packed = image('oci-manifest', [layer('z', MEDIA_TYPES.ociLayerZstd)], config(1, { architecture: 'arm64' }));
    const mixed = deriveSoundly(
      content(
        [
          list('oci-index', [
            [amd64.manifest, on('linux', 'amd64')],
            [packed.manifest, on('linux', 'arm64')],
          ]),
        ],
        [amd64, packed],
      ),
    );
    expect(parsed(find(mixed, 'docker-list')).manifests).toHaveLength(1);
    expect(lacks(mixed)).toEqual([
      'docker-schema2 schema2-zstd-layers linux/arm64',
      'docker-schema1 schema1-zstd-layers linux/arm64',
    ]);
  });

  it('of one image that is not for linux/amd64 serves it all the same', () => {
    const single = deriveSoundly(
      content([list('oci-index', [[v7.manifest, on('linux', 'arm', { variant: 'v7' })]])], [v7]),
    );
    expect(shown(single)).toEqual([
      'published oci-index',
      'derived docker-list',
      'published oci-manifest linux/arm/v7',
      'derived docker-schema2 linux/arm/v7',
      'derived docker-schema1 linux/arm/v7',
    ]);
  });

  it('of nothing but artifacts gives nothing', () => {
    const bare = deriveSoundly(content([list('oci-index', [[attestation.manifest, referring]])], [attestation]));
    expect(shown(bare)).toEqual(['published oci-index']);
    expect(lacks(bare)).toEqual(['docker-list schema2-not-an-image', 'docker-schema1 schema1-not-an-image']);
  });

  it('beside a published Docker list derives none', () => {
    const docker = image('docker-schema2', dockerLayers);
    const published = list('docker-list', [[docker.manifest, on('linux', 'amd64')]]);
    const both = deriveSoundly(content([root, published], [...images, docker]));
    expect(shown(both).slice(0, 2)).toEqual(['published oci-index', 'published docker-list']);
    expect(find(both, 'docker-schema2', 'linux/amd64')?.digest).toBe(docker.manifest.digest);
  });
});

describe('a schema 1 alone', () => {
  const one = image('docker-schema2', dockerLayers);
  const first = deriveSoundly(content([one.manifest], [one]));
  const schema1 = find(first, 'docker-schema1');
  if (schema1 === undefined) throw new Error('no schema 1');
  const root: Manifest = readManifest(schema1.bytes);
  const unpacked = new Map(
    [base, top].map(({ digest, size }, index) => [
      digest,
      { diffId: sha256Of(new TextEncoder().encode(`diff ${String(index)}`)), size, compression: 'gzip' as const },
    ]),
  );
  const made = deriveSoundly(content([root], [], { unpacked }));

  it('gives a schema 2 around the layers that hold something, with a config of their diff IDs', () => {
    expect(shown(made)).toEqual(['published docker-schema1', 'derived docker-schema2', 'derived oci-manifest']);
    const schema2 = parsed(find(made, 'docker-schema2')) as { config: Descriptor; layers: Descriptor[] };
    expect(schema2.layers).toEqual(dockerLayers);
    const blob = made.blobs.find(({ digest }) => digest === schema2.config.digest);
    expect(blob?.bytes).toHaveLength(schema2.config.size);
    expect(JSON.parse(new TextDecoder().decode(blob?.bytes))).toMatchObject({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['sh'] },
      rootfs: { type: 'layers', diff_ids: [...unpacked.values()].map(({ diffId }) => diffId) },
    });
  });

  it('whose schema 2 converts back to the same layers and history', () => {
    const schema2 = find(made, 'docker-schema2');
    const blob = made.blobs[0];
    if (schema2 === undefined || blob === undefined) throw new Error('no schema 2');
    const back = deriveSoundly(content([schema2], [{ manifest: schema2, config: blob.bytes }]));
    const history = (manifest: Manifest | undefined) =>
      (parsed(manifest).history as { v1Compatibility: string }[]).map(({ v1Compatibility }) => {
        const { created, author, comment, container_config, throwaway } = JSON.parse(v1Compatibility) as Record<
          string,
          unknown
        >;
        return { created, author, comment, container_config, throwaway };
      });
    const again = find(back, 'docker-schema1');
    // The top entry is the config itself; below it, entries are made of the history.
    expect(history(again).slice(1)).toEqual(history(root).slice(1));
    expect(parsed(again).fsLayers).toEqual(parsed(root).fsLayers);
    expect(history(again)[0]).toMatchObject({ throwaway: true });
  });

  it('with a layer that could not be unpacked gives nothing, and says which', () => {
    const partly = deriveSoundly(content([root], [], { unpacked: new Map([...unpacked].slice(0, 1)) }));
    expect(lacks(partly)).toEqual(['docker-schema2 schema2-layers-unreadable']);
    expect(partly.explanations[0]).toContain(top.digest);
  });

  it('whose layers nobody has unpacked says that it is not known', () => {
    const unread = deriveSoundly({ ...content([root], []), unpacked: null });
    expect(shown(unread)).toEqual(['published docker-schema1']);
    expect(lacks(unread)).toEqual(['docker-schema2 schema2-layers-unread']);
  });

  it('with a history that is no JSON gives nothing', () => {
    const payload = new TextEncoder().encode(
      JSON.stringify({
        schemaVersion: 1,
        name: 'a',
        tag: 'b',
        architecture: 'amd64',
        fsLayers: [{ blobSum: base.digest }],
        history: [{ v1Compatibility: '{' }],
      }),
    );
    expect(
      lacks(deriveSoundly(content([readManifest(options.signer.sign(payload, '2026-11-24T00:00:00Z'))], []))),
    ).toEqual(['docker-schema2 schema2-history-mismatch']);
  });

  it.each(
    readdirSync(new URL('../fixtures/schema1/', import.meta.url)).filter((name) =>
      readdirSync(new URL(`../fixtures/schema1/${name}/`, import.meta.url)).includes('payload.json'),
    ),
  )('of vector %s gives a schema 2 or a reason, never a failure', (vector) => {
    const payload = new Uint8Array(
      readFileSync(new URL(`../fixtures/schema1/${vector}/payload.json`, import.meta.url)),
    );
    const signed = readManifest(options.signer.sign(payload, '2026-11-24T00:00:00Z'));
    const layers = (parsed(signed).fsLayers as { blobSum: typeof base.digest }[]).map(({ blobSum }) => blobSum);
    const all = new Map(
      layers.map((digest) => [digest, { diffId: base.digest, size: 1, compression: 'gzip' as const }]),
    );
    const result = deriveSoundly(content([signed], [], { unpacked: all }));
    const made = ['published docker-schema1', 'derived docker-schema2', 'derived oci-manifest'];
    expect(shown(result)).toEqual(result.missing.length > 0 ? made.slice(0, 1) : made);
  });
});

describe('two forms of one tag', () => {
  const one = image('docker-schema2', dockerLayers);
  const oci = image('oci-manifest', [base, top], one.config);
  const schema1 = find(derive(content([one.manifest], [one]), options), 'docker-schema1');
  if (schema1 === undefined) throw new Error('no schema 1');
  const root = readManifest(schema1.bytes);

  it.each([
    [
      'schema 2 and schema 1',
      [one.manifest, root],
      ['published docker-schema2', 'published docker-schema1', 'derived oci-manifest'],
    ],
    [
      'OCI and schema 2',
      [oci.manifest, one.manifest],
      ['published oci-manifest', 'published docker-schema2', 'derived docker-schema1'],
    ],
    [
      'OCI and schema 1',
      [oci.manifest, root],
      ['published oci-manifest', 'published docker-schema1', 'derived docker-schema2'],
    ],
  ])('%s both stand, with their own bytes, in either order; what is published is not derived', (_, roots, expected) => {
    const made = deriveSoundly(content(roots, [one, oci]));
    expect(shown(made).sort()).toEqual([...expected].sort());
    expect(deriveSoundly(content([...roots].reverse(), [one, oci]))).toEqual(made);
    for (const { digest, bytes } of roots)
      expect(made.forms.find((form) => form.digest === digest)?.bytes).toEqual(bytes);
  });

  it('a list and a schema 1: it stands for its platform, and the others are derived', () => {
    const arm = image('docker-schema2', dockerLayers, config(2, { architecture: 'arm64' }));
    const made = deriveSoundly(
      content(
        [
          root,
          list('docker-list', [
            [one.manifest, on('linux', 'amd64')],
            [arm.manifest, on('linux', 'arm64')],
          ]),
        ],
        [one, arm],
      ),
    );
    expect(shown(made)).toContain('published docker-schema1 linux/amd64');
    expect(shown(made)).toContain('derived docker-schema1 linux/arm64');
    expect(made.forms.filter(({ form }) => form === 'docker-schema1')).toHaveLength(2);
  });
});

describe('a published schema 1 without a name, on which Docker 1.6 and 1.7 crash', () => {
  const one = image('docker-schema2', dockerLayers);
  const payload = { ...parsed(find(derive(content([one.manifest], [one]), options), 'docker-schema1')), name: '' };
  const nameless = readManifest(
    options.signer.sign(
      new TextEncoder().encode(JSON.stringify({ ...payload, signatures: undefined })),
      '2026-11-24T00:00:00Z',
    ),
  );

  it('is left out beside another form, and one is derived', () => {
    const made = deriveSoundly(content([one.manifest, nameless], [one]));
    expect(shown(made)).toEqual(['published docker-schema2', 'derived oci-manifest', 'derived docker-schema1']);
    expect(made.warnings).toEqual([expect.stringContaining('empty name')]);
    expect(parsed(find(made, 'docker-schema1')).name).toBe('library/app');
  });

  it('is left out beside a list too', () => {
    const root = list('docker-list', [[one.manifest, on('linux', 'amd64')]]);
    const made = deriveSoundly(content([root, nameless], [one]));
    expect(made).toEqual({ ...derive(content([root], [one]), options), warnings: made.warnings });
  });

  it('stands where there is nothing else', () => {
    expect(shown(deriveSoundly(content([nameless], [])))).toEqual(['published docker-schema1']);
  });
});

describe('a schema 2 with layer types that are not in its specification', () => {
  const gzip = layer('its gzip copy', MEDIA_TYPES.dockerLayerGzip);
  const packed = image('docker-schema2', [dockerLayers[0] ?? base, layer('packed', MEDIA_TYPES.dockerLayerZstd)]);
  const mixed = image('docker-schema2', [dockerLayers[0] ?? base, top]);
  const recompressed = new Map([[layer('packed').digest, gzip]]);
  /** `docker-schema2 docker-zstd`: the forms with marks. */
  const marked = ({ forms }: Derivation): string[] =>
    forms.flatMap(({ form, nonstandard }) => (nonstandard === undefined ? [] : [`${form} ${nonstandard.join(' ')}`]));
  const layersOf = (made: Derivation, form: Form, at: number): unknown[] => {
    const manifest = made.forms.filter((one) => one.form === form)[at];
    return (parsed(manifest).layers as Descriptor[]).map(({ mediaType, digest }) => [mediaType, digest]);
  };

  it('packed with zstd gives a clean OCI manifest, in which zstd has a name', () => {
    const made = deriveSoundly(content([packed.manifest], [packed]));
    expect(shown(made)).toEqual(['published docker-schema2', 'derived oci-manifest']);
    expect(marked(made)).toEqual(['docker-schema2 docker-zstd']);
    expect(made.forms.map(({ zstd }) => zstd)).toEqual([true, true]);
    expect(layersOf(made, 'oci-manifest', 0)).toEqual([
      [MEDIA_TYPES.ociLayerGzip, base.digest],
      [MEDIA_TYPES.ociLayerZstd, layer('packed').digest],
    ]);
    expect(lacks(made)).toEqual(['docker-schema1 schema1-zstd-layers']);
  });

  it('recompressed gives a schema 2 with gzip layers beside it, and a schema 1', () => {
    const made = deriveSoundly(content([packed.manifest], [packed], { recompressed }));
    expect(shown(made)).toEqual([
      'published docker-schema2',
      'derived docker-schema2',
      'derived oci-manifest',
      'derived docker-schema1',
    ]);
    expect(layersOf(made, 'docker-schema2', 1)).toEqual([
      [MEDIA_TYPES.dockerLayerGzip, base.digest],
      [MEDIA_TYPES.dockerLayerGzip, gzip.digest],
    ]);
  });

  it('with OCI names gives the same layers under their own names in both', () => {
    const made = deriveSoundly(content([mixed.manifest], [mixed]));
    expect(marked(made)).toEqual(['docker-schema2 oci-in-docker']);
    expect(layersOf(made, 'docker-schema2', 1)).toEqual(
      dockerLayers.map(({ mediaType, digest }) => [mediaType, digest]),
    );
    expect(layersOf(made, 'oci-manifest', 0)).toEqual([base, top].map(({ mediaType, digest }) => [mediaType, digest]));
  });

  it('of an artifact is nobody’s layer', () => {
    const artifact = image('docker-schema2', [top], config(1), 'application/vnd.example.config.v1+json');
    expect(marked(deriveSoundly(content([artifact.manifest], [artifact])))).toEqual([]);
  });

  describe('in a Docker list', () => {
    const clean = image('docker-schema2', dockerLayers, config(2, { architecture: 'arm64' }));
    const root = list('docker-list', [
      [packed.manifest, on('linux', 'amd64')],
      [clean.manifest, on('linux', 'arm64')],
      [mixed.manifest, on('linux', 'arm')],
    ]);

    it('marks the list and the image, and gives a clean list of those that can be made', () => {
      const made = deriveSoundly(content([root], [packed, clean, mixed]));
      expect(shown(made)).toEqual([
        'published docker-list',
        'derived docker-list',
        'derived oci-index',
        'published docker-schema2 linux/amd64',
        'derived oci-manifest linux/amd64',
        'derived docker-schema1 linux/arm64',
        'derived docker-schema1 linux/arm',
      ]);
      expect(marked(made)).toEqual(['docker-list docker-zstd oci-in-docker', 'docker-schema2 docker-zstd']);
      const repaired = made.forms.filter(({ form }) => form === 'docker-list')[1];
      expect((parsed(repaired).manifests as Descriptor[]).map(({ platform }) => platform?.architecture)).toEqual([
        'arm64',
        'arm',
      ]);
      expect((parsed(repaired).manifests as Descriptor[])[0]?.digest).toBe(clean.manifest.digest);
      const index = parsed(find(made, 'oci-index')).manifests as Descriptor[];
      expect(index.map(({ platform }) => platform?.architecture)).toEqual(['amd64', 'arm64', 'arm']);
    });

    it('recompressed has them all', () => {
      const made = deriveSoundly(content([root], [packed, clean, mixed], { recompressed }));
      const repaired = made.forms.filter(({ form }) => form === 'docker-list')[1];
      expect(parsed(repaired).manifests).toHaveLength(3);
      expect(shown(made)).toContain('derived docker-schema2 linux/amd64');
    });
  });
});

describe('zstd layers', () => {
  const packed = layer('packed', MEDIA_TYPES.ociLayerZstd);
  const one = image('oci-manifest', [base, packed]);
  const gzip = layer('its gzip copy');

  it('have no place in what is derived', () => {
    const made = deriveSoundly(content([one.manifest], [one]));
    expect(shown(made)).toEqual(['published oci-manifest']);
    expect(lacks(made)).toEqual(['docker-schema2 schema2-zstd-layers', 'docker-schema1 schema1-zstd-layers']);
    expect(made.explanations.every((text) => text.includes(packed.digest))).toBe(true);
  });

  it('recompressed are named by their copies, and the published form keeps its own', () => {
    const made = deriveSoundly(content([one.manifest], [one], { recompressed: new Map([[packed.digest, gzip]]) }));
    expect(shown(made)).toEqual(['published oci-manifest', 'derived docker-schema2', 'derived docker-schema1']);
    expect((parsed(find(made, 'docker-schema2')).layers as Descriptor[]).map(({ digest }) => digest)).toEqual([
      base.digest,
      gzip.digest,
    ]);
    expect(JSON.stringify(parsed(find(made, 'docker-schema1')).fsLayers)).toContain(gzip.digest);
    expect(find(made, 'oci-manifest')?.bytes).toBe(one.manifest.bytes);
  });

  const marked = (made: Derivation): string[] => made.forms.flatMap(({ form, zstd }) => (zstd === true ? [form] : []));

  it('mark the form that has them, and the list of an image that has them', () => {
    const recompressed = new Map([[packed.digest, gzip]]);
    expect(marked(deriveSoundly(content([one.manifest], [one])))).toEqual(['oci-manifest']);
    expect(marked(deriveSoundly(content([one.manifest], [one], { recompressed })))).toEqual(['oci-manifest']);
    const other = image('oci-manifest', [base]);
    const index = list('oci-index', [
      [one.manifest, on('linux', 'arm64')],
      [other.manifest, on('linux', 'amd64')],
    ]);
    expect(marked(deriveSoundly(content([index], [one, other], { recompressed })))).toEqual(['oci-index']);
    expect(marked(deriveSoundly(content([other.manifest], [other])))).toEqual([]);
  });

  it('of an artifact mark nothing: nobody unpacks them into a file system', () => {
    const artifact = image('oci-manifest', [packed], config(1), 'application/vnd.example.config.v1+json');
    expect(marked(deriveSoundly(content([artifact.manifest], [artifact])))).toEqual([]);
  });
});

describe('layers with addresses of their own', () => {
  const urls = ['https://mcr.example/layer'];
  const foreign = image('docker-schema2', [{ ...base, mediaType: MEDIA_TYPES.dockerLayerForeignGzip, urls }]);
  const plain = image('docker-schema2', [{ ...base, mediaType: MEDIA_TYPES.dockerLayerGzip, urls }]);

  it.each([
    ['foreign', foreign],
    ['of an ordinary type', plain],
  ])('%s, give no schema 1 unless the bucket holds them', (_, one) => {
    expect(lacks(deriveSoundly(content([one.manifest], [one])))).toEqual(['docker-schema1 schema1-foreign-layers']);
    const held = new Set([base.digest]);
    expect(shown(deriveSoundly(content([one.manifest], [one], { held })))).toContain('derived docker-schema1');
  });
});

describe('what cannot be derived leaves its reason', () => {
  const withConfig = (bytes: Uint8Array, layers = [base]) => image('oci-manifest', layers, bytes);
  const helm = image(
    'oci-manifest',
    [layer('chart', 'application/vnd.cncf.helm.chart.content.v1.tar+gzip')],
    config(1),
    'application/vnd.cncf.helm.config.v1+json',
  );
  const foreign = image('oci-manifest', [layer('f', MEDIA_TYPES.ociLayerNondistributableGzip)]);
  const entry = { created_by: 'a' };
  const text = new TextDecoder();

  it.each([
    ['schema1-foreign-layers', content([foreign.manifest], [foreign])],
    ['schema1-not-an-image', content([helm.manifest], [helm])],
    ['schema1-no-history', ...of(withConfig(config(1, { history: undefined })))],
    ['schema1-no-history', ...of(withConfig(config(1, { history: [] })))],
    ['schema1-history-mismatch', ...of(withConfig(config(1, { history: [entry, entry] })))],
    ['schema1-history-mismatch', ...of(withConfig(config(2, { history: [entry] }), [base, top]))],
    ['schema1-history-mismatch', ...of(withConfig(config(2), [base]))],
    ['schema1-config-invalid', ...of(withConfig(new TextEncoder().encode('{')))],
    ['schema1-config-invalid', ...of(withConfig(config(1, { rootfs: undefined })))],
    ['schema1-config-invalid', ...of(withConfig(config(1, { history: [{ created: 'yesterday' }] })))],
    ['schema1-config-invalid', { ...content([foreign.manifest], []), roots: [image('oci-manifest', [base]).manifest] }],
    [
      'schema1-config-ambiguous',
      ...of(withConfig(new TextEncoder().encode(text.decode(config(1)).replace('{', '{"os":"windows",')))),
    ],
    ['schema1-base-has-parent', ...of(withConfig(config(1, { history: [entry], parent: 'x' })))],
  ] as const)('%s', (reason, from) => {
    const made = deriveSoundly(from);
    expect(made.missing).toContainEqual({ form: 'docker-schema1', reason });
    expect(made.explanations.every((words) => words.length > 0)).toBe(true);
  });

  function of(one: ReturnType<typeof image>): [ImageContent] {
    return [content([one.manifest], [one])];
  }

  it('an artifact has neither schema 2 nor schema 1', () => {
    expect(lacks(deriveSoundly(content([helm.manifest], [helm])))).toEqual([
      'docker-schema2 schema2-not-an-image',
      'docker-schema1 schema1-not-an-image',
    ]);
  });

  it('every reason for a missing form has its row', () => {
    const reasons = Object.keys(REASONS).filter((reason) => /^schema[12]-/.test(reason));
    // Reached here and above; digests of other algorithms are refused when a manifest is read, so that one needs the
    // converter alone.
    expect(buildSchema1({ config: config(1), layers: ['md5:x'], name: 'a', tag: 'b' }, 'compat')).toMatchObject({
      reason: 'schema1-layer-digest',
    });
    expect(reasons.sort()).toEqual(
      [
        'schema1-base-has-parent',
        'schema1-config-ambiguous',
        'schema1-config-invalid',
        'schema1-foreign-layers',
        'schema1-history-mismatch',
        'schema1-layer-digest',
        'schema1-no-history',
        'schema1-no-platform',
        'schema1-not-an-image',
        'schema1-not-published',
        'schema1-too-large',
        'schema1-zstd-layers',
        'schema2-history-mismatch',
        'schema2-layers-unread',
        'schema2-layers-unreadable',
        'schema2-not-an-image',
        'schema2-too-large',
        'schema2-zstd-layers',
      ].sort(),
    );
  });
});

describe('what old engines may stumble over is told', () => {
  it('more entries than they can stack', () => {
    const history = Array.from({ length: 126 }, () => ({ created_by: 'x', empty_layer: true }));
    const one = image('docker-schema2', [], config(0, { history }));
    expect(deriveSoundly(content([one.manifest], [one])).warnings).toEqual([expect.stringContaining('126 entries')]);
  });
});

describe('what would be too large is not derived', () => {
  const docker = layer('docker', MEDIA_TYPES.dockerLayerGzip);

  it('a schema 1 longer than many clients read', () => {
    const one = image('docker-schema2', [docker], config(1, { config: { Labels: { long: '<'.repeat(700_000) } } }));
    const made = deriveSoundly(content([one.manifest], [one]));
    expect(shown(made)).toEqual(['published docker-schema2', 'derived oci-manifest']);
    expect(lacks(made)).toEqual(['docker-schema1 schema1-too-large']);
    expect(made.explanations).toEqual([expect.stringContaining('4194304')]);
  });

  it(titleOf('history-endless'), () => {
    const entry = { created: '2026-01-01T00:00:00Z', created_by: 'x'.repeat(100), empty_layer: true };
    const history = [...Array.from({ length: 60_000 }, () => entry), { ...entry, empty_layer: false }];
    const one = image('docker-schema2', [base], config(1, { history }));
    const made = deriveSoundly(content([one.manifest], [one]));
    expect(lacks(made)).toEqual(['docker-schema1 schema1-too-large']);
    const bytes = [...made.forms, ...made.others].reduce((sum, { bytes: { length } }) => sum + length, 0);
    expect(bytes).toBeLessThan(5_000);
  });

  it('a schema 1 of more layers than are converted', () => {
    const layers = Array.from({ length: LAYERS_MAX + 1 }, (_, index) => layer(`layer ${String(index)}`));
    const one = image('oci-manifest', layers);
    expect(lacks(deriveSoundly(content([one.manifest], [one])))).toEqual(['docker-schema1 schema1-too-large']);
  });

  it('a schema 2 from a schema 1 with more entries than are converted', () => {
    const fsLayers = Array.from({ length: HISTORY_MAX + 1 }, () => ({ blobSum: EMPTY_LAYER.digest }));
    const history = fsLayers.map((_, index) => ({
      v1Compatibility: JSON.stringify({
        id: index.toString(16).padStart(64, '0'),
        ...(index < HISTORY_MAX && { parent: (index + 1).toString(16).padStart(64, '0') }),
        throwaway: true,
      }),
    }));
    const text = JSON.stringify(
      { schemaVersion: 1, name: 'library/app', tag: '1.0', architecture: 'amd64', fsLayers, history },
      null,
      3,
    );
    const bytes = options.signer.sign(new TextEncoder().encode(text), '2026-01-01T00:00:00Z');
    expect(lacks(deriveSoundly(content([readManifest(bytes)], [])))).toEqual(['docker-schema2 schema2-too-large']);
  });

  it('more than a Worker has room for', () => {
    const one = image('docker-schema2', [docker]);
    const all = content([one.manifest], [one]);
    const { bytes } = deriveSoundly(all).forms.find(({ form }) => form === 'oci-manifest') ?? one.manifest;
    const made = deriveSoundly(all, { mostDerived: bytes.length });
    expect(shown(made)).toEqual(['published docker-schema2', 'derived oci-manifest']);
    expect(lacks(made)).toEqual(['docker-schema1 schema1-too-large']);
  });
});
