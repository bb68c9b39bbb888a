/**
 * Docker 1.6 to 1.9, replayed request by request (`matrix/old-engine.ts` has what they insist on): what they get, and
 * what their users read where there is nothing for them.
 */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitsOf } from '../../src/manifest/clients/limits.ts';
import { nameRefusal } from '../../src/manifest/clients/name-rules.ts';
import { payloadOf, signPayload } from '../../src/manifest/signing/jws.ts';
import { keyFromRandom } from '../../src/manifest/signing/key.ts';
import { parseRepositoryName } from '../../src/registry/name.ts';
import { type GantryServer, startGantry } from './gantry-server.ts';
import { buildLibtrust, type Verify } from './libtrust.ts';
import { type PublishedImage, publishForms, publishImage } from './matrix/images.ts';
import { type Blobs, digestOf, greetingLayer, makeImage, programLayer, writeLayout } from './matrix/layout.ts';
import {
  exchange,
  listTagsAsOldEngine,
  OLD_ENGINES,
  type OldEngine,
  OldEngineError,
  pullAsOldEngine,
} from './matrix/old-engine.ts';
import { oldDaemons } from './matrix/old-clients.ts';
import { hashOfTree } from './matrix/tree.ts';
import { missingPrograms, titleWith } from './programs.ts';

const VERSIONS = Object.keys(OLD_ENGINES) as OldEngine[];
const MIRRORS = ['index', 'schema2'] as const;
/** Whether the tables of src say so of a version. */
const has = (version: OldEngine, limit: ReturnType<typeof limitsOf>[number]): boolean =>
  limitsOf(`docker/${version}`).includes(limit);

let folder: string;
let server: GantryServer;
let verify: Verify | undefined;
let zstdDigest: string;
const images = new Map<string, PublishedImage>();

const noBusybox = missingPrograms('busybox');
const noGo = missingPrograms('go');

beforeAll(async () => {
  if (noBusybox.length > 0) return;
  folder = await mkdtemp(join(tmpdir(), 'gantry-old-engine-'));
  const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  server = await startGantry(join(folder, 'state'), { env });
  const workshop = { folder: join(folder, 'sources'), state: server.state, env };
  await mkdir(workshop.folder);
  for (const kind of [...MIRRORS, 'opaque'] as const) images.set(kind, await publishImage(workshop, kind));
  const blobs: Blobs = new Map();
  const zstd = await makeImage(blobs, 'oci-zstd', [await programLayer(), greetingLayer('zstd')]);
  zstdDigest = zstd.manifest.digest;
  await publishForms(workshop, await writeLayout(join(folder, 'zstd'), blobs, zstd.manifest), 'old/zstd:latest');
  if (noGo.length === 0) verify = await buildLibtrust();
});

afterAll(async () => {
  if (noBusybox.length > 0) return;
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function imageOf(kind: string): PublishedImage {
  const image = images.get(kind);
  if (image === undefined) throw new Error(`${kind} was not published`);
  return image;
}

/** A registry in front of the other one, with another manifest. */
async function serveNameless(document: Uint8Array): Promise<{ readonly host: string; close(): Promise<void> }> {
  const payload = payloadOf(document);
  const edge = createServer((request, response) => {
    void (async () => {
      if (request.url?.includes('/manifests/') === true) {
        const headers = { 'content-length': document.length, 'docker-content-digest': digestOf(payload) };
        response.writeHead(200, headers).end(document);
        return;
      }
      const answer = await exchange(server.host, request.method ?? 'GET', request.url ?? '/', {});
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      response.end(answer.body);
    })();
  }).listen(0, '127.0.0.1');
  await once(edge, 'listening');
  return {
    host: `127.0.0.1:${String((edge.address() as AddressInfo).port)}`,
    close: async () => {
      edge.closeAllConnections();
      edge.close();
      await once(edge, 'close');
    },
  };
}

/** What the user of that engine reads. */
async function printed(version: OldEngine, name: string, reference: string): Promise<string> {
  const error: unknown = await pullAsOldEngine({ version, host: server.host, name, reference }).catch(
    (caught: unknown) => caught,
  );
  if (!(error instanceof OldEngineError))
    throw new Error('the pull did not end as one of that engine does', { cause: error });
  return error.message;
}

describe.skipIf(noBusybox.length > 0).each(VERSIONS)(titleWith('Docker %s', noBusybox), (version) => {
  it.each(MIRRORS)(
    titleWith('pulls %s by tag and by the digest it saw, verified by libtrust, with every file', noGo),
    async (kind) => {
      const { name, tree } = imageOf(kind);
      const pull = { version, host: server.host, name, ...(verify && { verify }) };
      const byTag = await pullAsOldEngine({ ...pull, reference: '1.0' });
      expect(hashOfTree(byTag.tree)).toBe(hashOfTree(tree));
      const byDigest = await pullAsOldEngine({ ...pull, reference: byTag.digest });
      expect(byDigest.document.equals(byTag.document)).toBe(true);
    },
  );

  it('sends what that version sent, and no more', async () => {
    const { name } = imageOf('schema2');
    const { requests, layers, digest } = await pullAsOldEngine({ version, host: server.host, name, reference: '1.0' });
    const [pings, heads] = version < '1.8' ? [2, 0] : [1, layers.length];
    expect(requests.filter((one) => one === 'GET /v2/')).toHaveLength(pings);
    expect(requests.filter((one) => one.startsWith('HEAD '))).toHaveLength(heads);
    expect(requests).toHaveLength(pings + 1 + heads + layers.length);
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('gets the image for the platform that its User-Agent tells', async () => {
    const { name, forms } = imageOf('index');
    const { digest } = await pullAsOldEngine({
      version,
      host: server.host,
      name,
      reference: '1.0',
      architecture: 'arm64',
    });
    expect(digest).toBe(
      forms.find(({ form, platform }) => form === 'docker-schema1' && platform?.startsWith('linux/arm64'))?.digest,
    );
  });

  it(`${has(version, 'all-tags') ? 'cannot list' : 'lists'} all tags`, async () => {
    const listing = listTagsAsOldEngine({ version, host: server.host, name: imageOf('schema2').name });
    if (has(version, 'all-tags')) await expect(listing).rejects.toThrow('Error: image matrix/schema2: not found');
    else expect(await listing).toEqual(['1.0', 'latest']);
  });

  it(`${has(version, 'opaque-whiteouts') ? 'ignores' : 'applies'} opaque whiteouts`, async () => {
    const { name, tree } = imageOf('opaque');
    const pulled = await pullAsOldEngine({ version, host: server.host, name, reference: '1.0' });
    const comeBack = [...pulled.tree.keys()].filter((path) => !tree.has(path));
    expect(comeBack).toEqual(has(version, 'opaque-whiteouts') ? ['data/old/one', 'data/old/two'] : []);
  });

  it.each([
    'busybox',
    'library/busybox',
    'team/a_b.c-d',
    'hub/library/busybox',
    'a/app',
    'my.team/app',
    'team/a--b',
    'team/a__b',
    'ab'.repeat(32),
    `team/${'ab'.repeat(32)}`,
  ])('takes or refuses the name %s as the table of names says', async (name) => {
    const parsed = parseRepositoryName(name);
    if (parsed === null) throw new Error(name);
    const message = await printed(version, name, '1');
    const isRefused =
      /^(?:Invalid (?:namespace|repository) name|repository name component must match)/.test(message) ||
      // 1.6 and 1.7 make no v2 URL for it, and go on with v1.
      (version < '1.8' && /__|--/.test(name));
    expect(isRefused).toBe(nameRefusal(`docker/${version}`, parsed) !== null);
  });

  it(`${has(version, 'nameless-schema1') ? 'crashes on' : 'pulls'} a schema 1 with an empty name`, async () => {
    const { name } = imageOf('schema2');
    const { document } = await pullAsOldEngine({ version, host: server.host, name, reference: '1.0' });
    const payload = Buffer.from(payloadOf(document))
      .toString()
      .replace(/"name": "[^"]*"/, '"name": ""');
    const key = keyFromRandom(new Uint8Array(32).fill(7));
    if (key === null) throw new Error('no key');
    const nameless = await serveNameless(signPayload(key, Buffer.from(payload), '2026-01-01T00:00:00Z'));
    try {
      const pulling = pullAsOldEngine({ version, host: nameless.host, name, reference: '1.0' });
      if (has(version, 'nameless-schema1')) await expect(pulling).rejects.toThrow('index out of range');
      else expect((await pulling).layers.length).toBeGreaterThan(0);
    } finally {
      await nameless.close();
    }
  });

  it('tells its user why there is no schema 1, and where to read on', async () => {
    const message = await printed(version, 'old/zstd', 'latest');
    expect(message).toContain('zstd layers');
    if (version < '1.8') {
      // The body of the v1 fallback is all that reaches a person.
      expect(message).toMatch(/^Error: Status 400 trying to pull repository /);
      expect(message).toContain('/help/schema1-zstd-layers');
    } else
      expect(message).toMatch(
        /^Error response from daemon: errors:\nunsupported: No schema 1 could be derived: .*\nmanifest unknown: See http.*\/help\/schema1-zstd-layers\n/,
      );
  });

  it('tells its user which platform is missing, and which there are', async () => {
    const { name } = imageOf('index');
    const pull = { version, host: server.host, name, reference: '1.0', architecture: 's390x' };
    const error: unknown = await pullAsOldEngine(pull).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(OldEngineError);
    expect(String(error)).toContain('The tag has no image for linux/s390x, the platform of this Docker engine. It has');
    expect(String(error)).toMatch(/images for .*linux\/amd64.*linux\/arm64/);
  });

  it.each([
    [
      'of a tag that does not exist',
      (): [string, string] => [imageOf('schema2').name, 'none'],
      /^Error: image matrix\/schema2:none not found$/,
    ],
    ['of a repository that does not exist', (): [string, string] => ['old/none', 'latest'], /not (?:found|known)/],
  ])('is told %s', async (_, pulled, expected) => {
    expect(await printed(version, ...pulled())).toMatch(expected);
  });

  it('is refused a newer manifest by digest, rather than given what it takes for damaged', async () => {
    const message = await printed(version, 'old/zstd', zstdDigest);
    if (version === '1.6.2') expect(message).toMatch(/^Error: Status 400 trying to pull repository old\/zstd: /);
    else if (version < '1.8') expect(message).toMatch(/pulling with digest reference failed from v2 registry$/);
    else expect(message).toMatch(/^Error response from daemon: /);
  });
});

describe('a folder of real engines', () => {
  it('gives those that are there, and names those that are not', async () => {
    const binaries = await mkdtemp(join(tmpdir(), 'gantry-old-binaries-'));
    try {
      await writeFile(join(binaries, 'docker-1.7.1'), '');
      const told: string[] = [];
      expect(await oldDaemons(binaries, (message) => void told.push(message))).toHaveLength(1);
      expect(told.map((message) => /docker (\S+):/.exec(message)?.[1])).toEqual(['1.6.2', '1.8.3', '1.9.1']);
    } finally {
      await rm(binaries, { recursive: true });
    }
  });
});

describe.skipIf(noBusybox.length > 0)('the v1 API', () => {
  it.each(['/v1/_ping', '/v1/repositories/matrix/schema2/images'])('is not there: %s', async (path) => {
    const answer = await exchange(server.host, 'GET', path, { 'User-Agent': OLD_ENGINES['1.7.1'].userAgent });
    expect(answer.status).toBe(404);
  });
});
