/** What is not there yet in front of a real Pulp 3. Each fails today. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pullAsOldEngine } from '../matrix/old-engine.ts';
import { get, MODERN, type OriginEdge, pull, startOriginEdge } from '../origin-edge.ts';
import { gantry, must, run } from '../programs.ts';
import { makePrivate, push, pushManifest } from './content.ts';
import { countRequests } from './counts.ts';
import { fillPulp, type PulpImage } from './images.ts';
import { ADMIN, type Pulp, startPulp } from './pulp.ts';

let folder: string;
let pulp: Pulp;
let edge: OriginEdge;
let images: readonly PulpImage[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-open-'));
  pulp = await startPulp();
  images = await fillPulp(pulp, folder, ['schema2', 'index']);
  const rule = { remote: '*', upstream: pulp.url, lifetime: 1, stale: 0, timeout: 5 };
  edge = await startOriginEdge(
    [
      { ...rule, name: 'redirect', pattern: 'redirect/*', blobs: 'redirect' },
      { ...rule, name: 'katello', pattern: 'katello/*', upstream: pulp.katelloUrl },
      { ...rule, name: 'plain', pattern: 'plain/*', grace: 0 },
      { ...rule, name: 'fresh', pattern: 'fresh/*', lifetime: 300 },
    ],
    { vars: { LOG: 'all' } },
  );
}, 300_000);

afterAll(async () => {
  await edge.close();
  await pulp.close();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

const sourceOf = (kind: string): string => images.find((one) => one.kind === kind)?.source.source ?? '';

it('sends clients to where Pulp redirects to, also where content app and registry are one host', async () => {
  const layer = Buffer.from('a layer at the same host');
  const config = Buffer.from('{}');
  const described = (bytes: Buffer, mediaType: string): object => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const value = {
    schemaVersion: 2,
    mediaType: type,
    config: described(config, 'application/vnd.oci.empty.v1+json'),
    layers: [described(layer, 'text/plain')],
  };
  await pushManifest(pulp, 'far/app', '1.0', {
    bytes: Buffer.from(JSON.stringify(value)),
    mediaType: type,
    blobs: [config, layer],
  });
  const before = (await pulp.requests()).length;
  const got = await get(`${edge.url}/v2/redirect/far/app/blobs/${digestOf(layer)}`);
  expect(got.status).toBe(307);
  // Knowing where the blob is costs no request for the blob.
  expect((await pulp.requests()).slice(before).filter(({ path }) => path.startsWith('/pulp/container/'))).toEqual([]);
});

describe('atomic signatures', () => {
  it('are announced and passed on: skopeo with a policy takes the signed image and no other', async () => {
    const home = join(folder, 'gnupg');
    await mkdir(home, { mode: 0o700 });
    const env = { ...process.env, GNUPGHOME: home };
    await must(
      'gpg',
      ['--batch', '--quiet', '--passphrase', '', '--quick-gen-key', 'signer@example.com', 'rsa2048', 'sign', '1d'],
      { env },
    );
    const key = join(folder, 'key.asc');
    await must('gpg', ['--armor', '--output', key, '--export', 'signer@example.com'], { env });
    await must(
      'skopeo',
      [
        ...['copy', '--quiet', '--preserve-digests', '--sign-by', 'signer@example.com', '--dest-tls-verify=false'],
        ...[
          '--dest-creds',
          `${ADMIN.username}:${ADMIN.password}`,
          sourceOf('schema2'),
          `docker://${pulp.host}/signed/app:1.0`,
        ],
      ],
      { env },
    );
    await push(pulp, sourceOf('schema2'), 'unsigned/app:1.0');
    const remap = { type: 'remapIdentity', prefix: `${edge.host}/plain`, signedPrefix: pulp.host };
    const policy = join(folder, 'policy.json');
    await writeFile(
      policy,
      JSON.stringify({ default: [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: key, signedIdentity: remap }] }),
    );
    const copy = async (name: string): Promise<number | null> =>
      (
        await run(
          'skopeo',
          [
            '--policy',
            policy,
            'copy',
            '--quiet',
            '--src-tls-verify=false',
            `docker://${edge.host}/plain/${name}:1.0`,
            `dir:${join(folder, 'out')}`,
          ],
          { env },
        )
      ).code;
    expect([await copy('signed/app'), await copy('unsigned/app')]).toEqual([0, 1]);
    // Stored, so that they are there while Pulp is not.
    await pulp.services.front.stop();
    try {
      expect(await copy('signed/app')).toBe(0);
    } finally {
      await pulp.services.front.start();
    }
  });
});

it('gives Flatpak its index: a client lists and installs from the edge', async () => {
  const runtime = join(folder, 'runtime');
  await mkdir(join(runtime, 'files'), { recursive: true });
  await writeFile(join(runtime, 'files', 'hello'), 'hello\n');
  const ref = 'org.example.Platform/x86_64/stable';
  await writeFile(
    join(runtime, 'metadata'),
    `[Runtime]\nname=org.example.Platform\nruntime=${ref}\nsdk=${ref.replace('Platform', 'Sdk')}\n`,
  );
  const user = join(folder, 'flatpak');
  const env = { ...process.env, HOME: user, FLATPAK_USER_DIR: join(user, 'data') };
  await mkdir(user);
  await must('flatpak', ['build-export', '--runtime', '--files=files', join(folder, 'ostree'), runtime, 'stable'], {
    env,
  });
  await must(
    'flatpak',
    [
      'build-bundle',
      '--oci',
      '--runtime',
      join(folder, 'ostree'),
      join(folder, 'bundle'),
      'org.example.Platform',
      'stable',
    ],
    {
      env,
    },
  );
  // Flatpak asks for images with the tag `latest` and no others.
  await push(pulp, `oci:${join(folder, 'bundle')}:runtime/${ref}`, 'flatpaks/platform:latest');
  await must('flatpak', ['remote-add', '--user', '--no-gpg-verify', 'edge', `oci+http://${edge.host}`], { env });
  expect(await must('flatpak', ['remote-ls', '--user', '--all', '--columns=application', 'edge'], { env })).toContain(
    'org.example.Platform',
  );
});

it('shows a certificate to an upstream that wants one, below a path: Katello', async () => {
  expect(await pull(edge.url, 'katello/matrix/schema2', '1.0')).toBe(4);
});

it('asks a Pulp 3 nothing that it never has: no schema 1 beside newer forms, no image beside a list', async () => {
  const before = (await pulp.requests()).length;
  await get(`${edge.url}/v2/fresh/matrix/index/manifests/1.0`, { headers: MODERN });
  expect((await pulp.requests()).slice(before).filter(({ method }) => method === 'HEAD')).toEqual([]);
  const { direct, cold } = await countRequests(pulp, edge.host, 'fresh/', 'matrix/index');
  expect(cold).toBeLessThanOrEqual(direct);
});

it('tells the users of engines from before 1.8 that the upstream is away, not that there is no image', async () => {
  await pulp.services.front.stop();
  try {
    const pulled = pullAsOldEngine({ version: '1.7.1', host: edge.host, name: 'plain/nobody/knows', reference: '1.0' });
    await expect(pulled).rejects.toThrow(/Status 400 .*did not answer/);
  } finally {
    await pulp.services.front.start();
  }
});

describe('gantry sync from pulp3+http', () => {
  it('publishes all distributions, private ones into their realm, and asks two requests where nothing has changed', async () => {
    await push(pulp, sourceOf('schema2'), 'hidden/app:1.0');
    await makePrivate(pulp, 'hidden/app');
    const config = join(folder, 'sync.yaml');
    await writeFile(
      config,
      `repositories:\n  - from: pulp3+${pulp.url}\n    to: mirror/*\n    private: { realm: hidden }\n`,
    );
    const sync = async (): Promise<string> => {
      const { code, stderr } = await gantry(['sync', config, '--state', join(folder, 'state'), '--json'], {
        env: {
          ...process.env,
          GANTRY_KEY: join(folder, 'key.pem'),
          PULP_USERNAME: ADMIN.username,
          PULP_PASSWORD: ADMIN.password,
        },
      });
      return `${stderr}exit ${String(code)}`;
    };
    expect(await sync()).toMatch(/exit 0$/);
    const before = (await pulp.requests()).length;
    expect(await sync()).toMatch(/exit 0$/);
    expect((await pulp.requests()).length - before).toBeLessThanOrEqual(2);
    expect(await readFile(config, 'utf8')).toContain('pulp3+');
  });
});

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
