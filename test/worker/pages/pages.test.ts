/** Pages through the Worker: what they cost, who may see what, and that nothing of an image becomes markup. */
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { signPayload } from '../../../src/manifest/signing/jws.ts';
import { keyFromRandom } from '../../../src/manifest/signing/key.ts';
import { REASONS, type Reason, reasonRow } from '../../../src/registry/errors.ts';
import { helpOf } from '../../../src/registry/help.ts';
import { blobKey, CATALOG_KEY, tagKey } from '../../../src/registry/keys.ts';
import { PUBLIC_REALM } from '../../../src/registry/realms.ts';
import { toBase64Url } from '../../../src/registry/base64.ts';
import { robotTokenText } from '../../../src/registry/robot-token.ts';
import type { TagSummary } from '../../../src/registry/summary.ts';
import { watched } from '../buckets.ts';
import { directEdge } from '../edge.ts';
import { bytesOf, hash, manifest, nameOf, seedCatalog, seedTag, seedTagList, tagOf, UPDATED } from '../seed.ts';
import { seedImage } from './images.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;

const TOKEN = robotTokenText(new Uint8Array(32).fill(7));
const TOKENS = `ci secret never sha256:${toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(TOKEN))))}`;
const PROTECTED = { REALMS: [{ pattern: 'secret/*', realm: 'secret' }], TOKENS };
const WITH_TOKEN = { headers: { authorization: `Basic ${btoa(`x:${TOKEN}`)}` } };

const SUMMARY: TagSummary = {
  updated: UPDATED,
  size: 1_400_000,
  platforms: ['linux/amd64'],
  published: ['oci-manifest'],
  derived: ['docker-schema2'],
  missing: [{ form: 'docker-schema1', reason: 'schema1-zstd-layers' }],
};

const HISTORY = [
  { created_by: 'ADD rootfs.tar /' },
  { created_by: 'ENV A=b', empty_layer: true },
  { created_by: 'COPY app /app' },
];

describe('pages', () => {
  it('cost two reads at most, however long the lists are', async () => {
    const names = Array.from({ length: 100_000 }, (_, index) => `many/repository-${String(index).padStart(6, '0')}`);
    await seedCatalog(bucket, [...names, 'many/app']);
    await seedTagList(
      bucket,
      'many/app',
      Array.from({ length: 30_000 }, (_, index) => ({ name: `v${String(index).padStart(6, '0')}`, detail: SUMMARY })),
    );
    const image = await seedImage(bucket, { architecture: 'amd64', os: 'linux', history: HISTORY });
    await seedTag(bucket, 'many/app', 'v000000', [image]);
    const { bucket: counted, operations } = watched(bucket);
    const ask = directEdge(counted);
    const costs: Record<string, number> = {};
    for (const path of [
      '/',
      '/?q=99999',
      '/?after=many/repository-050000',
      '/r/many/app',
      '/r/many/app?q=29999',
      '/r/many/app?after=v015000',
      '/r/many/app:v000000',
      '/r/many/app:none',
      '/r/none',
      '/help',
      '/help/tag-unknown',
    ]) {
      const before = operations.head + operations.get;
      const response = await ask(path);
      await response.text();
      costs[path] = operations.head + operations.get - before;
    }
    expect(costs).toEqual({
      '/': 1,
      '/?q=99999': 2,
      '/?after=many/repository-050000': 2,
      '/r/many/app': 1,
      '/r/many/app?q=29999': 2,
      '/r/many/app?after=v015000': 2,
      '/r/many/app:v000000': 2,
      '/r/many/app:none': 2,
      '/r/none': 1,
      '/help': 0,
      '/help/tag-unknown': 0,
    });
    expect(operations.other).toEqual([]);
    expect(await (await ask('/?q=099999')).text()).toContain('href="/r/many/repository-099999"');
    expect(await (await ask('/r/many/app?q=29999')).text()).toContain('href="/r/many/app:v029999"');
  }, 60_000);

  it('lead through a whole list, page by page, without leaving out or repeating any', async () => {
    const tags = Array.from({ length: 1_234 }, (_, index) => `t${String(index).padStart(5, '0')}`);
    await seedTagList(
      bucket,
      'walk/app',
      tags.map((name) => ({ name, detail: SUMMARY })),
    );
    const ask = directEdge(bucket);
    const seen: string[] = [];
    let path: string | undefined = '/r/walk/app?sort=name';
    while (path !== undefined) {
      const text: string = await (await ask(path)).text();
      seen.push(...Array.from(text.matchAll(/href="\/r\/walk\/app:(t\d+)"/g), ([, tag = '']) => tag));
      path = /<a href="([^"]+)" rel="next">/.exec(text)?.[1]?.replaceAll('&amp;', '&');
    }
    expect(seen).toEqual(tags);
  });

  it('show of a tag its forms, layers by size, history, and who gets what', async () => {
    const image = await seedImage(bucket, {
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['/app'], Labels: { maintainer: 'somebody' } },
      history: HISTORY,
    });
    const schema2 = await manifest('docker-schema2', 'derived', { derived: true });
    await seedTag(
      bucket,
      'shown/app',
      '1',
      [image, schema2],
      [{ form: 'docker-schema1', reason: 'schema1-zstd-layers' }],
    );
    const text = await (await directEdge(bucket)('/r/shown/app:1')).text();
    for (const part of [
      image.digest,
      schema2.digest,
      'ADD rootfs.tar /',
      'ENV A=b',
      'COPY app /app',
      '750 B (75 %)',
      'maintainer',
      'linux/amd64',
    ]) {
      expect(text).toContain(part);
    }
    expect(text).toContain('docker pull registry.example/shown/app:1');
    expect(text).toContain(`href="/help/schema1-zstd-layers"`);
    expect(text).toMatch(/Docker 1\.9<\/a><\/th><td>404: <a href="\/help\/schema1-zstd-layers">/);
  });

  it('show which clients refuse the name, the form or the layers of what they get', async () => {
    await seedTag(bucket, 'deep/er/app', '1', [
      await manifest('oci-manifest', 'packed', { zstd: true }),
      await manifest('docker-schema1', 'packed', { derived: true }),
    ]);
    const text = await (await directEdge(bucket)('/r/deep/er/app:1')).text();
    const rowOf = (title: string): string => text.split('<tr>').find((row) => row.includes(`>${title}</a>`)) ?? '';
    expect(rowOf('Docker 1.7')).toContain('✗ Docker before 1.8 refuses names of more than two components.');
    expect(rowOf('Docker 1.8')).not.toContain('✗');
    expect(rowOf('Docker 20.10')).toContain('Docker schema 1');
    expect(rowOf('containerd 2.0–2.2 (Docker 28–29 on it)')).not.toContain('✗');
  });

  it('show which clients crash on a published schema 1 with an empty name', async () => {
    const key = keyFromRandom(new Uint8Array(32).fill(7));
    if (key === null) throw new Error('no key');
    const payload = bytesOf(JSON.stringify({ schemaVersion: 1, name: '', tag: '1', fsLayers: [], history: [] }));
    const bytes = signPayload(key, payload, '2026-01-01T00:00:00Z');
    await seedTag(bucket, 'no/name', '1', [{ form: 'docker-schema1', bytes, digest: await hash(payload) }]);
    const ask = directEdge(bucket);
    const crashes = 'It crashes on a schema 1 with an empty name.';
    expect((await (await ask('/r/no/name:1')).text()).split(crashes)).toHaveLength(3);
    expect(await (await ask('/r/no/name:1?client=docker-1.6')).text()).toMatch(
      /<div class="answer".*It crashes on a schema 1 with an empty name\./s,
    );
  });

  it.each([
    ['client=docker-1.9', {}, /^docker\/1\.9/],
    [
      'headers=Accept%3A+application%2Fvnd.docker.distribution.manifest.v2%2Bjson',
      { accept: 'application/vnd.docker.distribution.manifest.v2+json' },
      null,
    ],
    ['headers=%3E+accept%3A+*%2F*%0D%0AUser-Agent%3A+curl', { accept: '*/*' }, null],
  ])('say for %s what the registry then answers', async (query, headers: Record<string, string>, userAgent) => {
    const forms = [
      await manifest('oci-manifest', 'asked'),
      await manifest('docker-schema2', 'asked', { derived: true }),
      await manifest('docker-schema1', 'asked', { derived: true }),
    ];
    await seedTag(bucket, 'asked/app', '1', forms);
    const ask = directEdge(bucket);
    const page = await (await ask(`/r/asked/app:1?${query}`)).text();
    const answer = await ask('/v2/asked/app/manifests/1', {
      headers: { ...headers, ...(userAgent && { 'user-agent': 'docker/1.9.1 go/go1.4.3 os/linux arch/amd64' }) },
    });
    expect(answer.status).toBe(200);
    expect(/<div class="answer".*?<\/div>/s.exec(page)?.[0]).toContain(
      answer.headers.get('docker-content-digest') ?? 'none',
    );
  });

  it('let nothing of an image become markup', async () => {
    const hostile = '</pre><script>alert(1)</script>"\'><img src=x onerror=alert(1)>\u202e\u0000';
    const image = await seedImage(bucket, {
      architecture: hostile,
      os: hostile,
      author: hostile,
      created: hostile,
      config: {
        Cmd: [hostile],
        Env: [hostile],
        User: hostile,
        WorkingDir: hostile,
        ExposedPorts: { [hostile]: {} },
        Labels: { [hostile]: hostile },
      },
      history: [{ created_by: hostile, comment: hostile }, { created_by: hostile }],
    });
    await seedTag(bucket, 'hostile/app', '1', [image]);
    await seedTagList(bucket, 'hostile/app', [
      { name: '1', detail: { ...SUMMARY, updated: hostile, platforms: [hostile] } },
    ]);
    const ask = directEdge(bucket);
    for (const path of [
      '/r/hostile/app:1',
      '/r/hostile/app',
      `/?q=${encodeURIComponent(hostile)}`,
      `/r/hostile/app:1?headers=${encodeURIComponent(hostile)}`,
      `/r/hostile/app?q=${encodeURIComponent(hostile)}&after=${encodeURIComponent(hostile)}`,
    ]) {
      const text = await (await ask(path)).text();
      expect(text).toContain('&lt;script&gt;');
      // Values of attributes may say anything: their quotes and brackets are escaped.
      const own = text.replace(/<script>(?:(?!<).)*<\/script><\/body>/, '');
      expect(own.replace(/="[^"<>]*"/g, '')).not.toMatch(/<script|<img|<[^>]+\son\w+=/i);
      expect(text).not.toMatch(/[\u202e\u0000]/);
    }
  });

  it('carry a policy that allows their own style sheet and script by hashes, and nothing else', async () => {
    const response = await directEdge(bucket)('/help');
    const policy = response.headers.get('content-security-policy') ?? '';
    const text = await response.text();
    const hashOf = async (element: string): Promise<string> => {
      const content = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(text)?.[1] ?? '';
      return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', bytesOf(content)))));
    };
    expect(policy).toBe(
      `default-src 'none'; style-src 'sha256-${await hashOf('style')}'; script-src 'sha256-${await hashOf('script')}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    );
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
  });

  it('have no style attribute and no handler, which the policy would refuse', async () => {
    await seedTagList(bucket, 'plain/app', [{ name: '1', detail: SUMMARY }]);
    const ask = directEdge(bucket);
    for (const path of ['/', '/help', '/help/tag-unknown', '/r/plain/app'])
      expect(await (await ask(path)).text()).not.toMatch(/<[^>]+\s(?:style|on\w+)=/);
  });

  it.each(Object.keys(REASONS) as Reason[])('tell of the reason %s what the table says', async (reason) => {
    const response = await directEdge(bucket)(`/help/${reason}`);
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toContain(`<h1>${helpOf(reason).title}</h1>`);
    expect(text).toContain(reasonRow(reason).codes.join(', '));
  });

  it('answer HEAD with the headers of GET and no body', async () => {
    await seedTagList(bucket, 'head/app', [{ name: '1', detail: SUMMARY }]);
    const ask = directEdge(bucket);
    for (const path of ['/help', '/r/none', '/r/head/app']) {
      const [get, head] = [await ask(path), await ask(path, { method: 'HEAD' })];
      expect(head.status).toBe(get.status);
      expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'));
      expect(head.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect((await head.arrayBuffer()).byteLength).toBe(0);
    }
  });

  it('are refusals with their own status: what is not there, what is damaged, what could not be found out', async () => {
    await bucket.put(tagKey(nameOf('broken/app'), tagOf('1')), 'x', { customMetadata: { 'gantry-tag': 'not json' } });
    const failing = watched(bucket, () => Promise.reject(new Error('storage is down'))).bucket;
    const status = async (ask: ReturnType<typeof directEdge>, path: string): Promise<number> =>
      (await ask(path)).status;
    const ask = directEdge(bucket);
    expect(await status(ask, '/r/none')).toBe(404);
    expect(await status(ask, '/r/none:1')).toBe(404);
    expect(await status(ask, '/r/NONE')).toBe(404);
    expect(await status(ask, '/help/none')).toBe(404);
    expect(await status(ask, '/r/broken/app:1')).toBe(500);
    const down = directEdge(failing, { retry: { attempts: 1 } });
    expect(await status(down, '/')).toBe(503);
    expect(await status(down, '/r/broken/app:1')).toBe(503);
    expect((await down('/')).headers.get('retry-after')).not.toBeNull();
  });

  it('show an image whose config is missing or is none', async () => {
    const image = await seedImage(bucket, 'no object');
    await seedTag(bucket, 'odd/app', '1', [image]);
    expect((await directEdge(bucket)('/r/odd/app:1')).status).toBe(200);
    const { config } = JSON.parse(new TextDecoder().decode(image.bytes)) as { config: { digest: typeof image.digest } };
    await bucket.delete(blobKey(PUBLIC_REALM, config.digest));
    const text = await (await directEdge(bucket)('/r/odd/app:1')).text();
    expect(text).toContain('layer 1');
  });
});

describe('pull statistics', () => {
  const rows = [
    { day: '2026-11-27', client: 'docker before 1.10', form: 'docker-schema1', reason: '', pulls: '12' },
    { day: '2026-11-28', client: 'docker', form: 'oci-index', reason: '', pulls: '1300' },
    { day: '2026-11-28', client: 'docker before 1.10', form: '', reason: 'schema1-zstd-layers', pulls: '3' },
  ];
  /** Settings with statistics, and the SQL that pages send. */
  const switchedOn = (account: string, answer = () => Response.json({ data: rows })) => {
    const queries: string[] = [];
    const PULLS_SQL = {
      fetch: async (_url: string, init: RequestInit) => {
        queries.push(await new Response(init.body).text());
        return answer();
      },
    } as unknown as Fetcher;
    const vars = { PULLS_SQL, PULLS_DATASET: 'gantry_pulls', PULLS_ACCOUNT: account, ANALYTICS_TOKEN: 'a-token' };
    return { vars, queries };
  };

  it('are on the pages of a repository and of a tag, by client and form, at one query in minutes and no read', async () => {
    await seedTag(bucket, 'counted/app', '1', [await manifest('oci-manifest', 'counted')]);
    await seedTagList(bucket, 'counted/app', [{ name: '1', detail: SUMMARY }]);
    const { vars, queries } = switchedOn('a1');
    const counting = watched(bucket);
    const ask = directEdge(counting.bucket, { vars });
    for (const path of ['/r/counted/app', '/r/counted/app', '/r/counted/app:1']) {
      const text = await (await ask(path)).text();
      expect(text).toContain('1,312 pulls');
      expect(text).toMatch(/docker before 1\.10.*Docker schema 1.*12.*2026-11-27/s);
      expect(text).toContain('/help/schema1-zstd-layers');
    }
    expect(queries.map((sql) => sql.includes("blob2 = '1'"))).toEqual([false, true]);
    expect(queries[0]).toContain("blob1 = 'counted/app'");
    const off = watched(bucket);
    const askOff = directEdge(off.bucket);
    for (const path of ['/r/counted/app', '/r/counted/app', '/r/counted/app:1'])
      expect(await (await askOff(path)).text()).not.toContain('id="pulls"');
    expect(counting.operations).toEqual(off.operations);
  });

  it('that cannot be read leave the page as it is', async () => {
    await seedTagList(bucket, 'counted/down', [{ name: '1', detail: SUMMARY }]);
    const errors = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const { vars } = switchedOn('a2', () => new Response('no', { status: 500 }));
    const response = await directEdge(bucket, { vars })('/r/counted/down');
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('could not be read');
    expect(errors.mock.calls.map(([line]) => String(line)).join()).toContain('statistics-unavailable');
    errors.mockRestore();
  });

  it('of a protected repository are shown only to those who may read it, and asked for nobody else', async () => {
    await seedTagList(bucket, 'secret/counted', [{ name: '1', detail: SUMMARY }]);
    const { vars, queries } = switchedOn('a3');
    const ask = directEdge(bucket, { vars: { ...vars, ...PROTECTED } });
    for (const path of ['/r/secret/counted', '/r/secret/counted:1'])
      expect(await (await ask(path)).text()).not.toMatch(/1,312|id="pulls"/);
    expect(queries).toEqual([]);
    const known = await ask('/r/secret/counted', WITH_TOKEN);
    expect(await known.text()).toContain('1,312 pulls');
    expect(known.headers.get('cache-control')).toMatch(/^private/);
  });

  it('of a repository that does not exist are not asked for', async () => {
    const { vars, queries } = switchedOn('a4');
    expect((await directEdge(bucket, { vars })('/r/counted/none')).status).toBe(404);
    expect(queries).toEqual([]);
  });
});

describe('pages of what is protected', () => {
  it('are listed to those who may read it, and to nobody else', async () => {
    await seedCatalog(bucket, ['open/app', 'secret/app']);
    const ask = directEdge(bucket, { vars: PROTECTED });
    const anonymous = await ask('/');
    expect(anonymous.status).toBe(200);
    expect(anonymous.headers.get('vary')).toContain('Authorization');
    const text = await anonymous.text();
    expect(text).toContain('/r/open/app');
    expect(text).not.toContain('secret');
    // Neither does the number of all tell.
    expect(text).not.toMatch(/2 repositories/);
    const known = await ask('/', WITH_TOKEN);
    expect(await known.text()).toContain('/r/secret/app');
    expect(known.headers.get('cache-control')).toMatch(/^private/);
  });

  it('ask a browser for a password, whether there is such a repository or not', async () => {
    await seedTagList(bucket, 'secret/app', [{ name: '1', detail: SUMMARY }]);
    const ask = directEdge(bucket, { vars: PROTECTED });
    const answers = await Promise.all(['/r/secret/app', '/r/secret/none', '/r/secret/app:1'].map((path) => ask(path)));
    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Basic /);
      expect(answer.headers.get('cache-control')).toMatch(/no-store/);
    }
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    expect(new Set(texts).size).toBe(1);
    const known = await ask('/r/secret/app', WITH_TOKEN);
    expect(known.status).toBe(200);
    expect(known.headers.get('cache-control')).toMatch(/^private/);
  });

  it('look to those who may not read them like those of what does not exist', async () => {
    const other = robotTokenText(new Uint8Array(32).fill(8));
    const line = `other else never sha256:${toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(other))))}`;
    const vars = { REALMS: [...PROTECTED.REALMS, { pattern: 'else/*', realm: 'else' }], TOKENS: `${TOKENS}\n${line}` };
    const ask = directEdge(bucket, { vars });
    const init = { headers: { authorization: `Basic ${btoa(`x:${other}`)}` } };
    const [there, none] = await Promise.all(['/r/secret/app', '/r/secret/nope'].map((path) => ask(path, init)));
    expect(there?.status).toBe(404);
    expect(none?.status).toBe(404);
    expect((await there?.text())?.replaceAll('secret/app', 'N')).toBe(
      (await none?.text())?.replaceAll('secret/nope', 'N'),
    );
  });

  it('read blobs of their own realm alone', async () => {
    const image = await seedImage(bucket, {
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { note: 'of-the-public-realm' } },
    });
    await seedTag(bucket, 'secret/app', '1', [image]);
    const text = await (await directEdge(bucket, { vars: PROTECTED })('/r/secret/app:1', WITH_TOKEN)).text();
    expect(text).toContain(image.digest);
    expect(text).not.toContain('of-the-public-realm');
  });
});

describe('the front page of an empty registry', () => {
  it('says how to begin', async () => {
    await bucket.delete(CATALOG_KEY);
    expect(await (await directEdge(bucket)('/')).text()).toContain('gantry publish');
  });
});
