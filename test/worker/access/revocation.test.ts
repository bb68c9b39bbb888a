/**
 * How long credentials open anything after they were removed, or after their end. The clock is moved, not waited for.
 */
import { env } from 'cloudflare:workers';
import { exportPKCS8, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey } from 'jose';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { toBase64Url } from '../../../src/registry/base64.ts';
import { robotTokenText } from '../../../src/registry/robot-token.ts';
import { type Config, readConfig } from '../../../src/worker/config.ts';
import { type Ask, directEdge } from '../edge.ts';
import { titleOf } from '../../attacks.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };
const NOW = new Date('2026-11-24T12:00:00Z');
const SECOND = 1000;
const ROBOT = robotTokenText(new Uint8Array(32).fill(7));
const NAME = 'team-a/x';
const SCOPE = `/token?service=registry.example&scope=repository:${NAME}:pull`;

let vars: { PUBLIC_URL: string; REALMS: object; ACCESS: object; TOKEN_SIGNING_KEY: string };
let robotLine: string;
let issuerKey: CryptoKey;

beforeAll(async () => {
  const [own, issuer] = await Promise.all([
    generateKeyPair('ES256', { extractable: true }),
    generateKeyPair('ES256', { extractable: true }),
  ]);
  issuerKey = issuer.privateKey;
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(ROBOT)));
  robotLine = `ci team-a never sha256:${toBase64Url(hash)}`;
  vars = {
    PUBLIC_URL: 'https://registry.example',
    REALMS: [{ pattern: 'team-a/*', realm: 'team-a' }],
    ACCESS: {
      issuers: {
        auth: { issuer: 'https://auth.example', audience: 'registry.example', pem: await exportSPKI(issuer.publicKey) },
      },
      realms: { 'team-a': { issuers: ['auth'] } },
    },
    TOKEN_SIGNING_KEY: await exportPKCS8(own.privateKey),
  };
});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
});

const after = (seconds: number): void => void vi.setSystemTime(NOW.getTime() + seconds * SECOND);
const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });
const withRobot = (): Ask => directEdge(bucket, { vars: { ...vars, TOKENS: robotLine } });
const withoutRobot = (): Ask => directEdge(bucket, { vars });
const issue = async (edge: Ask, init: RequestInit): Promise<{ token: string; expires_in: number }> =>
  (await edge(SCOPE, init)).json();
/** 404: allowed, and there is no such tag. 401: not allowed. */
const pull = async (edge: Ask, token: string): Promise<number> =>
  (await edge(`/v2/${NAME}/manifests/latest`, bearer(token))).status;
const issued = (seconds: number): Promise<string> =>
  new SignJWT({ access: [{ type: 'repository', name: NAME, actions: ['pull'] }] })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer('https://auth.example')
    .setAudience('registry.example')
    .setExpirationTime(Math.floor(NOW.getTime() / SECOND) + seconds)
    .sign(issuerKey);

describe('a robot token that was removed', () => {
  it(titleOf('token-renews-itself'), async () => {
    const { token } = await issue(withRobot(), { headers: { authorization: `Basic ${btoa(`ci:${ROBOT}`)}` } });
    const edge = withoutRobot();
    expect(await pull(edge, token)).toBe(404);
    const kept = [token];
    for (let seconds = 0; seconds <= 600; seconds += 50) {
      after(seconds);
      for (const one of [...kept]) {
        const renewed = await edge(SCOPE, bearer(one));
        expect(renewed.status).toBe(401);
        if (renewed.ok) kept.push((await renewed.json<{ token: string }>()).token);
      }
      if (seconds > 300) for (const one of kept) expect(await pull(edge, one)).toBe(401);
    }
  });
});

describe('a token of another issuer', () => {
  it(titleOf('issuer-token-prolonged'), async () => {
    const theirs = await issued(100);
    after(70);
    const edge = withoutRobot();
    const ours = await issue(edge, bearer(theirs));
    expect(ours.expires_in).toBe(30);
    for (const [seconds, status] of [
      [159, 404],
      [161, 401],
    ] as const) {
      after(seconds);
      expect([await pull(edge, theirs), await pull(edge, ours.token)]).toEqual([status, status]);
    }
  });

  it(titleOf('expired-token-exchanged'), async () => {
    const edge = withoutRobot();
    const theirs = await issued(100);
    for (const [seconds, status] of [
      [99, 200],
      [100, 401],
      [130, 401],
    ] as const) {
      after(seconds);
      expect((await edge(SCOPE, bearer(theirs))).status).toBe(status);
      expect(await pull(edge, theirs)).toBe(404);
    }
  });
});

it(titleOf('audience-by-host'), () => {
  const { PUBLIC_URL, ...without } = vars;
  const read = (more: object): Config => readConfig({ BUCKET: bucket, ...without, ...more });
  expect(() => read({})).toThrow(/PUBLIC_URL/);
  expect(read({ PUBLIC_URL }).publicUrl).toBe(PUBLIC_URL);
  expect(read({ ACCESS: { ...vars.ACCESS, service: 'registry.example' } }).publicUrl).toBeNull();
});
