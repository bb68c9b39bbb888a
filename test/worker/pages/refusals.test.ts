/** Refusals for people with a browser, and the same for clients, byte for byte. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { errorBody, type Reason } from '../../../src/registry/errors.ts';
import { directEdge } from '../edge.ts';
import { manifest, seedTag, seedTagList } from '../seed.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const CHROME = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';
const PROTECTED = {
  REALMS: [{ pattern: 'secret/*', realm: 'secret' }],
  TOKENS: `ci secret never sha256:${'A'.repeat(43)}`,
};

async function seedHere(): Promise<void> {
  await seedTag(bucket, 'here/app', '1', [await manifest('oci-manifest', 'here')]);
  await seedTagList(bucket, 'here/app', ['1']);
}

// The first page imports the code of all that are below /r/.
beforeAll(async () => {
  await (await directEdge(bucket)('/r/none')).text();
}, 60_000);

describe('a person with a browser', () => {
  it.each([
    ['/foo/bar', 404, '/r/foo/bar'],
    ['/foo/bar/', 404, '/r/foo/bar'],
    ['/foo/bar:1.2', 404, '/r/foo/bar:1.2'],
    ['/r/here/app:none', 404, '/r/here/app'],
  ])('who opens %s gets a page with status %i and a link to %s', async (path, status, link) => {
    await seedHere();
    const response = await directEdge(bucket, { vars: PROTECTED })(path, { headers: { accept: CHROME } });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const text = await response.text();
    expect(text).toContain(`<a href="${link}">`);
    expect(new TextEncoder().encode(text).length).toBe(Number(response.headers.get('content-length')));
  });

  it('gets it whatever the browser, and no cache stores it beside the JSON', async () => {
    const ask = directEdge(bucket);
    for (const accept of [CHROME, 'text/html', 'TEXT/HTML', 'text/html, text/plain, */*;q=0.01']) {
      const { headers } = await ask('/foo/bar', { headers: { accept } });
      const head = await ask('/foo/bar', { method: 'HEAD', headers: { accept } });
      for (const name of ['content-type', 'cache-control', 'vary', 'content-security-policy', 'referrer-policy'])
        expect([name, head.headers.get(name)]).toEqual([name, headers.get(name)]);
      expect(headers.get('content-type')).toContain('text/html');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('vary')).toContain('Accept');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-request-id')).not.toBeNull();
    }
  });

  it('keeps the challenge of a protected repository, and learns nothing of what it holds', async () => {
    await seedTag(bucket, 'secret/app', '1', [await manifest('oci-manifest', 'secret')]);
    const ask = directEdge(bucket, { vars: PROTECTED });
    const pages = await Promise.all(
      ['secret/app', 'secret/nil'].map(async (name) => {
        const response = await ask(`/r/${name}:1`, { headers: { accept: CHROME } });
        expect(response.headers.get('www-authenticate')).toMatch(/^(?:Bearer|Basic) /);
        return (await response.text()).replaceAll(name, 'NAME');
      }),
    );
    expect(pages[0]).toBe(pages[1]);
  });

  it('reads the real host in the advice to log in', async () => {
    const response = await directEdge(bucket, { vars: PROTECTED })('/r/secret/app');
    const text = await response.text();
    expect(response.status).toBe(401);
    expect(text).toContain('<code>docker login registry.example</code>');
    expect(text).not.toContain('HOST');
  });

  it('cannot be sent to a page that a path makes up', async () => {
    const ask = directEdge(bucket);
    for (const path of [
      '/%3Cscript%3E',
      '/foo/%22onclick=x',
      '//evil.example/x',
      '/%zz',
      '/v2/%zz/manifests/1',
      '/FOO',
    ]) {
      const response = await ask(path, { headers: { accept: CHROME } });
      const links = Array.from((await response.text()).matchAll(/<a [^>]*href="([^"]*)"/g), ([, href = '']) => href);
      expect(links.filter((href) => !/^(?:#|\/(?!\/))/.test(href))).toEqual([]);
    }
  });
});

describe('a registry client', () => {
  const ACCEPTS = [
    undefined,
    '*/*',
    'application/vnd.oci.image.manifest.v1+json, */*',
    'application/json',
    // HttpURLConnection of Java, before and since version 21.
    'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2',
    'text/html, image/gif, image/jpeg, */*; q=0.2',
    'text/html;q=0, */*',
  ];

  it.each<[string, Reason, object]>([
    ['/foo/bar', 'endpoint-unknown', {}],
    ['/v2/here/app/blobs/sha256:1', 'digest-invalid', {}],
  ])('gets the same JSON as before at %s, whatever it accepts', async (path, reason) => {
    const ask = directEdge(bucket);
    const [first, ...others] = await Promise.all(
      ACCEPTS.map(async (accept) => {
        const response = await ask(path, { headers: accept === undefined ? {} : { accept } });
        expect(response.headers.get('content-type')).toBe('application/json');
        return response.text();
      }),
    );
    expect(new Set([first, ...others]).size).toBe(1);
    if (reason === 'endpoint-unknown') expect(first).toBe(errorBody(reason, { origin: 'https://registry.example' }));
  });

  it.each([
    ['/v2/here/app/manifests/none', 'MANIFEST_UNKNOWN'],
    ['/v2/none/app/tags/list', 'NAME_UNKNOWN'],
    ['/v2/secret/app/manifests/1', 'UNAUTHORIZED'],
  ])('gets JSON from the API at %s, even if it accepts HTML', async (path, code) => {
    await seedHere();
    const ask = directEdge(bucket, { vars: PROTECTED });
    const [html, any] = await Promise.all([CHROME, '*/*'].map((accept) => ask(path, { headers: { accept } })));
    const text = await html?.text();
    expect(text).toBe(await any?.text());
    expect(JSON.parse(text ?? '')).toMatchObject({ errors: [{ code }] });
  });

  it('gets manifests and misses as before, even if it accepts HTML too', async () => {
    await seedHere();
    const ask = directEdge(bucket);
    const found = await ask('/v2/here/app/manifests/1', { headers: { accept: CHROME } });
    expect(found.status).toBe(200);
    expect(found.headers.get('content-type')).toContain('manifest');
    const miss = await ask('/v2/here/app/manifests/none', { headers: { accept: '*/*' } });
    expect(await miss.json()).toMatchObject({ errors: [{ code: 'MANIFEST_UNKNOWN' }] });
    const head = await ask('/v2/here/app/manifests/none', { method: 'HEAD', headers: { accept: CHROME } });
    expect([head.status, await head.text()]).toEqual([404, '']);
  });
});
