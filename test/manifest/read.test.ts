import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ManifestError, readImageManifest, readListManifest, readManifest } from '../../src/manifest/read.ts';
import { sha256Of } from '../../src/manifest/signing/sha256.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES, SCHEMA1_PLAIN } from '../../src/registry/media-type.ts';
import { image, layer, list, on } from './images.ts';

const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const fixture = (path: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/${path}`, import.meta.url)));

const blob = { mediaType: MEDIA_TYPES.ociConfig, digest: `sha256:${'a'.repeat(64)}`, size: 2 };
const imageLike = { schemaVersion: 2, config: blob, layers: [blob] };
const listLike = { schemaVersion: 2, manifests: [blob] };
const {
  'oci-index': OI,
  'docker-list': DL,
  'oci-manifest': OM,
  'docker-schema2': S2,
  'docker-schema1': S1,
} = MEDIA_TYPE_OF_FORM;

describe('the form of a manifest', () => {
  it.each([
    ['its own mediaType', { ...imageLike, mediaType: S2 }, undefined, 'docker-schema2'],
    [
      'its own, where it came as nothing in particular',
      { ...imageLike, mediaType: OM },
      'application/octet-stream',
      'oci-manifest',
    ],
    ['the type it came with, where it has none', imageLike, S2, 'docker-schema2'],
    ['that with parameters and in other case', listLike, `${DL.toUpperCase()}; charset=utf-8`, 'docker-list'],
    ['its members, where nothing tells', imageLike, undefined, 'oci-manifest'],
    ['the same of a list', listLike, 'application/json', 'oci-index'],
    ['an empty mediaType tells nothing', { ...listLike, mediaType: '' }, OI, 'oci-index'],
  ])('is told by %s', (_, value, told, form) => {
    const bytes = encode(value);
    expect(readManifest(bytes, told)).toMatchObject({ form, digest: sha256Of(bytes), bytes });
  });

  it.each([SCHEMA1_PLAIN, S1, 'application/json', undefined])(
    'of a signed schema 1 is that, as %s, and its digest is that of the payload',
    (told) => {
      const digest = new TextDecoder().decode(fixture('schema1/01-simple-one-layer/digest.txt')).trim();
      expect(readManifest(fixture('schema1-signed/01-simple-one-layer.json'), told)).toMatchObject({
        form: 'docker-schema1',
        mediaType: S1,
        digest,
      });
    },
  );

  it.each([
    ['no JSON', '{', undefined, /not JSON/],
    ['a byte order mark', `\ufeff${JSON.stringify(imageLike)}`, undefined, /not JSON/],
    ['an array', '[]', undefined, /not a JSON object/],
    ['no schemaVersion', { ...imageLike, schemaVersion: undefined }, undefined, /schemaVersion/],
    ['schemaVersion 3', { ...imageLike, schemaVersion: 3 }, undefined, /schemaVersion 3/],
    ['members of a list and of an image (CVE-2021-41190)', { ...imageLike, manifests: [] }, OM, /two ways/],
    ['a list with layers', { ...listLike, layers: [] }, OI, /two ways/],
    ['another type than it came with', { ...imageLike, mediaType: OM }, S2, /but its Content-Type is/],
    ['a list that came as an image', listLike, OM, /two ways/],
    ['a type that is no form', { ...imageLike, mediaType: 'application/x' }, undefined, /not supported/],
    ['a type from outside that is no form', imageLike, 'text/html', /not supported/],
    ['a mediaType that is no text', { ...imageLike, mediaType: 1 }, undefined, /not a string/],
    ['schema 1 by its type only', { ...imageLike, mediaType: S1 }, undefined, /not supported/],
    ['neither config nor manifests', { schemaVersion: 2 }, undefined, /neither/],
    ['no layers', { ...imageLike, layers: undefined }, undefined, /layers/],
    ['a layer that is none', { ...imageLike, layers: [1] }, undefined, /layer 0/],
    [
      'a digest in capitals',
      { ...imageLike, config: { ...blob, digest: blob.digest.toUpperCase() } },
      undefined,
      /the config/,
    ],
    ['no size', { ...imageLike, config: { ...blob, size: undefined } }, undefined, /size/],
    ['a size below zero', { ...imageLike, config: { ...blob, size: -1 } }, undefined, /size/],
    ['manifests that are no list', { ...listLike, manifests: {} }, OI, /list/],
    ['a schema 1 that came as something else', '{"schemaVersion":1}', OM, /its Content-Type is/],
    ['a schema 1 without signatures', '{"schemaVersion":1}', S1, /signature of the schema 1 manifest is not valid/],
    [
      'a schema 1 whose signature does not hold',
      fixture('schema1-verify/bad-08-tampered-tag.json'),
      undefined,
      /signature of the schema 1 manifest is not valid/,
    ],
  ])('is refused for %s', (_, value, told, message) => {
    const bytes = value instanceof Uint8Array ? value : encode(value);
    expect(() => readManifest(bytes, told)).toThrow(ManifestError);
    expect(() => readManifest(bytes, told)).toThrow(message);
  });
});

describe('what a manifest names', () => {
  it('is its config and layers, base first, with what their descriptors say', () => {
    const foreign = layer('f', MEDIA_TYPES.ociLayerNondistributableGzip, {
      urls: ['https://x.example'],
      annotations: { a: 'b' },
    });
    const { manifest, config } = image('oci-manifest', [layer('a'), foreign]);
    expect(readImageManifest(manifest)).toEqual({
      config: { mediaType: MEDIA_TYPES.ociConfig, digest: sha256Of(config), size: config.length },
      layers: [layer('a'), foreign],
    });
  });

  it('is the manifests of a list in order, with their platforms', () => {
    const { manifest } = image('oci-manifest', [layer('a')]);
    const index = list('oci-index', [
      [manifest, on('windows', 'amd64', { 'os.version': '10.0', 'os.features': ['win32k'] })],
      [manifest, { annotations: { 'org.opencontainers.image.ref.name': 'x' } }],
    ]);
    const one = { mediaType: OM, digest: manifest.digest, size: manifest.bytes.length };
    expect(readListManifest(index)).toEqual([
      { ...one, platform: { os: 'windows', architecture: 'amd64', 'os.version': '10.0', 'os.features': ['win32k'] } },
      { ...one, annotations: { 'org.opencontainers.image.ref.name': 'x' } },
    ]);
  });
});
