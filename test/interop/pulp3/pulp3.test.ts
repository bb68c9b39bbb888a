/**
 * The edge in front of a real Pulp 3: what it makes of Pulp's repositories, of who may read them, and of what becomes
 * of them.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DockerRegistry, startDockerRegistry } from '../docker-registry.ts';
import { pullAsOldEngine } from '../matrix/old-engine.ts';
import { expectSameTree } from '../matrix/tree.ts';
import { get, type Got, MODERN, OLD, type OriginEdge, pull, reasonOf } from '../origin-edge.ts';
import { must, titleWith, until } from '../programs.ts';
import {
  addAccount,
  addPullThrough,
  allow,
  allowNamespace,
  distribution,
  makePrivate,
  push,
  pushManifest,
  remove,
} from './content.ts';
import { countRequests } from './counts.ts';
import { PREFIXES, startPulpEdge } from './edge.ts';
import { missingForPulp } from './environment.ts';
import { fillPulp, type PulpImage } from './images.ts';
import { type Pulp, startPulp } from './pulp.ts';

const ROBOT = { username: 'robot', password: 'a-robot-at-the-edge' };

const missing = await missingForPulp('docker-registry');

describe.skipIf(missing.length > 0)(titleWith('a real Pulp 3 behind the edge', missing), () => {
  let folder: string;
  let pulp: Pulp;
  let peer: DockerRegistry;
  let edge: OriginEdge;
  let images: readonly PulpImage[];

  const imageOf = (kind: string): PulpImage => {
    const found = images.find((one) => one.kind === kind);
    if (found === undefined) throw new Error(`Pulp has no image ${kind}`);
    return found;
  };
  const sourceOf = (kind: string): string => imageOf(kind).source.source;
  const manifest = (
    name: string,
    reference: string,
    headers: Readonly<Record<string, string>> = MODERN,
  ): Promise<Got> => get(`${edge.url}/v2/${name}/manifests/${reference}`, { headers });
  const asked = async (name: string): Promise<number> =>
    (await pulp.requests()).filter(({ path }) => path.includes(`/${name}/`)).length;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-test-'));
    pulp = await startPulp();
    images = await fillPulp(pulp, folder, ['schema2', 'oci', 'list', 'index', 'schema1']);
    peer = await startDockerRegistry(join(folder, 'peer'));
    await must('skopeo', [
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      sourceOf('schema2'),
      `docker://${peer.host}/library/app:1.0`,
    ]);
    await addPullThrough(pulp, 'cache', `http://${peer.host}`);
    await push(pulp, sourceOf('schema2'), 'secret/app:1.0');
    await makePrivate(pulp, 'secret/app');
    await addAccount(pulp, ROBOT);
    await allow(pulp, 'secret/app', ROBOT);
    edge = await startPulpEdge(pulp, ROBOT);
  }, 600_000);

  afterAll(async () => {
    await edge.close();
    await peer.close();
    await pulp.close();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  describe.each([
    ['with tokens', PREFIXES.tokens],
    ['without tokens', PREFIXES.open],
    ['below a path', PREFIXES.below],
  ])('%s', (_, prefix) => {
    it.each(['schema2', 'oci', 'list', 'index', 'schema1'])(
      'gives %s byte for byte, by tag and by digest, with all that it names',
      async (kind) => {
        const { name, root, blobs, signed } = imageOf(kind).source;
        const bytes = signed?.bytes ?? blobs.get(root.digest);
        const digest = signed?.digest ?? root.digest;
        for (const reference of ['1.0', digest]) {
          // A client that takes schema 2 gets the one that is derived from a schema 1.
          const got = await manifest(prefix + name, reference, signed === undefined ? MODERN : OLD);
          expect([got.status, got.headers['docker-content-digest'], got.body.equals(bytes ?? Buffer.alloc(0))]).toEqual(
            [200, digest, true],
          );
        }
        if (signed === undefined) expect(await pull(edge.url, prefix + name, '1.0')).toBeGreaterThan(1);
      },
    );

    it.each(['schema2', 'oci', 'list', 'index', 'schema1'])(
      'gives %s to engines from before 1.10, which Pulp cannot',
      async (kind) => {
        const { name, image, signed } = imageOf(kind).source;
        // 1.6 and 1.7 refuse names of three components.
        for (const version of ['1.8.2', '1.9.1'] as const) {
          const got = await pullAsOldEngine({ version, host: edge.host, name: prefix + name, reference: '1.0' });
          expectSameTree(got.tree, image.tree);
          if (signed !== undefined) expect(got.document.equals(Buffer.from(signed.bytes))).toBe(true);
        }
      },
    );
  });

  it('has the tags that Pulp has', async () => {
    const { name, tags } = imageOf('schema2').source;
    const got = await get(`${edge.url}/v2/${PREFIXES.tokens}${name}/tags/list`);
    expect(JSON.parse(got.body.toString())).toMatchObject({ tags: [...tags].sort() });
  });

  it('has artifacts, cosign tags, and referrers by their fallback tag: Pulp has no referrers API', async () => {
    const { name, root } = imageOf('schema2').source;
    const layer = Buffer.from('{"sbom":"of a test"}');
    const artifact = artifactOf(layer, root);
    const hex = root.digest.slice('sha256:'.length);
    const digest = await pushManifest(pulp, name, `sha256-${hex}.sig`, artifact);
    const index = 'application/vnd.oci.image.index.v1+json';
    const child = { ...described(artifact.bytes, OCI_MANIFEST), artifactType: ARTIFACT };
    const list = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: index, manifests: [child] }));
    await pushManifest(pulp, name, `sha256-${hex}`, { bytes: list, mediaType: index, blobs: [] });

    const sig = await manifest(PREFIXES.tokens + name, `sha256-${hex}.sig`);
    expect([sig.status, sig.digest]).toEqual([200, digest]);
    expect((await get(`${edge.url}/v2/${PREFIXES.tokens}${name}/blobs/${digestOf(layer)}`)).body.equals(layer)).toBe(
      true,
    );
    const referrers = await get(`${edge.url}/v2/${PREFIXES.tokens}${name}/referrers/${root.digest}`);
    expect(JSON.parse(referrers.body.toString())).toMatchObject({ manifests: [{ digest, artifactType: ARTIFACT }] });
  });

  describe('blobs', () => {
    it('are kept where they are streamed: nobody asks Pulp for them again', async () => {
      const { name, image } = imageOf('oci').source;
      const path = `${edge.url}/v2/${PREFIXES.tokens}${name}/blobs/${image.layers[0]?.digest ?? ''}`;
      await get(path);
      const before = await asked(name);
      expect((await get(path)).digest).toBe(image.layers[0]?.digest);
      expect(await asked(name)).toBe(before);
    });

    it('are where Pulp redirects to, its content app, for clients that are sent there', async () => {
      // One that no other test has stored.
      const layer = Buffer.from('a layer that stays where it is');
      await pushManifest(pulp, 'far/app', '1.0', artifactOf(layer));
      const got = await get(`${edge.url}/v2/${PREFIXES.redirect}far/app/blobs/${digestOf(layer)}`);
      expect([got.status, got.headers['cache-control']]).toEqual([307, 'no-store']);
      const location = String(got.headers.location);
      // Signed by Pulp for an hour: its content guard lets nobody in without.
      expect(location).toMatch(/^http:\/\/[^/]+\/pulp\/container\/.*\?expires=\d+&validate_token=/);
      expect((await get(location)).body.equals(layer)).toBe(true);
      expect((await get(location.replace(/\?.*/, ''))).status).toBe(403);
    });
  });

  describe('who may read', () => {
    it('a private repository is there by a robot account of Pulp’s, and never a 404 without one', async () => {
      expect(await pull(edge.url, `${PREFIXES.robot}secret/app`, '1.0')).toBe(4);
      const got = await manifest(`${PREFIXES.tokens}secret/app`, '1.0');
      expect([got.status, reasonOf(got)]).toEqual([503, 'upstream-unavailable']);
    });

    it('is known to nobody but Pulp with tokens off: there, what is private is open to all', async () => {
      expect((await get(`${pulp.openUrl}/v2/secret/app/manifests/1.0`, { headers: MODERN })).status).toBe(200);
    });

    it('Pulp wants a login of everybody at `/v2/`, with tokens and without: the edge never asks there', async () => {
      for (const url of [pulp.url, pulp.openUrl]) expect((await get(`${url}/v2/`)).status).toBe(401);
      await push(pulp, sourceOf('schema2'), 'greeted/app:1.0');
      const before = (await pulp.requests()).length;
      for (const prefix of [PREFIXES.tokens, PREFIXES.open])
        expect(await pull(edge.url, `${prefix}greeted/app`, '1.0')).toBe(4);
      expect((await pulp.requests()).slice(before).filter(({ path }) => path === '/v2/')).toEqual([]);
    });

    it('a pull-through cache of Pulp’s is filled by credentials that may fill it', async () => {
      expect(await pull(edge.url, `${PREFIXES.admin}cache/library/app`, '1.0')).toBe(4);
      const old = await pullAsOldEngine({
        version: '1.9.1',
        host: edge.host,
        name: `${PREFIXES.admin}cache/library/app`,
        reference: '1.0',
      });
      expectSameTree(old.tree, imageOf('schema2').source.image.tree);
      expect((await manifest(`${PREFIXES.admin}cache/library/app`, 'none')).status).toBe(404);
    });
  });

  describe('what changes in Pulp', () => {
    it('a tag that is pushed anew is seen when its lifetime is over, in all forms at once', async () => {
      await push(pulp, sourceOf('schema2'), 'moving/app:1.0');
      const name = `${PREFIXES.tokens}moving/app`;
      const before = await manifest(name, '1.0');
      const old = await manifest(name, '1.0', OLD);
      await push(pulp, sourceOf('oci'), 'moving/app:1.0');
      await until(
        'the moved tag',
        async () => (await manifest(name, '1.0')).digest === imageOf('oci').source.root.digest,
      );
      expect(before.digest).toBe(imageOf('schema2').source.root.digest);
      expect((await manifest(name, '1.0', OLD)).digest).not.toBe(old.digest);
      expect(await pull(edge.url, name, '1.0')).toBe(4);
    });

    it('a repository that is deleted is gone after its grace, for an account that Pulp tells so', async () => {
      await push(pulp, sourceOf('schema2'), 'leaving/app:1.0');
      await allowNamespace(pulp, 'leaving', ROBOT);
      for (const prefix of [PREFIXES.admin, PREFIXES.robot])
        expect((await manifest(`${prefix}leaving/app`, '1.0')).status).toBe(200);
      await remove(pulp, 'leaving/app');
      for (const prefix of [PREFIXES.admin, PREFIXES.robot]) {
        await until('the deletion', async () => (await manifest(`${prefix}leaving/app`, '1.0')).status === 404);
      }
    });

    it('a repository that is deleted goes on being served without such an account: Pulp refuses it as it refuses what is private', async () => {
      await push(pulp, sourceOf('schema2'), 'hidden/app:1.0');
      const name = `${PREFIXES.tokens}hidden/app`;
      expect((await manifest(name, '1.0')).status).toBe(200);
      await remove(pulp, 'hidden/app');
      const before = await asked('hidden/app');
      await until('the question after the deletion', async () => {
        expect((await manifest(name, '1.0')).status).toBe(200);
        return (await asked('hidden/app')) > before;
      });
      const got = await manifest(name, '1.0');
      expect([got.status, got.digest]).toEqual([200, imageOf('schema2').source.root.digest]);
    });

    it('a repository that is served by another version of it is seen, too', async () => {
      await push(pulp, sourceOf('schema2'), 'pinned/app:1.0');
      await push(pulp, sourceOf('oci'), 'pinned/app:1.0');
      const name = `${PREFIXES.tokens}pinned/app`;
      expect((await manifest(name, '1.0')).digest).toBe(imageOf('oci').source.root.digest);
      const { pulp_href: href, repository } = await distribution(pulp, 'pinned/app');
      const { results } = (await pulp.admin.read(`${String(repository)}versions/?ordering=number`)) as {
        results?: { pulp_href: string; number: number }[];
      };
      const first = results?.find(({ number }) => number === 1);
      await pulp.admin.change('PATCH', href, { repository: null, repository_version: first?.pulp_href });
      await until(
        'the other version',
        async () => (await manifest(name, '1.0')).digest === imageOf('schema2').source.root.digest,
      );
    });
  });

  it.each(['api', 'content', 'database'] as const)(
    'tells clients to come again for layers that are not stored while Pulp has no %s, and then has them',
    async (service) => {
      const layer = Buffer.from(`a layer that nobody pulls before ${service} stops`);
      const name = `layers/${service}`;
      const digest = await pushManifest(pulp, name, '1.0', artifactOf(layer));
      const edgeName = PREFIXES.tokens + name;
      expect((await manifest(edgeName, '1.0')).digest).toBe(digest);
      await pulp.services[service].stop();
      try {
        const blob = await get(`${edge.url}/v2/${edgeName}/blobs/${digestOf(layer)}`);
        expect([blob.status, reasonOf(blob)]).toEqual([503, 'upstream-unavailable']);
        expect((await manifest(edgeName, '1.0')).digest).toBe(digest);
        const tags = await get(`${edge.url}/v2/${edgeName}/tags/list`);
        expect(tags.status === 200 || reasonOf(tags) === 'upstream-unavailable').toBe(true);
      } finally {
        await pulp.services[service].start();
      }
      await until('the layer', async () =>
        (await get(`${edge.url}/v2/${edgeName}/blobs/${digestOf(layer)}`)).body.equals(layer),
      );
    },
  );

  it('asks Pulp nothing for a warm pull, and no more than a client of Pulp for a cold one', async () => {
    const { direct, cold, warm } = await countRequests(pulp, edge.host, PREFIXES.long, imageOf('schema2').source.name);
    expect(warm).toBe(0);
    expect(cold).toBeLessThanOrEqual(direct);
  });

  it('is what it says: Pulp refuses schema 1 that is pushed, so it has what was synced, and the edge derives the rest', async () => {
    const there = `docker://${pulp.host}/refused/app:1.0`;
    const format = [
      'copy',
      '--quiet',
      '--format',
      'v2s1',
      '--dest-tls-verify=false',
      '--dest-creds',
      'admin:pulp-admin',
    ];
    await expect(must('skopeo', [...format, sourceOf('schema2'), there])).rejects.toThrow(
      'Pushing manifests of the version V1 is not supported',
    );
    const { name } = imageOf('schema1').source;
    const newer = await manifest(PREFIXES.tokens + name, '1.0', {
      accept: 'application/vnd.docker.distribution.manifest.v2+json',
    });
    // The edge derives a schema 2 from it, for engines that refuse schema 1.
    expect([newer.status, newer.headers['content-type']]).toEqual([
      200,
      'application/vnd.docker.distribution.manifest.v2+json',
    ]);
  });
});

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const ARTIFACT = 'application/vnd.example.sbom';

/** An OCI artifact of one layer, which may refer to an image. */
function artifactOf(layer: Buffer, subject?: object): Parameters<typeof pushManifest>[3] {
  const config = Buffer.from('{}');
  const value = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: ARTIFACT,
    config: described(config, 'application/vnd.oci.empty.v1+json'),
    layers: [described(layer, `${ARTIFACT}+json`)],
    subject,
  };
  return { bytes: Buffer.from(JSON.stringify(value)), mediaType: OCI_MANIFEST, blobs: [config, layer] };
}

function described(bytes: Uint8Array, mediaType: string): object {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
