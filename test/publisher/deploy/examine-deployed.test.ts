/** `doctor --deployed`, against the Worker behind the stand-in for Workers Cache and a TLS server on loopback. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openProof, addressToExamine, verdictOf } from '../../../src/publisher/deploy/after-deployment.ts';
import { type CheckId, type CheckResult, CHECKS, isFault } from '../../../src/publisher/doctor/deployed/checks.ts';
import { readHead, runCurl } from '../../../src/publisher/doctor/deployed/curl.ts';
import {
  type DeployedOptions,
  examineDeployed,
  lookBeforeDeployment,
} from '../../../src/publisher/doctor/deployed/examine-deployed.ts';
import { MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { Bucket } from '../gc-bucket.ts';
import { expectDescribed } from '../../json-output.ts';
import { runGantry } from '../commands/command-line.ts';
import {
  CACHE_MAX_BYTES,
  type DeployedEdge,
  type Front,
  IMAGE,
  type Meddling,
  PURGE_TOKEN,
  startDeployedEdge,
} from './deployed-edge.ts';

let edge: DeployedEdge;

beforeAll(async () => {
  edge = await startDeployedEdge();
}, 120_000);

afterAll(() => edge.close());

beforeEach(() => edge.forget());

const OPTIONS: DeployedOptions = {
  timeoutMs: 10_000,
  insecure: true,
  image: IMAGE,
  purgeToken: PURGE_TOKEN,
  cacheLimit: CACHE_MAX_BYTES,
  patience: { tries: 3, pauseMs: 0 },
  curl: () => Promise.resolve({ kind: 'unable', why: 'no curl in this test' }),
};

async function withFront<T>(
  work: (front: Front) => Promise<T>,
  tls: Parameters<DeployedEdge['front']>[0] = {},
  meddling: Meddling = {},
): Promise<T> {
  const front = await edge.front(tls, meddling);
  try {
    return await work(front);
  } finally {
    await front.close();
  }
}

const idsWith = (results: readonly CheckResult[], outcome: CheckResult['outcome']): CheckId[] =>
  results.filter((result) => result.outcome === outcome).map(({ id }) => id);

/** What is never asked over a deployment that was not observed, without a curl that speaks HTTP/3. */
const NOT_HERE: readonly CheckId[] = ['cache-kept', 'purge-versions', 'purge-limit', 'head-http3'];

describe('a deployment that is as assumed', () => {
  it('has one answer for each assumption, in the order of the table, and nothing against it', async () => {
    const results = await withFront(({ url }) => examineDeployed(url, OPTIONS));
    expect(results.map(({ id }) => id)).toEqual(Object.keys(CHECKS));
    expect(idsWith(results, 'no')).toEqual([]);
    expect(idsWith(results, 'not-asked')).toEqual(NOT_HERE);
  });

  it('is looked at before and after: the cache is kept, and purged by the next version', async () => {
    await withFront(async ({ url }) => {
      const before = await lookBeforeDeployment(url, OPTIONS);
      await edge.deploy();
      const results = await examineDeployed(url, { ...OPTIONS, before });
      expect(idsWith(results, 'yes')).toEqual(expect.arrayContaining(['cache-kept', 'purge-versions']));
    });
  });

  it('is waited for, and not for ever', async () => {
    await withFront(async ({ url }) => {
      const before = await lookBeforeDeployment(url, OPTIONS);
      const results = await examineDeployed(url, { ...OPTIONS, before });
      expect(idsWith(results, 'not-asked')).toEqual(NOT_HERE);
      expect(results.find(({ id }) => id === 'cache-kept')?.seen).toBe('the new version did not answer in time');
    });
  });

  it('needs no more than the right to pull: without PURGE_TOKEN the cache is asked less', async () => {
    const results = await withFront(({ url }) => examineDeployed(url, { ...OPTIONS, purgeToken: '' }));
    expect(idsWith(results, 'no')).toEqual([]);
    expect(idsWith(results, 'not-asked').sort()).toEqual([...NOT_HERE, 'cache-present', 'moved-tag'].sort());
    expect(results.find(({ id }) => id === 'moved-tag')?.seen).toMatch(
      /^PURGE_TOKEN is not set; the answer by tag is \d+ s old, of 90 at most$/,
    );
  });

  it('is not sent PURGE_TOKEN over http, but on this machine', async () => {
    const here = await examineDeployed(edge.worker, OPTIONS);
    expect(idsWith(here, 'yes')).toContain('cache-present');
    const elsewhere = await examineDeployed(new URL('http://registry.invalid/'), { ...OPTIONS, timeoutMs: 1_000 });
    expect(idsWith(elsewhere, 'yes')).not.toContain('cache-present');
    expect(idsWith(here, 'not-asked')).toEqual(expect.arrayContaining(['tls12-aes128-gcm', 'root-known']));
  });

  it('of which the image has no blob over the limit, says what would settle it', async () => {
    const results = await withFront(({ url }) => examineDeployed(url, { ...OPTIONS, cacheLimit: 10 ** 6 }));
    const seen = results.find(({ id }) => id === 'range-over-limit')?.seen;
    expect(seen).toMatch(/^the largest blob of the image has .* name one of more than .* with --image$/);
  });
});

describe('finds what is not as assumed, and that alone', () => {
  const onGet = (path: RegExp, change: (request: { headers: Record<string, string> }) => void): Meddling => ({
    request: (request) => {
      if (path.test(request.path)) change(request);
    },
  });
  const without = (name: string): Meddling => ({
    response: (headers) => {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- headers of one answer
      delete headers[name];
    },
  });

  it.each<[string, readonly CheckId[], Meddling]>([
    ['hits have no Age', ['cache-age'], without('age')],
    [
      'a proxy removes Range',
      ['range', 'range-over-limit'],
      onGet(/blobs/, ({ headers }) => {
        delete headers.range;
      }),
    ],
    [
      'every client gets what a new one gets',
      ['form-old'],
      onGet(/manifests/, ({ headers }) => (headers.accept = MEDIA_TYPE_OF_FORM['docker-schema2'])),
    ],
    [
      'every client gets what an old one gets',
      ['form-new'],
      onGet(/manifests\/v1$/, ({ headers }) => (headers.accept = MEDIA_TYPE_OF_FORM['docker-schema1'])),
    ],
    [
      'purges are lost',
      ['moved-tag'],
      {
        answer: ({ method }) =>
          method === 'POST'
            ? { status: 200, headers: {}, body: '{"purged":true,"cache":"present","cacheTags":1,"version":"one"}' }
            : null,
      },
    ],
    [
      'one program is challenged',
      ['not-challenged'],
      {
        answer: ({ headers }) =>
          headers['user-agent']?.startsWith('skopeo/') === true
            ? { status: 403, headers: { 'cf-mitigated': 'challenge' } }
            : null,
      },
    ],
  ])('%s: %j', async (_, expected, meddling) => {
    const results = await withFront(({ url }) => examineDeployed(url, OPTIONS), {}, meddling);
    expect(idsWith(results, 'no')).toEqual(expected);
  });

  it.each<[string, Parameters<DeployedEdge['front']>[0], readonly CheckId[]]>([
    ['an RSA certificate', { chain: 'rsa' }, ['tls12-ecdsa']],
    ["Let's Encrypt's root", { chain: 'letsencrypt' }, ['root-known']],
    ['TLS 1.3 alone', { options: { minVersion: 'TLSv1.3' } }, ['tls12-aes128-gcm', 'tls12-aes128-sha']],
    [
      'GCM alone',
      { options: { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' } },
      ['tls12-aes128-sha'],
    ],
  ])('%s', async (_, tls, expected) => {
    const results = await withFront(({ url }) => examineDeployed(url, OPTIONS), tls);
    expect(idsWith(results, 'no')).toEqual(expected);
  });

  it('a Worker without a cache', async () => {
    const noCache: Meddling = {
      response: (headers) => {
        headers['server-timing'] = (headers['server-timing'] ?? '').replace(/cache;desc="\w+", /, '');
      },
    };
    const results = await withFront(({ url }) => examineDeployed(url, OPTIONS), {}, noCache);
    expect(idsWith(results, 'no')).toEqual(['cache-hit']);
    expect(results.filter(isFault).map(({ id }) => id)).toEqual(['cache-hit']);
  });

  it('HEAD over HTTP/3 without its length', async () => {
    const seen = async (length: string | undefined): Promise<readonly CheckId[]> => {
      const curl = (): ReturnType<typeof runCurl> => Promise.resolve({ kind: 'answered', length });
      const results = await withFront(({ url }) => examineDeployed(url, { ...OPTIONS, curl }));
      return idsWith(results, 'no');
    };
    expect(await seen(undefined)).toEqual(['head-http3']);
  });

  it('but says nothing against what cannot be reached', async () => {
    const front = await edge.front();
    await front.close();
    const results = await examineDeployed(front.url, { ...OPTIONS, timeoutMs: 1_000 });
    expect(idsWith(results, 'no').filter((id) => !id.startsWith('tls12'))).toEqual([]);
  });
});

describe('curl', () => {
  it('is read for Content-Length over HTTP/3', () => {
    expect(readHead('HTTP/3 200 \r\ncontent-length: 1024\r\n\r\n')).toEqual({ kind: 'answered', length: '1024' });
    expect(readHead('HTTP/3 200 \r\netag: "x"\r\n\r\n')).toEqual({ kind: 'answered', length: undefined });
    expect(readHead('HTTP/2 200 \r\n\r\n')).toMatchObject({ kind: 'unable' });
  });

  it('that is not there, or has no HTTP/3, is said to be so', async () => {
    const url = new URL('https://localhost/');
    expect(await runCurl(url, {}, '/nowhere/curl')).toEqual({ kind: 'unable', why: 'curl is not installed' });
    expect(await runCurl(url, {}, process.execPath)).toEqual({ kind: 'unable', why: 'curl has no HTTP/3 here' });
  });
});

describe('the command', () => {
  const run = (url: URL, ...args: string[]): ReturnType<typeof runGantry> =>
    runGantry(new Bucket(), ['doctor', url.href, '--deployed', '--insecure', '--image', IMAGE, ...args], {
      PURGE_TOKEN,
      PATH: '/nowhere',
    });

  it('prints each assumption by its id, with what was seen', async () => {
    const { stdout, code } = await withFront(({ url }) => run(url));
    for (const id of Object.keys(CHECKS)) expect(stdout).toContain(id);
    expect(stdout).toMatch(/of \d+ assumptions about Cloudflare: \d+ hold, 0 do not, \d+ were not tested/);
    expect(code).toBe(0);
  });

  it('prints JSON that scripts read by id, and fails on a fault alone', async () => {
    const { stdout, code } = await withFront(({ url }) => run(url, '--json'), { chain: 'letsencrypt' });
    expectDescribed('doctor', stdout);
    const { deployed } = JSON.parse(stdout) as { deployed: { id: string; outcome: string; fault: boolean }[] };
    expect(deployed.map(({ id }) => id)).toEqual(Object.keys(CHECKS));
    expect(deployed.find(({ id }) => id === 'root-known')).toMatchObject({ outcome: 'no', fault: false });
    expect(code).toBe(0);
    const challenged = await withFront(
      ({ url }) => run(url, '--json'),
      {},
      {
        answer: ({ headers }) =>
          headers['user-agent']?.startsWith('skopeo/') === true
            ? { status: 403, headers: { 'cf-mitigated': 'challenge' } }
            : null,
      },
    );
    expect(challenged.code).toBe(1);
  });
});

describe('after `gantry deploy`', () => {
  it('the deployment is proved at its address', async () => {
    const config = { customDomains: ['registry.example.com'], addresses: [] };
    await withFront(async ({ url }) => {
      const proof = openProof(config, { GANTRY_EDGE_URL: url.href, PURGE_TOKEN }, OPTIONS);
      const before = await proof.lookFirst();
      await edge.deploy();
      const steps: string[] = [];
      const proved = await proof.prove(before, (step) => steps.push(step));
      expect(proved?.verdict).toBe('proved');
      expect(proved?.checks.find(({ id }) => id === 'cache-kept')?.outcome).toBe('yes');
      expect(proved?.diagnosis.clients.some(({ outcome }) => outcome === 'fails')).toBe(false);
      expect(steps.length).toBeGreaterThan(3);
    });
  });

  it.each([
    [['registry.example.com'], [], undefined, 'https://registry.example.com/'],
    [[], ['registry.example.com/*'], undefined, 'https://registry.example.com/'],
    [[], ['*.example.com/v2/*', 'gantry.<your subdomain>.workers.dev'], undefined, undefined],
    [['registry.example.com'], [], 'http://127.0.0.1:8787', 'http://127.0.0.1:8787/'],
  ])(
    'the address is that of wrangler.toml, or GANTRY_EDGE_URL: %j %j %s',
    (customDomains, addresses, edgeUrl, expected) => {
      expect(addressToExamine({ customDomains, addresses }, edgeUrl)?.href).toBe(expected);
    },
  );

  it('what a first deployment does not have yet is no fault', () => {
    const finding = (id: 'unreachable' | 'image-missing' | 'wrong-form' | 'tls-old-roots') => ({
      findings: [{ id, seen: '' }],
    });
    const fault: CheckResult = { id: 'cache-hit', outcome: 'no', seen: '' };
    expect(verdictOf({ findings: [] }, [])).toBe('proved');
    expect(verdictOf(finding('tls-old-roots'), [])).toBe('proved');
    expect(verdictOf(finding('unreachable'), [fault])).toBe('incomplete');
    expect(verdictOf(finding('image-missing'), [])).toBe('incomplete');
    expect(verdictOf(finding('wrong-form'), [])).toBe('faulty');
    expect(verdictOf({ findings: [] }, [fault])).toBe('faulty');
  });
});
