/**
 * The whole way once, with real programs: published, served, pulled by skopeo, by a Docker engine, and by a client from
 * before 1.10.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUSYBOX_PROGRAMS, makeBusybox } from './busybox.ts';
import { startDockerDaemon } from './docker-daemon.ts';
import { saveSchema1, startDockerRegistry } from './docker-registry.ts';
import { type GantryServer, startGantry } from './gantry-server.ts';
import { buildLibtrust } from './libtrust.ts';
import { gantry, missingPrograms, must, run, titleWith } from './programs.ts';
import { startWranglerDev } from './wrangler-dev.ts';

const PRETTYJWS = 'application/vnd.docker.distribution.manifest.v1+prettyjws';

let folder: string;
let server: GantryServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-first-light-'));
  server = await startGantry(join(folder, 'state'), {
    env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') },
    args: ['--stats'],
  });
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const publish = async (source: string, name: string): Promise<void> => {
  const { code, stderr } = await gantry(['publish', source, name, '--state', server.state], {
    env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') },
  });
  expect(stderr + String(code)).toMatch(/0$/);
};

/** A GET as engines before 1.10 send it: no Accept at all (fetch would add one). */
const getAsOldEngine = async (url: string): Promise<{ headers: string; body: Buffer }> => {
  const out = join(folder, `old-${createHash('sha256').update(url).digest('hex')}`);
  const headers = await must('curl', [
    '-sS',
    '-D',
    '-',
    '-o',
    out,
    '-H',
    'Accept:',
    '-A',
    'docker/1.6.2 go/go1.4.2 os/linux arch/amd64',
    url,
  ]);
  return { headers, body: await readFile(out) };
};

const noSkopeo = missingPrograms('skopeo');
const noPeer = missingPrograms('skopeo', 'docker-registry');
const noBusybox = missingPrograms(...BUSYBOX_PROGRAMS);
const noDocker = missingPrograms('dockerd');
const noJudges = missingPrograms('go', 'docker-registry', 'skopeo', 'curl');

describe('the demo image', () => {
  it.skipIf(noSkopeo.length > 0)(titleWith('is copied by skopeo from the local registry', noSkopeo), async () => {
    const out = join(folder, 'hello');
    await must('skopeo', ['copy', '--src-tls-verify=false', `docker://${server.host}/demo/hello:latest`, `dir:${out}`]);
    expect((await readdir(out)).length).toBeGreaterThanOrEqual(5);
  });

  it.skipIf(noSkopeo.length > 0)(
    titleWith('is copied by skopeo from wrangler dev over the same state', noSkopeo),
    async () => {
      const state = join(folder, 'wrangler-state');
      const first = await startGantry(state, { env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') } });
      await first.close();
      const wrangler = await startWranglerDev({ state });
      try {
        const out = join(folder, 'hello-wrangler');
        await must('skopeo', [
          'copy',
          '--src-tls-verify=false',
          `docker://${new URL(wrangler.url).host}/demo/hello:latest`,
          `dir:${out}`,
        ]);
        expect((await readdir(out)).length).toBeGreaterThanOrEqual(5);
      } finally {
        await wrangler.close();
      }
    },
  );

  it.skipIf(noDocker.length > 0)(titleWith('is pulled and run by a Docker engine, and greets', noDocker), async () => {
    const daemon = await startDockerDaemon(join(folder, 'docker'));
    try {
      await daemon.docker('pull', `${server.host}/demo/hello`);
      expect(await daemon.docker('run', '--rm', `${server.host}/demo/hello`)).toMatch(/hello/i);
    } finally {
      await daemon.close();
    }
  });

  it.skipIf(noDocker.length + noSkopeo.length > 0)(
    titleWith('was pulled once by each of them, as the statistics count it', [...noDocker, ...noSkopeo]),
    async () => {
      const counts = async (): Promise<unknown> => {
        const { stdout } = await gantry(['stats', 'demo/hello', '--state', server.state, '--json']);
        const { pulls } = JSON.parse(stdout) as { pulls: readonly { client: string; pulls: number }[] };
        return Object.fromEntries(pulls.map(({ client, pulls: count }) => [client, count]));
      };
      await expect.poll(counts, { timeout: 30_000 }).toEqual({ skopeo: 1, docker: 1 });
    },
  );
});

describe('an image of Debian’s busybox', () => {
  beforeAll(async () => {
    if (noBusybox.length > 0) return;
    const layout = await makeBusybox(folder);
    await must('skopeo', ['copy', '--format', 'v2s2', `oci:${layout}:latest`, `dir:${join(folder, 'busybox')}`]);
    await publish(`dir:${join(folder, 'busybox')}`, 'test/busybox:1.0');
    await publish(`oci:${layout}:latest`, 'test/busybox-oci:1.0');
  });

  it.skipIf(noBusybox.length > 0).each(['busybox', 'busybox-oci'])(
    titleWith('comes back byte for byte: %s', noBusybox),
    async (name) => {
      const out = join(folder, `back-${name}`);
      await must('skopeo', [
        'copy',
        '--src-tls-verify=false',
        `docker://${server.host}/test/${name}:1.0`,
        `dir:${out}`,
      ]);
      const blobs = (await readdir(out)).filter((file) => /^[0-9a-f]{64}$/.test(file));
      expect(blobs).toHaveLength(3);
      for (const blob of blobs) {
        expect(
          createHash('sha256')
            .update(await readFile(join(out, blob)))
            .digest('hex'),
        ).toBe(blob);
        if (name === 'busybox')
          expect(await readFile(join(out, blob))).toEqual(await readFile(join(folder, 'busybox', blob)));
      }
      const given = name === 'busybox' ? join(folder, 'busybox', 'manifest.json') : null;
      if (given !== null) expect(await readFile(join(out, 'manifest.json'))).toEqual(await readFile(given));
    },
  );

  it.skipIf(noJudges.length + noBusybox.length > 0)(
    titleWith(
      'reaches an engine from before 1.10 as a schema 1 that libtrust verifies, with docker-registry’s payload and digest',
      [...noJudges, ...noBusybox],
    ),
    async () => {
      const verify = await buildLibtrust();
      const ours = await getAsOldEngine(`${server.url}/v2/test/busybox/manifests/1.0`);
      expect(ours.headers).toMatch(
        new RegExp(`content-type: ${PRETTYJWS.replaceAll('.', '\\.').replace('+', '\\+')}`, 'i'),
      );
      const payload = Buffer.from(await verify(ours.body));
      const digest = `sha256:${createHash('sha256').update(payload).digest('hex')}`;
      expect(ours.headers.toLowerCase()).toContain(`docker-content-digest: ${digest}`);

      const peer = await startDockerRegistry(join(folder, 'peer'));
      try {
        await must('skopeo', [
          'copy',
          '--dest-tls-verify=false',
          `dir:${join(folder, 'busybox')}`,
          `docker://${peer.host}/test/busybox:1.0`,
        ]);
        const theirs = await getAsOldEngine(`http://${peer.host}/v2/test/busybox/manifests/1.0`);
        expect(theirs.headers.toLowerCase()).toContain(`docker-content-digest: ${digest}`);
        expect(Buffer.from(await verify(theirs.body)).toString()).toBe(payload.toString());
      } finally {
        await peer.close();
      }

      // What the engine prints as the digest can be pulled again.
      const byDigest = await getAsOldEngine(`${server.url}/v2/test/busybox/manifests/${digest}`);
      expect(byDigest.body.equals(ours.body)).toBe(true);
    },
  );

  it.skipIf(noPeer.length + noBusybox.length > 0).each([
    ['v2s1', 'v2s2'],
    ['v2s2', 'v2s1'],
  ] as const)(
    titleWith('has both forms that were published, each with its own bytes: %s first, then %s', [
      ...noPeer,
      ...noBusybox,
    ]),
    async (first, second) => {
      const folders = { v2s1: join(folder, 'both-v2s1'), v2s2: join(folder, 'busybox') };
      await saveSchema1(`dir:${folders.v2s2}`, folders.v2s1, join(folder, `peer-${first}`));
      const name = `test/both-${first}`;
      await publish(`dir:${folders[first]}`, `${name}:1.0`);
      await publish(`dir:${folders[second]}`, `${name}:1.0`);
      const old = await getAsOldEngine(`${server.url}/v2/${name}/manifests/1.0`);
      expect(old.body.equals(await readFile(join(folders.v2s1, 'manifest.json')))).toBe(true);
      const answer = await fetch(`${server.url}/v2/${name}/manifests/1.0`, {
        headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' },
      });
      expect(Buffer.from(await answer.arrayBuffer()).equals(await readFile(join(folders.v2s2, 'manifest.json')))).toBe(
        true,
      );
    },
  );

  it.skipIf(noDocker.length + noPeer.length + noBusybox.length > 0)(
    titleWith('published as schema 1 alone reaches skopeo and a Docker engine as schema 2, and runs', [
      ...noPeer,
      ...noDocker,
      ...noBusybox,
    ]),
    async () => {
      const old = join(folder, 'lone-v2s1');
      await saveSchema1(`dir:${join(folder, 'busybox')}`, old, join(folder, 'peer-lone'));
      await publish(`dir:${old}`, 'test/lone:1.0');
      const image = `${server.host}/test/lone:1.0`;
      const raw = await must('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${image}`]);
      expect(JSON.parse(raw)).toMatchObject({
        schemaVersion: 2,
        mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      });
      const daemon = await startDockerDaemon(join(folder, 'docker-lone'));
      try {
        await daemon.docker('pull', image);
        expect(await daemon.docker('run', '--rm', image)).toBe('made for a test\n');
      } finally {
        await daemon.close();
      }
    },
  );
});

describe('the local registry', () => {
  it('refuses a TLS handshake at once, so that clients that try TLS first do not wait', async () => {
    const { code } = await run('curl', ['-sS', '--max-time', '5', '-k', `https://${server.host}/v2/`]);
    // 28 would be curl's time-out.
    expect([35, 56, 52]).toContain(code);
  });

  it('is refused a port that is in use, with what to do', async () => {
    const { code, stderr } = await gantry([
      'serve',
      '--port',
      server.host.split(':')[1] ?? '',
      '--state',
      join(folder, 'other-state'),
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/in use/);
    expect(stderr).toMatch(/--port/);
  });
});
