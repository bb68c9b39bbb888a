/** Which line of the endpoint table answers a path. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { directEdge, errorOf } from './edge.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };
const edge = directEdge(bucket);

/** The reason and detail of a refusal. */
async function refusal(path: string, init?: RequestInit): Promise<Record<string, unknown>> {
  return (await errorOf(await edge(path, init))).detail;
}

describe('the endpoint table', () => {
  it('takes a repository name of several segments', async () => {
    expect(await refusal('/v2/a/b/c/manifests/latest')).toMatchObject({ name: 'a/b/c' });
  });

  it('ends a repository name at the last place where it can end', async () => {
    expect(await refusal('/v2/a/manifests/b/manifests/c')).toMatchObject({ name: 'a/manifests/b' });
    expect(await refusal(`/v2/a/manifests/b/blobs/sha256:${'0'.repeat(64)}`)).toMatchObject({ name: 'a/manifests/b' });
  });

  it.each(['/v2//manifests/latest', '/v2/a/manifests', '/help/a/b', '/v2x', '/healthz/a', '/v2/_catalog/a'])(
    'has no line for %s',
    async (path) => {
      expect(await refusal(path)).toMatchObject({ reason: 'endpoint-unknown' });
    },
  );

  it.each(['/v2', '/healthz', '/help', '/v2/_catalog'])('ignores a slash at the end of %s', async (path) => {
    const [without, with_] = [await edge(path), await edge(`${path}/`)];
    expect(with_.status).toBe(without.status);
    expect(await with_.text()).toBe(await without.text());
  });

  it('takes the first of several matching lines', async () => {
    // Without PURGE_TOKEN nobody may purge.
    expect(await refusal('/-/purge', { method: 'POST' })).toMatchObject({ reason: 'endpoint-unknown' });
    expect(await refusal('/-/purge')).toMatchObject({ reason: 'method-not-allowed' });
  });
});
