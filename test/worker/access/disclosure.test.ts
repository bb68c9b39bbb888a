/** What headers must not tell, and what they must not be made to say. */
import { env } from 'cloudflare:workers';
import { createExecutionContext } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseChallenges } from '../../../src/http/challenge.ts';
import { toBase64Url } from '../../../src/registry/base64.ts';
import { robotTokenText } from '../../../src/registry/robot-token.ts';
import { parseAccess } from '../../../src/worker/access/policy.ts';
import { challengeOf } from '../../../src/worker/access/challenge.ts';
import { directPort } from '../../../src/worker/gateway/registry-port.ts';
import { configOf, serve } from '../../../src/worker/serve.ts';
import { type Ask, comparable, directEdge } from '../edge.ts';
import { titleOf } from '../../attacks.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };
const ROBOT = robotTokenText(new Uint8Array(32).fill(9));
const REALMS = [
  { pattern: 'team-a/*', realm: 'team-a' },
  { pattern: 'team-b/*', realm: 'team-b' },
];
const DIGEST = `sha256:${'0'.repeat(64)}`;
let edge: Ask;
let authorization: string;

beforeAll(async () => {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(ROBOT)));
  authorization = `Basic ${btoa(`ci:${ROBOT}`)}`;
  edge = directEdge(bucket, { vars: { REALMS, TOKENS: `ci team-a never sha256:${toBase64Url(hash)}` } });
});

describe(titleOf('hidden-repository-detected'), () => {
  it.each(['manifests/latest', `manifests/${DIGEST}`, `blobs/${DIGEST}`, 'tags/list'])(
    'has the same headers as one that does not exist: %s',
    async (path) => {
      const of = async (name: string): Promise<[string, string][]> => {
        const response = await edge(`/v2/${name}/${path}`, { headers: { authorization } });
        expect(response.status).toBe(404);
        // Not `comparable`: Server-Timing must not tell either.
        return [...response.headers].filter(([header]) => header !== 'x-request-id' && header !== 'content-length');
      };
      expect(await of('team-b/x')).toEqual(await of('missing/x'));
    },
  );
});

describe('a Host header', () => {
  it(titleOf('challenge-injected'), () => {
    const policy = parseAccess({ realms: REALMS });
    const origin = 'https://a",scope="x\\';
    for (const page of [true, false]) {
      const [challenge, ...more] = parseChallenges(
        challengeOf({ ...policy, service: 'a",x="\\' }, { origin, scope: null, refused: false, page }),
      );
      expect(more).toEqual([]);
      expect(challenge?.params.has('scope')).toBe(false);
      expect(challenge?.params.get(page ? 'realm' : 'service')).toBe('a",x="\\');
      if (!page) expect(challenge?.params.get('realm')).toBe(`${origin}/token`);
    }
  });

  it(titleOf('host-invalid'), async () => {
    const request = new Request('https://registry.example/v2/');
    // workerd gives such a URL for a request with two Host headers; no Request can be made of it here.
    Object.defineProperty(request, 'url', { value: 'http://a.example, b.example/v2/' });
    const ctx = createExecutionContext();
    const settings = { BUCKET: bucket, REALMS, LOG: 'failures' };
    const response = await serve(
      request,
      () => configOf(settings),
      (config) => directPort(config, ctx),
      ctx,
    );
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ errors: [{ detail: { reason: 'host-invalid' } }] });
  });
});

describe('headers of every response', () => {
  it.each(['/v2/', '/token', '/v2/x/manifests/latest', `/v2/x/blobs/${DIGEST}`, '/healthz', '/nothing', '/help', '/'])(
    `${titleOf('type-guessed')}: %s`,
    async (path) => {
      expect((await edge(path)).headers.get('x-content-type-options')).toBe('nosniff');
    },
  );

  it('say that browsers use https only, where PUBLIC_URL has it', async () => {
    const hsts = async (PUBLIC_URL: string): Promise<string | null> =>
      (await directEdge(bucket, { vars: { PUBLIC_URL } })('/v2/')).headers.get('strict-transport-security');
    expect(await hsts('https://registry.example')).toBe('max-age=31536000');
    expect(await hsts('http://127.0.0.1:5000')).toBeNull();
  });
});

it.each(['/help', '/help/name-unknown', '/help/nothing'])(`${titleOf('help-cached')}: %s`, async (path) => {
  const [without, with_] = [await edge(path), await edge(path, { headers: { authorization } })];
  expect(with_.headers.get('cache-control')).toMatch(/^private/);
  expect(without.headers.get('cache-control')).not.toMatch(/private/);
  const others = (response: Response): unknown => comparable(response).filter(([name]) => name !== 'cache-control');
  expect(others(with_)).toEqual(others(without));
});
