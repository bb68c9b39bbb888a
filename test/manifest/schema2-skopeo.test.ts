/**
 * The claims of src/manifest/schema2.ts and from-schema1.ts that skopeo writes the same bytes. Needs skopeo, no
 * network.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { derive } from '../../src/manifest/derive.ts';
import { configFromSchema1 } from '../../src/manifest/from-schema1.ts';
import { readManifest } from '../../src/manifest/read.ts';
import { EMPTY_LAYER } from '../../src/manifest/schema1.ts';
import { sha256Of } from '../../src/manifest/signing/sha256.ts';
import type { Descriptor } from '../../src/registry/descriptor.ts';
import { hexOf } from '../../src/registry/digest.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import { config, content, image, list, on, options, type TestImage } from './images.ts';

const installed = spawnSync('skopeo', ['--version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'gantry-skopeo-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** An empty tar, packed; what is appended makes another layer of it. */
const layerBytes = (more: string): Uint8Array =>
  gzipSync(Buffer.concat([Buffer.alloc(1_024), Buffer.alloc(512 * more.length)]));

const blobs = new Map<string, Uint8Array>();
const keep = (bytes: Uint8Array): Uint8Array => {
  blobs.set(hexOf(sha256Of(bytes)), bytes);
  return bytes;
};
const layers = ['', 'x'].map((more): Descriptor => {
  const bytes = keep(layerBytes(more));
  return {
    mediaType: MEDIA_TYPES.ociLayerGzip,
    digest: sha256Of(bytes),
    size: bytes.length,
    annotations: { 'org.example.<note>': 'a&b' },
  };
});
const make = (architecture: string, which: readonly Descriptor[]): TestImage => {
  const one = image('oci-manifest', which, config(which.length, { architecture }));
  keep(one.config);
  keep(one.manifest.bytes);
  return one;
};
const amd64 = make('amd64', layers);
const arm = make('arm', layers.slice(0, 1));
// `features` is reserved in OCI: skopeo leaves it out of a Docker list, where it would mean something else.
const withFeatures = { platform: { os: 'linux', architecture: 'amd64', 'os.features': ['f'], features: ['sse4'] } };
const index = list('oci-index', [
  [amd64.manifest, withFeatures],
  [arm.manifest, on('linux', 'arm', { variant: 'v7', 'os.version': '1.0' })],
]);
keep(index.bytes);

const layout = join(folder, 'layout');
mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
for (const [hex, bytes] of blobs) writeFileSync(join(layout, 'blobs/sha256', hex), bytes);
writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
writeFileSync(
  join(layout, 'index.json'),
  JSON.stringify({
    schemaVersion: 2,
    manifests: [['one', amd64.manifest] as const, ['all', index] as const].map(
      ([name, { mediaType, digest, bytes }]) => ({
        mediaType,
        digest,
        size: bytes.length,
        annotations: { 'org.opencontainers.image.ref.name': name },
      }),
    ),
  }),
);

const converted = (name: string, ...more: readonly string[]): string => {
  const to = join(folder, name);
  const { status, stderr } = spawnSync('skopeo', [
    'copy',
    '--insecure-policy',
    '--format',
    'v2s2',
    ...more,
    `oci:${layout}:${name}`,
    `dir:${to}`,
  ]);
  if (status !== 0) throw new Error(stderr.toString());
  return readFileSync(join(to, 'manifest.json')).toString();
};

describe.skipIf(!installed)(
  `what we derive of OCI is what skopeo converts it to${installed ? '' : ' [skipped: skopeo not installed]'}`,
  () => {
    it('an image', () => {
      const made = derive(content([amd64.manifest], [amd64]), options).forms.find(
        ({ form }) => form === 'docker-schema2',
      );
      expect(new TextDecoder().decode(made?.bytes)).toBe(converted('one'));
    });

    it('an index of images for several platforms', () => {
      const made = derive(content([index], [amd64, arm]), options).forms.find(({ form }) => form === 'docker-list');
      expect(made?.mediaType).toBe(MEDIA_TYPE_OF_FORM['docker-list']);
      expect(new TextDecoder().decode(made?.bytes)).toBe(converted('all', '--all'));
    });
  },
);

/** The config that skopeo makes of a schema 1 with one layer below, and one entry on top with this text. */
function configOfSkopeo(title: string, top: object): { readonly theirs: string; readonly ours: string } {
  const [from, to] = [join(folder, `${title}-v1`), join(folder, `${title}-v2`)];
  const [base = ''] = [...blobs.keys()];
  const hex = '1'.repeat(64);
  const texts = [
    { id: '2'.repeat(64), parent: hex, throwaway: true, ...top },
    { id: hex, created: '2015-10-31T22:22:54.69Z', container_config: { Cmd: ['/bin/sh -c #(nop) ADD <file>'] } },
  ];
  const payload = JSON.stringify({
    schemaVersion: 1,
    name: 'library/app',
    tag: '1',
    architecture: 'amd64',
    fsLayers: [EMPTY_LAYER.digest, `sha256:${base}`].map((blobSum) => ({ blobSum })),
    history: texts.map((text) => ({ v1Compatibility: JSON.stringify(text) })),
  });
  const manifest = readManifest(options.signer.sign(new TextEncoder().encode(payload), '2026-11-24T00:00:00Z'));
  mkdirSync(from);
  writeFileSync(join(from, 'version'), 'Directory Transport Version: 1.1\n');
  writeFileSync(join(from, 'manifest.json'), manifest.bytes);
  writeFileSync(join(from, hexOf(sha256Of(EMPTY_LAYER.bytes))), EMPTY_LAYER.bytes);
  writeFileSync(join(from, base), blobs.get(base) ?? '');
  const arguments_ = ['copy', '--insecure-policy', '--format', 'v2s2', `dir:${from}`, `dir:${to}`];
  const { status, stderr } = spawnSync('skopeo', arguments_);
  if (status !== 0) throw new Error(stderr.toString());
  const made = JSON.parse(readFileSync(join(to, 'manifest.json')).toString()) as { config: Descriptor };
  const theirs = readFileSync(join(to, hexOf(made.config.digest))).toString();
  const diffId = sha256Of(new Uint8Array(gunzipSync(blobs.get(base) ?? '')));
  const config = configFromSchema1(new TextEncoder().encode(payload), () => diffId);
  return { theirs, ours: new TextDecoder().decode(config) };
}

describe.skipIf(!installed)(
  `the config of a schema 1 is what skopeo makes of it${installed ? '' : ' [skipped: skopeo not installed]'}`,
  () => {
    const top = {
      created: '2015-10-31T22:22:55.6+00:00',
      os: 'linux',
      config: { Cmd: ['sh'], Blank: '' },
      Blank: [1.5],
    };

    it.each(['1.8.3', '1.7.1', '20.10.24'])('that an engine of version %s wrote', (version) => {
      const { theirs, ours } = configOfSkopeo(version, { ...top, docker_version: version });
      expect(ours).toBe(theirs);
    });

    it('but not where no engine names itself: Docker writes the text anew, skopeo does not', () => {
      const { theirs, ours } = configOfSkopeo('none', top);
      expect(theirs).toContain('"Blank"');
      expect(ours).not.toContain('"Blank"');
    });
  },
);
