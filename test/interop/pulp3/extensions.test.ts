/**
 * What a real Pulp 3 has beside pulls, and what the edge asks it: signatures, Flatpak, client certificates, redirects,
 * requests.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pullAsOldEngine } from '../matrix/old-engine.ts';
import { get, MODERN, type OriginEdge, pull, reasonOf, startOriginEdge } from '../origin-edge.ts';
import { missingPrograms, must, run, titleWith, until } from '../programs.ts';
import { makePrivate, push, pushManifest } from './content.ts';
import { countRequests } from './counts.ts';
import { missingForPulp } from './environment.ts';
import { fillPulp, type PulpImage } from './images.ts';
import { ADMIN, type Pulp, startPulp } from './pulp.ts';

const missing = await missingForPulp('docker-registry', 'gpg');

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

describe.skipIf(missing.length > 0)(titleWith('the extensions of a real Pulp 3', missing), () => {
  let folder: string;
  let pulp: Pulp;
  let edge: OriginEdge;
  let images: readonly PulpImage[];
  const authorities = process.env.NODE_EXTRA_CA_CERTS;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-extensions-'));
    pulp = await startPulp();
    images = await fillPulp(pulp, folder, ['schema2', 'index']);
    const { authority, certificate, key } = pulp.katello;
    process.env.NODE_EXTRA_CA_CERTS = authority;
    const rule = { remote: '*', upstream: pulp.url, kind: 'pulp3', lifetime: 1, stale: 0, timeout: 5 };
    edge = await startOriginEdge(
      [
        { ...rule, name: 'redirect', pattern: 'redirect/*', blobs: 'redirect' },
        { ...rule, name: 'katello', pattern: 'katello/*', upstream: pulp.katelloUrl, certificate: 'PULP_CERTIFICATE' },
        { ...rule, name: 'stranger', pattern: 'stranger/*', upstream: pulp.katelloUrl, kind: 'registry' },
        { ...rule, name: 'plain', pattern: 'plain/*', grace: 0 },
        { ...rule, name: 'fresh', pattern: 'fresh/*', lifetime: 300, platforms: ['linux/amd64'] },
        { ...rule, name: 'apps', pattern: 'apps/*', remote: 'flatpaks/*', flatpak: true },
      ],
      { vars: { LOG: 'all' }, certificates: { PULP_CERTIFICATE: { certificate, key } } },
    );
  }, 600_000);

  afterAll(async () => {
    if (authorities === undefined) delete process.env.NODE_EXTRA_CA_CERTS;
    else process.env.NODE_EXTRA_CA_CERTS = authorities;
    await edge.close();
    await pulp.close();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  const sourceOf = (kind: string): string => images.find((one) => one.kind === kind)?.source.source ?? '';
  const without = async <T>(work: () => Promise<T>): Promise<T> => {
    await pulp.services.front.stop();
    try {
      return await work();
    } finally {
      await pulp.services.front.start();
    }
  };

  it('sends clients to where Pulp redirects to, also where content app and registry are one host', async () => {
    const layer = Buffer.from('a layer at the same host');
    await pushLayer(pulp, 'far/app', layer);
    const before = (await pulp.requests()).length;
    const got = await get(`${edge.url}/v2/redirect/far/app/blobs/${digestOf(layer)}`);
    expect([got.status, got.headers['cache-control']]).toEqual([307, 'no-store']);
    // Knowing where the blob is costs no request for the blob.
    expect((await pulp.requests()).slice(before).filter(({ path }) => path.startsWith('/pulp/container/'))).toEqual([]);
    const location = new URL(String(got.headers.location));
    expect([location.host, location.username, location.password]).toEqual([pulp.host, '', '']);
    expect((await get(location.href)).body.equals(layer)).toBe(true);
  });

  describe('atomic signatures', () => {
    let env: NodeJS.ProcessEnv;
    let key: string;

    beforeAll(async () => {
      const home = join(folder, 'gnupg');
      await mkdir(home, { mode: 0o700 });
      env = { ...process.env, GNUPGHOME: home };
      const generate = ['--quick-gen-key', 'signer@example.com', 'rsa2048', 'sign', '1d'];
      await must('gpg', ['--batch', '--quiet', '--passphrase', '', ...generate], { env });
      key = join(folder, 'key.asc');
      await must('gpg', ['--armor', '--output', key, '--export', 'signer@example.com'], { env });
      await sign(sourceOf('schema2'), 'signed/app:1.0');
      await push(pulp, sourceOf('schema2'), 'unsigned/app:1.0');
    });

    const sign = async (source: string, image: string): Promise<void> => {
      const options = ['--quiet', '--preserve-digests', '--sign-by', 'signer@example.com', '--dest-tls-verify=false'];
      const credentials = ['--dest-creds', `${ADMIN.username}:${ADMIN.password}`];
      await must('skopeo', ['copy', ...options, ...credentials, source, `docker://${pulp.host}/${image}`], { env });
    };

    /** Copies by a policy that wants the signer's signature, made for Pulp's own address. */
    const copy = async (name: string, ...options: readonly string[]): Promise<number | null> => {
      const remap = { type: 'remapIdentity', prefix: `${edge.host}/plain`, signedPrefix: pulp.host };
      const policy = join(folder, 'policy.json');
      const signedBy = { type: 'signedBy', keyType: 'GPGKeys', keyPath: key, signedIdentity: remap };
      await writeFile(policy, JSON.stringify({ default: [signedBy] }));
      const args = ['copy', '--quiet', '--src-tls-verify=false', ...options];
      const places = [`docker://${edge.host}/plain/${name}:1.0`, `dir:${join(folder, 'out')}`];
      return (await run('skopeo', ['--policy', policy, ...args, ...places], { env })).code;
    };
    const signaturesOf = async (name: string, digest: string): Promise<readonly unknown[]> => {
      const got = await get(`${edge.url}/extensions/v2/plain/${name}/signatures/${digest}`);
      return (JSON.parse(got.body.toString()) as { signatures: unknown[] }).signatures;
    };
    const signaturesAtPulp = async (name: string, digest: string): Promise<readonly unknown[]> => {
      const headers = { authorization: `Bearer ${await tokenFor(pulp, name)}` };
      const got = await get(`${pulp.url}/extensions/v2/${name}/signatures/${digest}`, { headers });
      return (JSON.parse(got.body.toString()) as { signatures: unknown[] }).signatures;
    };
    const digestAt = async (name: string): Promise<string> =>
      (await get(`${edge.url}/v2/plain/${name}/manifests/1.0`, { headers: MODERN })).digest;

    it('are announced and passed on: skopeo with a policy takes the signed image and no other', async () => {
      expect((await get(`${edge.url}/v2/`)).headers['x-registry-supports-signatures']).toBe('1');
      expect([await copy('signed/app'), await copy('unsigned/app')]).toEqual([0, 1]);
      // Stored, so that they are there while Pulp is not.
      expect(await without(() => copy('signed/app'))).toBe(0);
    });

    it('come with the tag: who verifies them can pull while Pulp is down, though nobody asked before', async () => {
      await sign(sourceOf('schema2'), 'early/app:1.0');
      const { digest } = await get(`${edge.url}/v2/plain/signed/app/manifests/1.0`, { headers: MODERN });
      // Pulp takes a signature at once, and lists it a moment later.
      await until('the signature', async () => (await signaturesAtPulp('early/app', digest)).length === 1);
      const asked = (await pulp.requests()).filter(({ path }) => path.startsWith('/extensions/v2/early/app/')).length;
      expect(await pull(edge.url, 'plain/early/app', '1.0')).toBe(4);
      await until(
        'the signatures',
        async () =>
          (await pulp.requests()).filter(({ path }) => path.startsWith('/extensions/v2/early/app/')).length > asked,
      );
      expect(await without(() => copy('early/app'))).toBe(0);
    });

    it('that are made after the image was pulled are seen when the lifetime is over', async () => {
      await push(pulp, sourceOf('schema2'), 'late/app:1.0');
      expect(await copy('late/app')).toBe(1);
      await sign(sourceOf('schema2'), 'late/app:1.0');
      await until('the signature', async () => (await copy('late/app')) === 0);
    });

    it('are those that Pulp has, byte for byte', async () => {
      const digest = await digestAt('signed/app');
      const signatures = await signaturesAtPulp('signed/app', digest);
      expect([signatures.length, await signaturesOf('signed/app', digest)]).toEqual([1, signatures]);
    });

    it('are read from a lookaside server of the client where no rule has them: nothing is announced', async () => {
      const rule = { name: 'other', pattern: '*', remote: '*', upstream: pulp.url, timeout: 5 };
      const other = await startOriginEdge([rule]);
      try {
        const name = 'matrix/schema2';
        const { root, blobs } = images[0]?.source ?? expect.fail();
        const manifest = join(folder, 'manifest.json');
        await writeFile(manifest, blobs.get(root.digest) ?? expect.fail());
        const place = join(folder, 'lookaside', `${name}@${root.digest.replace(':', '=')}`);
        await mkdir(place, { recursive: true });
        const reference = `${other.host}/${name}:1.0`;
        const output = ['--output', join(place, 'signature-1')];
        await must('skopeo', ['standalone-sign', ...output, manifest, reference, 'signer@example.com'], { env });
        const registries = join(folder, 'registries.d');
        await mkdir(registries);
        const policy = join(folder, 'lookaside.json');
        const signedBy = { type: 'signedBy', keyType: 'GPGKeys', keyPath: key };
        await writeFile(policy, JSON.stringify({ default: [signedBy] }));
        const copyBy = async (lookaside: string): Promise<number | null> => {
          const entry = `docker:\n  "${other.host}":\n    lookaside: file://${lookaside}\n`;
          await writeFile(join(registries, 'edge.yaml'), entry);
          const args = ['--policy', policy, '--registries.d', registries, 'copy', '--quiet', '--src-tls-verify=false'];
          return (await run('skopeo', [...args, `docker://${reference}`, `dir:${join(folder, 'out')}`], { env })).code;
        };
        expect([await copyBy(join(folder, 'lookaside')), await copyBy(join(folder, 'nothing'))]).toEqual([0, 1]);
      } finally {
        await other.close();
      }
    });

    it('of an image that nobody has are no empty list, and neither are those that could not be asked for', async () => {
      const nothing = `sha256:${'0'.repeat(64)}`;
      const unknown = await get(`${edge.url}/extensions/v2/plain/signed/app/signatures/${nothing}`);
      expect([unknown.status, reasonOf(unknown)]).toEqual([404, 'manifest-unknown']);
      const other = `sha256:${'1'.repeat(64)}`;
      const failed = await without(() => get(`${edge.url}/extensions/v2/plain/signed/app/signatures/${other}`));
      expect([failed.status, reasonOf(failed)]).toEqual([503, 'upstream-unavailable']);
    });
  });

  const noFlatpak = missingPrograms('flatpak', 'dbus-run-session');

  describe.skipIf(noFlatpak.length > 0)(titleWith('Flatpak', noFlatpak), () => {
    const ref = 'org.example.Platform/x86_64/stable';

    it('lists what Pulp has under the names of the edge, and nothing that no rule serves', async () => {
      await push(pulp, await makeRuntime(folder, ref), 'flatpaks/platform:latest');
      await push(pulp, await makeRuntime(folder, ref), 'elsewhere/platform:latest');
      await push(pulp, await makeRuntime(folder, ref), 'flatpaks/secret:latest');
      await makePrivate(pulp, 'flatpaks/secret');
      const namesAt = async (url: string, query: string): Promise<readonly string[]> => {
        const got = await get(`${url}/index/${query}`);
        const { Results: results } = JSON.parse(got.body.toString()) as { Results: { Name: string }[] };
        return results.map(({ Name: name }) => name).sort();
      };
      const query = 'label:org.flatpak.ref:exists=1&tag=latest&os=linux&architecture=amd64';
      for (const index of ['static', 'dynamic']) {
        expect(await namesAt(pulp.url, `${index}?${query}`)).toEqual(['elsewhere/platform', 'flatpaks/platform']);
        expect(await namesAt(edge.url, `${index}?${query}`)).toEqual(['apps/platform']);
      }
      expect(await namesAt(edge.url, `dynamic?${query}&repository=apps/platform`)).toEqual(['apps/platform']);
      expect(await namesAt(edge.url, `dynamic?${query}&repository=plain/platform`)).toEqual([]);
      const refused = await get(`${edge.url}/index/dynamic?tag=latest`);
      expect([refused.status, reasonOf(refused)]).toEqual([400, 'query-invalid']);
      // The list outlives an outage of Pulp for a while; one that nobody asked for is unknown.
      const other = 'label:org.flatpak.ref:exists=1&architecture=arm64';
      const failed = await without(() => get(`${edge.url}/index/static?${other}`));
      expect([failed.status, reasonOf(failed)]).toEqual([503, 'upstream-unavailable']);
    });

    it('lists and installs from the edge', async () => {
      const user = join(folder, 'flatpak');
      const env = { ...process.env, HOME: user, FLATPAK_USER_DIR: join(user, 'data') };
      await mkdir(user);
      await push(pulp, await makeRuntime(folder, ref), 'flatpaks/platform:latest');
      const remote = ['--user', '--no-gpg-verify', 'edge', `oci+http://${edge.host}`];
      await must('flatpak', ['remote-add', ...remote], { env });
      const listed = await must('flatpak', ['remote-ls', '--user', '--all', '--columns=application', 'edge'], { env });
      expect(listed).toContain('org.example.Platform');
      await installFlatpak(
        ['--user', '--noninteractive', '--assumeyes', 'edge', ref],
        join(folder, 'install.log'),
        env,
      );
      const location = (await must('flatpak', ['info', '--user', '--show-location', ref], { env })).trim();
      expect(await readFile(join(location, 'files', 'hello'), 'utf8')).toBe('hello\n');
    });
  });

  it('shows a certificate to an upstream that wants one, below a path: Katello', async () => {
    expect(await pull(edge.url, 'katello/matrix/schema2', '1.0')).toBe(4);
    // Without it, each request is a 403, by tag and by digest: that proves no absence.
    const { root } = images[0]?.source ?? expect.fail();
    const layer = digestOf(Buffer.from('a layer that nobody has'));
    for (const path of ['manifests/1.0', `manifests/${root.digest}`, `blobs/${layer}`]) {
      const got = await get(`${edge.url}/v2/stranger/matrix/schema2/${path}`, { headers: MODERN });
      expect([got.status, reasonOf(got)]).toEqual([503, 'upstream-unavailable']);
    }
  });

  describe('requests', () => {
    it('are none for what a Pulp 3 never has: schema 1 beside newer forms, an image beside a list', async () => {
      const before = (await pulp.requests()).length;
      await get(`${edge.url}/v2/plain/matrix/index/manifests/1.0`, { headers: MODERN });
      expect((await pulp.requests()).slice(before).filter(({ method }) => method === 'HEAD')).toEqual([]);
    });

    it.each(['schema2', 'index'])('for a cold pull of %s are no more than a client of Pulp makes', async (kind) => {
      const { direct, cold, warm } = await countRequests(pulp, edge.host, 'fresh/', `matrix/${kind}`);
      expect(cold).toBeLessThanOrEqual(direct);
      expect(warm).toBe(0);
    });
  });

  describe('an engine from before 1.8, which shows no answer of the v2 API', () => {
    const pullOld = (name: string, reference = '1.0'): Promise<unknown> =>
      pullAsOldEngine({ version: '1.7.1', host: edge.host, name, reference });

    it('is told that the upstream is away, not that there is no image', async () => {
      await push(pulp, sourceOf('schema2'), 'known-app:1.0');
      await without(async () => {
        await expect(pullOld('plain/known-app')).rejects.toThrow(/Status 400 .*did not answer/);
      });
      await expect(pullOld('plain/known-app', 'none')).rejects.toThrow(/not found/);
    });

    it('is told so also of another tag of a stored repository, and while only the content app is away', async () => {
      await push(pulp, sourceOf('schema2'), 'half-app:1.0');
      await pullOld('plain/half-app');
      const layer = Buffer.from('a layer of an image that is not stored');
      await push(pulp, sourceOf('index'), 'half-app:2.0');
      await pushLayer(pulp, 'half-app', layer);
      await pulp.services.content.stop();
      try {
        await expect(pullOld('plain/half-app', '2.0')).rejects.toThrow(/Status 400 .*did not answer/);
        await pullOld('plain/half-app');
      } finally {
        await pulp.services.content.start();
      }
    });
  });
});

/** Makes a Flatpak runtime as an OCI image; gives it as skopeo takes it. */
async function makeRuntime(parent: string, ref: string): Promise<string> {
  const folder = await mkdtemp(join(parent, 'runtime-'));
  const [id = '', , branch = ''] = ref.split('/');
  const runtime = join(folder, 'runtime');
  await mkdir(join(runtime, 'files'), { recursive: true });
  await writeFile(join(runtime, 'files', 'hello'), 'hello\n');
  const sdk = ref.replace('Platform', 'Sdk');
  await writeFile(join(runtime, 'metadata'), `[Runtime]\nname=${id}\nruntime=${ref}\nsdk=${sdk}\n`);
  const env = { ...process.env, HOME: folder };
  const [tree, bundle] = [join(folder, 'ostree'), join(folder, 'bundle')];
  await must('flatpak', ['build-export', '--runtime', '--files=files', tree, runtime, branch], { env });
  await must('flatpak', ['build-bundle', '--oci', '--runtime', tree, bundle, id, branch], { env });
  return `oci:${bundle}:runtime/${ref}`;
}

/**
 * Installs in a D-Bus session of its own, over which Flatpak starts its helper for registries. The helper outlives the
 * session, so the whole process group is ended, and its output goes to a file.
 */
async function installFlatpak(args: readonly string[], logFile: string, env: NodeJS.ProcessEnv): Promise<void> {
  const log = await open(logFile, 'w');
  try {
    const command = ['--', 'flatpak', 'install', ...args];
    const child = spawn('dbus-run-session', command, { env, detached: true, stdio: ['ignore', log.fd, log.fd] });
    const [code] = (await once(child, 'exit')) as [number | null];
    try {
      if (child.pid !== undefined) process.kill(-child.pid);
    } catch {
      // The helper had ended.
    }
    if (code !== 0) throw new Error(`flatpak install: exit ${String(code)}\n${await readFile(logFile, 'utf8')}`);
  } finally {
    await log.close();
  }
}

/** Pushes an OCI artifact of one layer. */
async function pushLayer(pulp: Pulp, name: string, layer: Buffer): Promise<void> {
  const config = Buffer.from('{}');
  const described = (bytes: Buffer, mediaType: string): object => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const value = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: described(config, 'application/vnd.oci.empty.v1+json'),
    layers: [described(layer, 'text/plain')],
  };
  const bytes = Buffer.from(JSON.stringify(value));
  await pushManifest(pulp, name, 'artifact', { bytes, mediaType: OCI_MANIFEST, blobs: [config, layer] });
}

async function tokenFor(pulp: Pulp, name: string): Promise<string> {
  const scope = encodeURIComponent(`repository:${name}:pull`);
  const { body } = await get(`${pulp.url}/token/?service=${pulp.host}&scope=${scope}`);
  return (JSON.parse(body.toString()) as { token: string }).token;
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
