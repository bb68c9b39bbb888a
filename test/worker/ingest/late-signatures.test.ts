/** Signatures that come to the upstream after their image: found with the next comparison of the tag, and stored. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { addReferrers, readReferrersRecord } from '../../../src/bucket/referrers.ts';
import { referrersKey, tagKey } from '../../../src/registry/keys.ts';
import { isFetched } from '../../../src/registry/origin-mark.ts';
import { r2Store } from '../../../src/worker/storage/r2-store.ts';
import { type Ask, directEdge } from '../edge.ts';
import { digestOf, hash, nameOf, tagOf } from '../seed.ts';
import { age } from './aged-tag.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };

const OCI = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const HEADERS = { accept: `${OCI}, ${INDEX}` };

const upstream = new Map<string, () => Response>();
let asked: string[] = [];
let isDown = false;

beforeAll(() => {
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    asked.push(`${init.method ?? 'GET'} ${new URL(url).pathname}`);
    if (isDown) return Promise.reject(new Error('the upstream is down'));
    const response = upstream.get(url)?.() ?? new Response('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', { status: 404 });
    return Promise.resolve(init.method === 'HEAD' ? new Response(null, response) : response);
  });
});

afterAll(() => {
  vi.unstubAllGlobals();
});

beforeEach(() => {
  isDown = false;
  asked = [];
});

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(new TextEncoder().encode(text));

interface Described {
  readonly mediaType: string;
  readonly size: number;
  readonly digest: string;
}

const described = async (bytes: Uint8Array<ArrayBuffer>, mediaType: string): Promise<Described> => ({
  mediaType,
  size: bytes.length,
  digest: await hash(bytes),
});

/** An upstream with one repository. */
function upstreamAt(host: string, name: string, hasApi: boolean) {
  const base = `https://${host}/v2/${name}`;
  const answer = (path: string, bytes: Uint8Array<ArrayBuffer>, type: string, digest?: string): void => {
    const headers = { 'content-type': type, ...(digest !== undefined && { 'docker-content-digest': digest }) };
    upstream.set(`${base}/${path}`, () => new Response(bytes, { headers }));
  };
  const refer = (subject: string, list: readonly Described[]): void => {
    const bytes = bytesOf(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: list }));
    answer(hasApi ? `referrers/${subject}` : `manifests/${subject.replace(':', '-')}`, bytes, INDEX);
  };
  const add = async (tag: string | null, text: string, subject?: Described): Promise<Described> => {
    const config = bytesOf(
      subject === undefined
        ? `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["${await hash(bytesOf(text))}"]}}`
        : '{}',
    );
    const layer = bytesOf(text);
    const image = subject === undefined;
    const manifest = bytesOf(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI,
        ...(subject !== undefined && { artifactType: 'application/vnd.example.signature' }),
        config: await described(
          config,
          image ? 'application/vnd.oci.image.config.v1+json' : 'application/vnd.oci.empty.v1+json',
        ),
        layers: [await described(layer, image ? 'application/vnd.oci.image.layer.v1.tar' : 'text/plain')],
        ...(subject !== undefined && { subject }),
      }),
    );
    const descriptor = await described(manifest, OCI);
    for (const reference of [descriptor.digest, ...(tag === null ? [] : [tag])])
      answer(`manifests/${reference}`, manifest, OCI, descriptor.digest);
    for (const blob of [config, layer]) answer(`blobs/${await hash(blob)}`, blob, 'application/octet-stream');
    if (image && hasApi) refer(descriptor.digest, []);
    return descriptor;
  };
  return { add, refer };
}

const rules = (host: string) => ({
  vars: { ORIGINS: [{ name: 'up', pattern: '*', upstream: `https://${host}`, lifetime: 60, stale: 0 }] },
});

const listed = async (edge: Ask, name: string, subject: string): Promise<readonly string[]> => {
  const got = await edge(`/v2/${name}/referrers/${subject}`);
  expect(got.status).toBe(200);
  return (await got.json<{ manifests: readonly Described[] }>()).manifests.map(({ digest }) => digest);
};

describe('a signature that comes after its image', () => {
  it.each([
    ['by the referrers API', true],
    ['by its fallback tag', false],
  ])(
    'is stored with the next comparison of the tag, so that it is there while the upstream is not: %s',
    async (_, hasApi) => {
      const name = hasApi ? 'late/api' : 'late/tag';
      const host = `${name.replace('/', '-')}.example`;
      const { add, refer } = upstreamAt(host, name, hasApi);
      const image = await add('one', `an image of ${name}`);
      const edge = (): Ask => directEdge(bucket, rules(host));
      expect((await edge()(`/v2/${name}/manifests/one`, { headers: HEADERS })).status).toBe(200);

      const signature = await add(null, `a signature of ${name}`, image);
      refer(image.digest, [signature]);
      const cosign = await add(`${image.digest.replace(':', '-')}.sig`, `cosign's signature of ${name}`, image);
      await age(bucket, name, 'one');
      const other = edge();
      expect((await other(`/v2/${name}/manifests/one`, { headers: HEADERS })).status).toBe(200);
      await vi.waitFor(async () => {
        expect(await bucket.head(referrersKey(nameOf(name), digestOf(image.digest)))).not.toBeNull();
        expect(await bucket.head(tagKey(nameOf(name), tagOf(`${image.digest.replace(':', '-')}.sig`)))).not.toBeNull();
      });

      isDown = true;
      const third = edge();
      expect(await listed(third, name, image.digest)).toEqual([signature.digest]);
      const text = await third(`/v2/${name}/manifests/${signature.digest}`, { headers: HEADERS });
      const { layers } = await text.json<{ layers: readonly Described[] }>();
      const blob = await third(`/v2/${name}/blobs/${layers[0]?.digest ?? ''}`);
      expect([blob.status, await blob.text()]).toEqual([200, `a signature of ${name}`]);
      const tag = await third(`/v2/${name}/manifests/${image.digest.replace(':', '-')}.sig`, { headers: HEADERS });
      expect([tag.status, tag.headers.get('docker-content-digest')]).toEqual([200, cosign.digest]);
    },
  );

  it('costs two requests where there is none, and nothing is written', async () => {
    const { add } = upstreamAt('none.example', 'late/none', true);
    const image = await add('one', 'an unsigned image');
    await directEdge(bucket, rules('none.example'))('/v2/late/none/manifests/one', { headers: HEADERS });
    await age(bucket, 'late/none', 'one');
    asked = [];
    await directEdge(bucket, rules('none.example'))('/v2/late/none/manifests/one', { headers: HEADERS });
    await vi.waitFor(() => {
      expect(asked).toEqual([
        'HEAD /v2/late/none/manifests/one',
        `GET /v2/late/none/referrers/${image.digest}`,
        `GET /v2/late/none/manifests/${image.digest.replace(':', '-')}.sig`,
      ]);
    });
    expect(await bucket.head(referrersKey(nameOf('late/none'), digestOf(image.digest)))).toBeNull();
  });

  it('that the upstream withdraws goes from the list with the next comparison', async () => {
    const name = 'late/withdrawn';
    const { add, refer } = upstreamAt('withdrawn.example', name, true);
    const image = await add('one', 'an image whose signature is withdrawn');
    const signature = await add(null, 'a signature that is withdrawn', image);
    refer(image.digest, [signature]);
    const key = referrersKey(nameOf(name), digestOf(image.digest));
    const compare = async (): Promise<void> => {
      await age(bucket, name, 'one');
      await directEdge(bucket, rules('withdrawn.example'))(`/v2/${name}/manifests/one`, { headers: HEADERS });
    };
    await directEdge(bucket, rules('withdrawn.example'))(`/v2/${name}/manifests/one`, { headers: HEADERS });
    await compare();
    await vi.waitFor(async () => expect(await bucket.head(key)).not.toBeNull());
    refer(image.digest, []);
    // The upstream is up: what it says counts.
    expect(await listed(directEdge(bucket, rules('withdrawn.example')), name, image.digest)).toEqual([]);
    await compare();
    await vi.waitFor(async () => {
      expect((await readReferrersRecord(r2Store(bucket, { head: 0, get: 0 }), key))?.descriptors).toEqual([]);
    });
  });

  it('does not touch what was published here, which is the answer from then on', async () => {
    const name = 'late/published';
    const { add, refer } = upstreamAt('published.example', name, true);
    const image = await add('one', 'an image that is signed here');
    const [theirs, ours] = [await add(null, 'their signature', image), await add(null, 'our signature', image)];
    refer(image.digest, [theirs]);
    const key = referrersKey(nameOf(name), digestOf(image.digest));
    await directEdge(bucket, rules('published.example'))(`/v2/${name}/manifests/one`, { headers: HEADERS });
    await age(bucket, name, 'one');
    await directEdge(bucket, rules('published.example'))(`/v2/${name}/manifests/one`, { headers: HEADERS });
    await vi.waitFor(async () => expect(await bucket.head(key)).not.toBeNull());
    const descriptor = { ...ours, digest: digestOf(ours.digest) };
    await addReferrers(
      r2Store(bucket, { head: 0, get: 0 }),
      nameOf(name),
      new Map([[digestOf(image.digest), [descriptor]]]),
      {},
    );
    expect(isFetched((await bucket.head(key))?.customMetadata ?? {})).toBe(false);
    await age(bucket, name, 'one');
    await directEdge(bucket, rules('published.example'))(`/v2/${name}/manifests/one`, { headers: HEADERS });
    expect(await listed(directEdge(bucket, rules('published.example')), name, image.digest)).toEqual([ours.digest]);
  });
});
