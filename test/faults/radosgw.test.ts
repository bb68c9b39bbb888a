/** What Ceph's gateway does with conditions, on which all writing beside others rests: the table of `radosgw.ts`. */
import { randomUUID } from 'node:crypto';
import { AwsClient } from 'aws4fetch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingPrograms, titleWith } from '../interop/programs.ts';
import { type Radosgw, RADOSGW_PROGRAMS, startRadosgw } from './radosgw.ts';

const missing = missingPrograms(...RADOSGW_PROGRAMS);

describe.skipIf(missing.length > 0)(titleWith('Ceph RGW', missing), () => {
  let gateway: Radosgw;
  let signer: AwsClient;

  beforeAll(async () => {
    gateway = await startRadosgw();
    signer = new AwsClient({ ...gateway, service: 's3', region: 'us-east-1', retries: 0 });
  }, 60_000);
  afterAll(() => gateway.close());

  async function ask(
    method: string,
    key: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Promise<number> {
    const answer = await signer.fetch(`${gateway.endpoint}/${gateway.bucket}/${key}`, {
      method,
      headers,
      ...(body !== undefined && { body }),
    });
    await answer.arrayBuffer();
    return answer.status;
  }

  async function put(body: string): Promise<{ readonly key: string; readonly etag: string }> {
    const key = randomUUID();
    const answer = await signer.fetch(`${gateway.endpoint}/${gateway.bucket}/${key}`, { method: 'PUT', body });
    return { key, etag: (answer.headers.get('etag') ?? '').replaceAll('"', '') };
  }

  it('creates only where nothing is', async () => {
    const { key } = await put('one');
    expect(await ask('PUT', key, { 'if-none-match': '*' }, 'two')).toBe(412);
    expect(await ask('PUT', randomUUID(), { 'if-none-match': '*' }, 'two')).toBe(200);
  });

  it('takes an entity tag in If-Match of a PUT without quotes alone, and of a GET either way', async () => {
    const { key, etag } = await put('one');
    expect(await ask('PUT', key, { 'if-match': `"${etag}"` }, 'two')).toBe(412);
    expect(await ask('GET', key, { 'if-match': `"${etag}"` })).toBe(200);
    expect(await ask('GET', key, { 'if-match': etag })).toBe(200);
    expect(await ask('PUT', key, { 'if-match': etag }, 'two')).toBe(200);
    expect(await ask('PUT', key, { 'if-match': etag }, 'three')).toBe(412);
    expect(await ask('GET', key, { 'if-match': `"${etag}"` })).toBe(412);
  });

  it.each(['absent', 'etag'])('lets one of many conditional writes at once through: %s', async (over) => {
    const { key, etag } = over === 'etag' ? await put('one') : { key: randomUUID(), etag: '' };
    const condition: Record<string, string> = over === 'etag' ? { 'if-match': etag } : { 'if-none-match': '*' };
    const statuses = await Promise.all(
      Array.from({ length: 20 }, (_, index) => ask('PUT', key, condition, `writer ${String(index)}`)),
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    // The losers of a race for one version may hear 500: sent again, they hear 412.
    expect(statuses.filter((status) => ![200, 412, 500].includes(status))).toEqual([]);
    expect(await ask('PUT', key, condition, 'again')).toBe(412);
  });

  it('deletes whatever If-Match says', async () => {
    const { key } = await put('one');
    expect(await ask('DELETE', key, { 'if-match': '"00"' })).toBe(204);
    expect(await ask('HEAD', key)).toBe(404);
  });
});
