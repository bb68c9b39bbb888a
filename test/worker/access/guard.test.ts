import { describe, expect, it } from 'vitest';
import { parseRepositoryName } from '../../../src/registry/name.ts';
import { toBase64Url } from '../../../src/registry/base64.ts';
import { robotTokenText } from '../../../src/registry/robot-token.ts';
import type { AccessFacts } from '../../../src/worker/access/authorize.ts';
import type { Resource } from '../../../src/worker/access/decision.ts';
import { type Grant, guard, privately } from '../../../src/worker/access/guard.ts';
import { GUEST_TOKEN } from '../../../src/worker/access/identify.ts';
import { parseAccess } from '../../../src/worker/access/policy.ts';

const TOKEN = robotTokenText(new Uint8Array(32).fill(1));
const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(TOKEN)));
const policy = parseAccess({
  realms: [
    { pattern: 'team-a/*', realm: 'team-a' },
    { pattern: 'team-b/*', realm: 'team-b' },
  ],
  tokens: { TOKENS: `ci team-a never sha256:${toBase64Url(digest)}` },
});
const facts = (authorization: string | null): AccessFacts => ({
  origin: 'https://r.example',
  authorization,
  certificate: null,
  address: '192.0.2.1',
  page: false,
});
const of = (text: string): Resource => ({ kind: 'repository', name: parseRepositoryName(text) ?? expect.fail() });
const PUBLIC = {
  'cache-control': 'public, max-age=60, stale-if-error=300',
  'cloudflare-cdn-cache-control': 'max-age=300',
  'cache-tag': 'x',
};

async function ask(authorization: string | null, resource: Resource): Promise<{ response: Response; grants: Grant[] }> {
  const grants: Grant[] = [];
  const response = await guard(facts(authorization), resource, {
    policy,
    limiter: null,
    answer: (grant) => {
      grants.push(grant);
      return Promise.resolve(
        new Response(grant.hidden ? 'nothing here' : grant.realm, {
          status: grant.hidden ? 404 : 200,
          headers: PUBLIC,
        }),
      );
    },
    refuse: (reason, headers) => new Response(reason, { status: reason === 'unauthorized' ? 401 : 503, headers }),
  });
  return { response, grants };
}

describe('the guard', () => {
  it('lets what is public pass untouched, to those without credentials', async () => {
    for (const authorization of [null, 'Basic Og==', `Bearer ${GUEST_TOKEN}`]) {
      const { response } = await ask(authorization, of('library/x'));
      expect(response.headers.get('cache-control')).toBe(PUBLIC['cache-control']);
      expect(response.headers.get('cache-tag')).toBe('x');
    }
  });

  it('asks nothing of the store before it knows who is there', async () => {
    const { response, grants } = await ask(null, of('team-a/x'));
    expect(response.status).toBe(401);
    expect(grants).toEqual([]);
  });

  it('gives what is protected for one client’s own cache alone', async () => {
    const { response, grants } = await ask(`Bearer ${TOKEN}`, of('team-a/x'));
    expect(grants).toMatchObject([{ realm: 'team-a', hidden: false }]);
    expect(Object.fromEntries(response.headers)).toEqual({
      'cache-control': 'private, max-age=60, stale-if-error=300',
      'content-type': 'text/plain;charset=UTF-8',
    });
  });

  it('has what is hidden answered over nothing, with nobody’s name, and headers like any other answer to this caller', async () => {
    const hidden = await ask(`Bearer ${TOKEN}`, of('team-b/x'));
    expect(hidden.grants).toMatchObject([{ realm: 'team-b', hidden: true, caller: { standing: 'nobody' } }]);
    const other = await ask(`Bearer ${TOKEN}`, of('library/x'));
    expect([...hidden.response.headers]).toEqual([...other.response.headers]);
  });

  it('tells caches that lists depend on who asks', async () => {
    const anybody = await ask(null, { kind: 'listing' });
    expect(anybody.response.headers.get('vary')).toBe('Authorization');
    expect(anybody.response.headers.get('cache-control')).toMatch(/^public/);
    const known = await ask(`Bearer ${TOKEN}`, { kind: 'listing' });
    expect(known.response.headers.get('cache-control')).toMatch(/^private/);
    expect(known.grants[0]?.caller.realms.has([...policy.protectedRealms][0] ?? expect.fail())).toBe(true);
  });
});

describe('an answer made private', () => {
  it.each([
    ['public, max-age=31536000, immutable', 'private, max-age=31536000, immutable'],
    ['public,max-age=60,s-maxage=600,stale-while-revalidate=30', 'private, max-age=60, stale-while-revalidate=30'],
    ['max-age=5', 'private, max-age=5'],
    ['private="x", max-age=5', 'private, max-age=5'],
    ['Public', 'private, no-store'],
    ['no-store', 'private, no-store'],
    ['', 'private, no-store'],
    [null, 'private, no-store'],
  ])('%s: %s', (given, expected) => {
    expect(privately(given)).toBe(expected);
  });
});
