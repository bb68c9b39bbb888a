/**
 * The rules of the OCI distribution spec 1.1 for registries that are pulled from, each named by its section. Run over
 * every way in which the gateway reaches the registry: straight, behind a cache, and as deployed.
 */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Descriptor } from '../../../src/registry/descriptor.ts';
import { FORMS, MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { allWaysTo, comparable, directEdge, errorOf } from '../edge.ts';
import {
  bytesOf,
  digestOf,
  hash,
  manifest,
  seedBlob,
  seedCatalog,
  seedManifest,
  seedReferrers,
  seedTag,
  seedTagList,
  type SeededForm,
} from '../seed.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const NAME = 'conformance/image';
const UNKNOWN = `sha256:${'0'.repeat(64)}`;
const CONTENT = bytesOf('a layer of bytes, long enough to be cut into pieces');
const TAGS = ['0', '1.0', '1.0-rc', 'A', 'Z', '_x', 'a', 'latest', 'test0', 'test1', 'test2'];
const ACCEPT_ALL = FORMS.map((form) => MEDIA_TYPE_OF_FORM[form]).join(', ');

let image: SeededForm;
let wide: SeededForm;
let blob: string;
let blob512: string;
let config: string;

const referrer = (digest: string, artifactType: string): Descriptor => ({
  mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'],
  digest: digestOf(digest),
  size: 10,
  artifactType,
  annotations: { 'org.opencontainers.image.created': 'now' },
});
const SIGNATURE = referrer(`sha256:${'a'.repeat(64)}`, 'application/vnd.example.signature');
const SBOM = referrer(`sha256:${'b'.repeat(64)}`, 'application/vnd.example.sbom');

beforeAll(async () => {
  image = await manifest('oci-manifest', 'conformance');
  const bytes = bytesOf('{"schemaVersion":2,"sha512":true}');
  wide = { form: 'oci-manifest', bytes, digest: await hash(bytes, 'sha512') };
  blob = await seedBlob(bucket, CONTENT);
  blob512 = await seedBlob(bucket, CONTENT, undefined, 'sha512');
  config = await seedBlob(bucket, bytesOf('{}'));
  for (const tag of TAGS) await seedTag(bucket, NAME, tag, [image]);
  await seedManifest(bucket, NAME, wide);
  await seedTagList(bucket, NAME, TAGS);
  await seedTagList(bucket, 'conformance/empty', []);
  await seedReferrers(bucket, NAME, image.digest, [SBOM, SIGNATURE]);
  await seedCatalog(bucket, ['conformance/empty', NAME]);
});

describe.each(allWaysTo(bucket))('OCI distribution spec 1.1, %s', (_, ask) => {
  const getJson = async <T>(path: string): Promise<T> => (await ask(path)).json<T>();

  describe('Determining Support', () => {
    it('GET /v2/ MUST be answered 200 where no authentication is needed', async () => {
      for (const path of ['/v2/', '/v2']) expect((await ask(path)).status).toBe(200);
    });
  });

  describe('Pulling manifests', () => {
    it('GET by tag and by digest MUST answer 200 with the manifest, its media type and its digest', async () => {
      for (const reference of ['latest', image.digest]) {
        const response = await ask(`/v2/${NAME}/manifests/${reference}`, { headers: { accept: ACCEPT_ALL } });
        expect(response.status).toBe(200);
        expect(response.headers.get('content-type')).toBe(MEDIA_TYPE_OF_FORM['oci-manifest']);
        expect(response.headers.get('docker-content-digest')).toBe(image.digest);
        expect(response.headers.get('content-length')).toBe(String(image.bytes.length));
        expect(new Uint8Array(await response.arrayBuffer())).toEqual(image.bytes);
      }
    });

    it('a manifest with a sha512 digest is pulled by it', async () => {
      const response = await ask(`/v2/${NAME}/manifests/${wide.digest}`, { headers: { accept: ACCEPT_ALL } });
      expect(await hash(new Uint8Array(await response.arrayBuffer()), 'sha512')).toBe(wide.digest);
      expect(response.headers.get('docker-content-digest')).toBe(wide.digest);
    });

    it.each([
      [`/v2/${NAME}/manifests/absent`, 'MANIFEST_UNKNOWN'],
      [`/v2/${NAME}/manifests/${UNKNOWN}`, 'MANIFEST_UNKNOWN'],
      [`/v2/${NAME}/manifests/.not-a-tag`, 'MANIFEST_UNKNOWN'],
      [`/v2/${NAME}/manifests/${'t'.repeat(129)}`, 'MANIFEST_UNKNOWN'],
      ['/v2/conformance/absent/manifests/latest', 'NAME_UNKNOWN'],
    ])('%s MUST be answered 404 (%s)', async (path, code) => {
      const response = await ask(path, { headers: { accept: ACCEPT_ALL } });
      expect(response.status).toBe(404);
      expect((await errorOf(response)).code).toBe(code);
    });

    it('a manifest of another repository is not found', async () => {
      expect(
        (await ask(`/v2/conformance/empty/manifests/${image.digest}`, { headers: { accept: ACCEPT_ALL } })).status,
      ).toBe(404);
    });
  });

  describe('Pulling blobs', () => {
    it('GET MUST answer 200 with the blob; the digest header, if present, MUST match', async () => {
      for (const digest of [blob, blob512]) {
        const response = await ask(`/v2/${NAME}/blobs/${digest}`);
        expect(response.status).toBe(200);
        expect(response.headers.get('docker-content-digest')).toBe(digest);
        expect(response.headers.get('content-length')).toBe(String(CONTENT.length));
        expect(new Uint8Array(await response.arrayBuffer())).toEqual(CONTENT);
      }
    });

    it('a blob that is not there MUST be answered 404', async () => {
      const response = await ask(`/v2/${NAME}/blobs/${UNKNOWN}`);
      expect(response.status).toBe(404);
      expect((await errorOf(response)).code).toBe('BLOB_UNKNOWN');
    });

    it('a registry SHOULD support Range requests in accordance with RFC 9110', async () => {
      const response = await ask(`/v2/${NAME}/blobs/${blob}`, { headers: { range: 'bytes=2-6' } });
      // A cache in front cuts ranges itself, from the whole.
      if (response.status === 206) {
        expect(response.headers.get('content-range')).toBe(`bytes 2-6/${String(CONTENT.length)}`);
        expect(await response.text()).toBe('layer');
      } else {
        expect(response.status).toBe(200);
        expect((await response.arrayBuffer()).byteLength).toBe(CONTENT.length);
      }
    });
  });

  describe('Checking if content exists in the registry', () => {
    it.each(['manifests/latest', 'manifests/DIGEST', 'blobs/BLOB', 'blobs/CONFIG'])(
      'HEAD %s MUST be answered 200 with the length and the digest, and no body',
      async (path) => {
        const real = path.replace('DIGEST', image.digest).replace('BLOB', blob).replace('CONFIG', config);
        const response = await ask(`/v2/${NAME}/${real}`, { method: 'HEAD', headers: { accept: ACCEPT_ALL } });
        expect(response.status).toBe(200);
        expect(Number(response.headers.get('content-length'))).toBeGreaterThan(0);
        expect(response.headers.get('docker-content-digest')).toMatch(/^sha256:/);
        expect((await response.arrayBuffer()).byteLength).toBe(0);
      },
    );

    it.each([`manifests/absent`, `manifests/${UNKNOWN}`, `blobs/${UNKNOWN}`])(
      'HEAD %s of what is not there MUST be answered 404',
      async (path) => {
        expect((await ask(`/v2/${NAME}/${path}`, { method: 'HEAD', headers: { accept: ACCEPT_ALL } })).status).toBe(
          404,
        );
      },
    );

    it('HEAD says what GET says, in every header', async () => {
      const paths = [
        '/v2/',
        `/v2/${NAME}/manifests/latest`,
        `/v2/${NAME}/manifests/${image.digest}`,
        `/v2/${NAME}/manifests/absent`,
        `/v2/${NAME}/blobs/${blob}`,
      ];
      const lists = [
        `/v2/${NAME}/tags/list`,
        `/v2/${NAME}/tags/list?n=2`,
        `/v2/${NAME}/referrers/${image.digest}`,
        '/v2/_catalog',
        '/v2/_catalog?n=1',
        '/nowhere',
        '/healthz',
      ];
      for (const path of [
        ...paths,
        ...lists,
        `/v2/${NAME}/blobs/${UNKNOWN}`,
        '/v2/Bad/tags/list',
        '/v1/_ping',
        `/v1/repositories/${NAME}/images`,
        '/v1/search',
        '/crane/repositories',
      ]) {
        const get = await ask(path, { headers: { accept: ACCEPT_ALL } });
        const head = await ask(path, { method: 'HEAD', headers: { accept: ACCEPT_ALL } });
        expect(get.headers.get('content-length'), path).toBe(String((await get.arrayBuffer()).byteLength));
        expect([head.status, comparable(head)], path).toEqual([get.status, comparable(get)]);
        expect((await head.arrayBuffer()).byteLength, path).toBe(0);
      }
    });
  });

  describe('Listing Tags', () => {
    it('the answer MUST be JSON with the name and all tags in lexical order, without a Link', async () => {
      const response = await ask(`/v2/${NAME}/tags/list`);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(response.headers.get('link')).toBeNull();
      expect(await response.json()).toEqual({ name: NAME, tags: TAGS });
    });

    it('a repository without tags has an empty list', async () => {
      expect(await getJson('/v2/conformance/empty/tags/list')).toEqual({ name: 'conformance/empty', tags: [] });
    });

    it('n MUST bound the number of results, and Link with rel="next" lead to all the others', async () => {
      const seen: string[] = [];
      for (let path: string | null = `/v2/${NAME}/tags/list?n=4`; path !== null;) {
        const response: Response = await ask(path);
        const { tags } = await response.json<{ tags: string[] }>();
        expect(tags.length).toBeLessThanOrEqual(4);
        seen.push(...tags);
        const link: string | null = response.headers.get('link');
        path = link === null ? null : (/^<([^>]+)>; rel="next"$/.exec(link)?.[1] ?? '');
      }
      expect(seen).toEqual(TAGS);
    });

    it('the last page has no Link, even if it is full', async () => {
      expect((await ask(`/v2/${NAME}/tags/list?n=${String(TAGS.length)}`)).headers.get('link')).toBeNull();
    });

    it('n=0 MUST answer with an empty list and no Link', async () => {
      const response = await ask(`/v2/${NAME}/tags/list?n=0`);
      expect(response.headers.get('link')).toBeNull();
      expect(await response.json()).toEqual({ name: NAME, tags: [] });
    });

    it('last MUST NOT be in the answer, and need not be a tag that exists', async () => {
      expect(await getJson(`/v2/${NAME}/tags/list?last=latest`)).toEqual({
        name: NAME,
        tags: ['test0', 'test1', 'test2'],
      });
      expect(await getJson(`/v2/${NAME}/tags/list?n=2&last=m-not-there`)).toEqual({
        name: NAME,
        tags: ['test0', 'test1'],
      });
      expect(await getJson(`/v2/${NAME}/tags/list?last=zzz`)).toEqual({ name: NAME, tags: [] });
    });

    it('more than there are may be asked for', async () => {
      expect(await getJson(`/v2/${NAME}/tags/list?n=1000`)).toEqual({ name: NAME, tags: TAGS });
    });

    it('a repository that is not there MUST be answered 404 NAME_UNKNOWN', async () => {
      for (const query of ['', '?n=0', '?n=1', '?last=x']) {
        const response = await ask(`/v2/conformance/absent/tags/list${query}`);
        expect(response.status).toBe(404);
        expect((await errorOf(response)).code).toBe('NAME_UNKNOWN');
      }
    });

    it.each(['x', '-1', '1.5', '', '1e3', '0x10', '99999999999999999999'])('n=%s is answered 400', async (n) => {
      const response = await ask(`/v2/${NAME}/tags/list?n=${n}`);
      expect(response.status).toBe(400);
      expect((await errorOf(response)).code).toBe('PAGINATION_NUMBER_INVALID');
    });
  });

  describe('Listing Referrers', () => {
    it('the answer MUST be an image index of descriptors, with its media type', async () => {
      const response = await ask(`/v2/${NAME}/referrers/${image.digest}`);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe(MEDIA_TYPE_OF_FORM['oci-index']);
      expect(response.headers.get('oci-filters-applied')).toBeNull();
      expect(await response.json()).toEqual({
        schemaVersion: 2,
        mediaType: MEDIA_TYPE_OF_FORM['oci-index'],
        manifests: [SIGNATURE, SBOM],
      });
    });

    it('artifactType filters, and OCI-Filters-Applied MUST say so', async () => {
      const response = await ask(
        `/v2/${NAME}/referrers/${image.digest}?artifactType=${encodeURIComponent('application/vnd.example.sbom')}`,
      );
      expect(response.headers.get('oci-filters-applied')).toBe('artifactType');
      expect((await response.json<{ manifests: unknown[] }>()).manifests).toEqual([SBOM]);
    });

    it('a manifest that is not there, or that nothing refers to, MUST be answered with an empty index, never 404', async () => {
      for (const digest of [UNKNOWN, wide.digest]) {
        const response = await ask(`/v2/${NAME}/referrers/${digest}`);
        expect(response.status).toBe(200);
        expect((await response.json<{ manifests: unknown[] }>()).manifests).toEqual([]);
      }
    });

    it('a digest that is none MUST be answered 400', async () => {
      const response = await ask(`/v2/${NAME}/referrers/sha256:abc`);
      expect(response.status).toBe(400);
      expect((await errorOf(response)).code).toBe('DIGEST_INVALID');
    });

    it('a repository that is not there MUST NOT be answered 404: it has no referrers', async () => {
      const response = await ask(`/v2/conformance/absent/referrers/${image.digest}`);
      expect([response.status, (await response.json<{ manifests: unknown[] }>()).manifests]).toEqual([200, []]);
    });
  });

  describe('Error Codes', () => {
    it.each([
      ['/v2/Upper/manifests/latest', 400, 'NAME_INVALID'],
      ['/v2/a//b/tags/list', 400, 'NAME_INVALID'],
      ['/v2/a%2F..%2Fb/tags/list', 400, 'NAME_INVALID'],
      [`/v2/${'a'.repeat(256)}/tags/list`, 400, 'NAME_INVALID'],
      [`/v2/${NAME}/manifests/sha256:abc`, 400, 'DIGEST_INVALID'],
      [`/v2/${NAME}/manifests/md5:d41d8cd98f00b204e9800998ecf8427e`, 400, 'DIGEST_INVALID'],
      [`/v2/${NAME}/blobs/nothing`, 400, 'DIGEST_INVALID'],
      [`/v2/${NAME}/blobs/sha256:${'A'.repeat(64)}`, 400, 'DIGEST_INVALID'],
      [`/v2/${NAME}/nothing/x`, 404, 'UNSUPPORTED'],
      ['/v2/_nothing', 404, 'UNSUPPORTED'],
      ['/index.html', 404, 'UNSUPPORTED'],
      [`/v2/${NAME}/tags/list?n=1&n=2`, 400, 'UNSUPPORTED'],
      [`/v2/%ff/tags/list`, 400, 'NAME_INVALID'],
      [`/v2/%zz/tags/list`, 400, 'NAME_INVALID'],
    ])('%s: %i %s, as JSON with a code, a message and a help page that exists', async (path, status, code) => {
      const response = await ask(path);
      expect(response.status).toBe(status);
      expect(response.headers.get('content-type')).toBe('application/json');
      const error = await errorOf(response);
      expect(error.code).toBe(code);
      expect(error.message).toMatch(/\.$/);
      expect((await ask(new URL(String(error.detail.help)).pathname)).status).toBe(200);
    });

    it.each([
      ['POST', `/v2/${NAME}/blobs/uploads/`],
      ['PUT', `/v2/${NAME}/manifests/latest`],
      ['PATCH', `/v2/${NAME}/blobs/uploads/x`],
      ['DELETE', `/v2/${NAME}/manifests/latest`],
      ['DELETE', `/v2/${NAME}/blobs/${UNKNOWN}`],
      ['POST', '/nowhere'],
      ['OPTIONS', '/v2/'],
    ])('%s %s is answered 405 UNSUPPORTED with Allow: this is the read path', async (method, path) => {
      const response = await ask(path, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, HEAD');
      expect((await errorOf(response)).code).toBe('UNSUPPORTED');
    });
  });

  it('Docker-Distribution-Api-Version stands on every answer', async () => {
    for (const path of [
      '/v2/',
      `/v2/${NAME}/manifests/latest`,
      `/v2/${NAME}/manifests/absent`,
      '/v2/X/tags/list',
      '/nowhere',
      `/v1/repositories/${NAME}/images`,
    ]) {
      expect((await ask(path)).headers.get('docker-distribution-api-version'), path).toBe('registry/2.0');
    }
  });
});

describe('Docker Registry HTTP API v2, Catalog', () => {
  const ask = directEdge(bucket);

  it('lists repositories in lexical order, in pages by n and last', async () => {
    expect(await (await ask('/v2/_catalog')).json()).toEqual({ repositories: ['conformance/empty', NAME] });
    const page = await ask('/v2/_catalog?n=1');
    expect(page.headers.get('link')).toBe('</v2/_catalog?n=1&last=conformance%2Fempty>; rel="next"');
    expect(await (await ask('/v2/_catalog?n=1&last=conformance%2Fempty')).json()).toEqual({ repositories: [NAME] });
    expect(await (await ask('/v2/_catalog?n=0')).json()).toEqual({ repositories: [] });
  });
});
