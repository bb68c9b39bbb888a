/** What people read on engines from before 1.10, and what a request by digest that is refused says. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import type { TagSummary } from '../../src/registry/summary.ts';
import { watched } from './buckets.ts';
import { type Ask, cachedEdge, directEdge, errorOf } from './edge.ts';
import { manifest, seedTag, seedTagList, UPDATED } from './seed.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const WAYS: [string, Ask][] = [
  ['direct', directEdge(bucket)],
  ['cached', cachedEdge(bucket)],
];

const engine = (architecture: string): RequestInit => ({
  headers: { 'user-agent': `docker/1.7.1 go/go1.4.2 kernel/3.16 os/linux arch/${architecture}` },
});
const SUMMARY: TagSummary = {
  updated: UPDATED,
  size: 1,
  platforms: ['linux/amd64', 'linux/arm64'],
  published: ['oci-index'],
  derived: ['docker-list', 'docker-schema1'],
  missing: [],
};

describe.each(WAYS)('an engine whose platform a tag does not have, %s', (way, ask) => {
  const name = `messages/list-${way}`;
  const wanted =
    'The tag has no image for linux/s390x, the platform of this Docker engine. It has images for linux/amd64, linux/arm64.';
  const seed = async (): Promise<void> => {
    const forms = [
      await manifest('oci-index', name),
      await manifest('docker-schema1', `${name} amd64`, {
        derived: true,
        platform: { os: 'linux', architecture: 'amd64' },
      }),
      await manifest('docker-schema1', `${name} arm64`, {
        derived: true,
        platform: { os: 'linux', architecture: 'arm64' },
      }),
    ];
    await seedTag(bucket, name, 'latest', forms);
    await seedTagList(bucket, name, [{ name: 'latest', detail: SUMMARY }]);
  };

  it('is told its platform and those that there are', async () => {
    await seed();
    const response = await ask(`/v2/${name}/manifests/latest`, engine('s390x'));
    expect([response.status, response.headers.get('vary')]).toEqual([404, 'Accept, User-Agent']);
    const { message, detail } = await errorOf(response);
    expect([message, detail.reason]).toEqual([wanted, 'schema1-no-platform']);
  });

  it('is told so by the v1 API, too, which is all that 1.6 and 1.7 show', async () => {
    await seed();
    const path = `/v1/repositories/${name}/images`;
    const response = await ask(path, engine('s390x'));
    expect([response.status, response.headers.get('vary')]).toEqual([400, 'User-Agent']);
    expect(await response.text()).toBe(
      `${name}:latest: ${wanted} See https://registry.example/help/schema1-no-platform`,
    );
    expect((await ask(path, engine('arm64'))).status).toBe(404);
    expect((await ask(path)).status).toBe(404);
  });
});

describe('an engine that falls back to v1', () => {
  it('is told that storage did not answer', async () => {
    const down = watched(bucket, () => Promise.reject(new Error('storage is down'))).bucket;
    const ask = directEdge(down, { retry: { attempts: 1 } });
    const response = await ask('/v1/repositories/messages/any/images', engine('amd64'));
    expect([response.status, response.headers.get('content-type')]).toEqual([503, 'text/plain; charset=utf-8']);
    expect(await response.text()).toMatch(/^messages\/any: The storage did not answer.* See https:.*\/help\/storage/);
  });
});

describe.each(WAYS)('a manifest by digest, %s', (way, ask) => {
  const [OCI, SCHEMA2] = [MEDIA_TYPE_OF_FORM['oci-manifest'], MEDIA_TYPE_OF_FORM['docker-schema2']];
  it.each([
    [`${OCI};q=0`, 404],
    [SCHEMA2, 404],
    [`*/*, ${OCI};q=0`, 404],
    ['*/*;q=0', 404],
    [`application/json, ${OCI};q=0`, 404],
    [`${SCHEMA2};q=0`, 404],
    [OCI, 200],
    ['*/*', 200],
    ['application/json', 200],
    ['text/plain', 200],
  ])('is refused where its type has q=0 as where it is not named: %s, %i', async (accept, status) => {
    const one = await manifest('oci-manifest', `by digest ${way}`);
    const name = `messages/digest-${way}`;
    await seedTag(bucket, name, '1', [one]);
    await seedTagList(bucket, name, ['1']);
    const response = await ask(`/v2/${name}/manifests/${one.digest}`, { headers: { accept } });
    expect(response.status).toBe(status);
    if (status === 200) return;
    const { message, detail } = await errorOf(response);
    expect(detail.reason).toBe('form-not-published');
    expect(message).toContain(`The manifest ${one.digest}`);
    expect(message).not.toMatch(/\btag\b/);
  });
});
