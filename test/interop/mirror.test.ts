/** Docker and containerd with Gantry as the mirror of Docker Hub, set up as docs/how-to/origins.md says. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUSYBOX_PROGRAMS, makeBusybox } from './busybox.ts';
import { startContainerd } from './containerd-daemon.ts';
import { startDockerDaemon } from './docker-daemon.ts';
import { startDockerRegistry } from './docker-registry.ts';
import { get, MODERN, type OriginEdge, reasonOf, startOriginEdge } from './origin-edge.ts';
import { missingPrograms, must, titleWith } from './programs.ts';

const noRegistry = missingPrograms('docker-registry', ...BUSYBOX_PROGRAMS);
const noDocker = missingPrograms('dockerd');
const noContainerd = missingPrograms('containerd', 'ctr');

const DOCUMENT = new URL('../../docs/how-to/origins.md', import.meta.url);

describe.skipIf(noRegistry.length > 0)(titleWith('a mirror of Docker Hub', noRegistry), () => {
  let folder: string;
  let edge: OriginEdge;
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-mirror-'));
    // Stands in for Docker Hub.
    const hub = await startDockerRegistry(join(folder, 'hub'));
    closing.push(() => hub.close());
    const layout = await makeBusybox(folder);
    for (const name of ['library/busybox', 'team/app']) {
      const there = `docker://${hub.host}/${name}:1.0`;
      await must('skopeo', ['copy', '--dest-tls-verify=false', `oci:${layout}:latest`, there]);
    }
    const rule = { name: 'hub', pattern: 'hub/*', remote: '*', upstream: `http://${hub.host}`, ns: 'docker.io' };
    edge = await startOriginEdge([rule]);
    closing.push(() => edge.close());
  });

  afterAll(async () => {
    for (const close of closing.reverse()) await close();
    await rm(folder, { recursive: true, force: true });
  });

  it('answers the names of Docker Hub with the repositories that stand for them', async () => {
    const own = await get(`${edge.url}/v2/hub/library/busybox/manifests/1.0`, { headers: MODERN });
    const mirrored = await get(`${edge.url}/v2/library/busybox/manifests/1.0`, { headers: MODERN });
    const named = await get(`${edge.url}/v2/library/busybox/manifests/1.0?ns=docker.io`, { headers: MODERN });
    expect([own.status, mirrored.status, named.status]).toEqual([200, 200, 200]);
    expect([mirrored.digest, named.digest]).toEqual([own.digest, own.digest]);
    const other = await get(`${edge.url}/v2/library/busybox/manifests/1.0?ns=quay.io`, { headers: MODERN });
    expect([other.status, reasonOf(other)]).toEqual([404, 'name-unknown']);
  });

  it.skipIf(noDocker.length > 0)(titleWith('serves a Docker engine with --registry-mirror', noDocker), async () => {
    const daemon = await startDockerDaemon(join(folder, 'docker'), { args: [`--registry-mirror=${edge.url}`] });
    try {
      await daemon.docker('pull', 'busybox:1.0');
      expect(await daemon.docker('run', '--rm', 'busybox:1.0')).toMatch(/made for a test/);
      await daemon.docker('pull', 'team/app:1.0');
    } finally {
      await daemon.close();
    }
  });

  it.skipIf(noContainerd.length > 0)(titleWith('serves containerd with hosts.toml', noContainerd), async () => {
    const documented = /```toml\n(server = [^`]+)```/.exec(await readFile(DOCUMENT, 'utf8'))?.[1];
    const hosts = join(folder, 'certs.d');
    await mkdir(join(hosts, 'docker.io'), { recursive: true });
    const settings = documented?.replace('https://registry.example.com', edge.url);
    await writeFile(join(hosts, 'docker.io', 'hosts.toml'), settings ?? '');
    const daemon = await startContainerd(join(folder, 'containerd'));
    try {
      const pulled = 'docker.io/library/busybox:1.0';
      await daemon.ctr('images', 'pull', '--hosts-dir', hosts, '--snapshotter', 'native', pulled);
      expect(await daemon.ctr('images', 'ls', '-q')).toContain(pulled);
    } finally {
      await daemon.close();
    }
  });
});
