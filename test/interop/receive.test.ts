/** What `gantry receive` and `gantry serve --push` do beyond single pushes, which `receive/clients.test.ts` tries. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUSYBOX_PROGRAMS, makeBusybox } from './busybox.ts';
import { expectDescribed } from '../json-output.ts';
import { end, gantry, missingPrograms, must, titleWith } from './programs.ts';

const MAIN = new URL('../../bin/gantry.js', import.meta.url).pathname;
const missing = missingPrograms(...BUSYBOX_PROGRAMS);

let folder: string;
let state: string;
let layout: string;
let endpoint: ChildProcess;
let host: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  if (missing.length > 0) return;
  folder = await mkdtemp(join(tmpdir(), 'gantry-receive-'));
  state = join(folder, 'state');
  env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem'), TMPDIR: folder };
  layout = await makeBusybox(folder);
  const args = [MAIN, 'receive', '--state', state, '--listen', '127.0.0.1:0', '--json', '--allow-delete'];
  endpoint = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  if (endpoint.stdout === null) throw new Error('the endpoint has no output');
  const lines = createInterface(endpoint.stdout);
  const { value } = (await lines[Symbol.asyncIterator]().next()) as { value: string };
  host = (JSON.parse(value) as { address: string }).address;
});
afterAll(async () => {
  if (missing.length > 0) return;
  await end(endpoint);
  await rm(folder, { recursive: true, force: true });
});

describe.skipIf(missing.length > 0)(titleWith('gantry receive', missing), () => {
  it('joins the forms of one image that come one after the other, each as uploaded', async () => {
    for (const format of ['v2s2', 'v2s1'])
      await must('skopeo', [
        ...['copy', '-q', `--format=${format}`, '--dest-tls-verify=false'],
        ...[`oci:${layout}:latest`, `docker://${host}/joined/app:1`],
      ]);
    const shown = await gantry(['inspect', 'joined/app:1', '--state', state, '--json'], { env });
    const { forms } = JSON.parse(shown.stdout) as { forms: { form: string; source: string | { kind: string } }[] };
    const published = forms
      .filter(({ source }) => JSON.stringify(source).includes('published'))
      .map(({ form }) => form);
    expect(published.sort()).toEqual(['docker-schema1', 'docker-schema2']);
  });

  it('runs a command that finds its address in GANTRY_PUSH, and ends with its exit code', async () => {
    const receive = ['receive', '--state', join(folder, 'other'), '--listen', '127.0.0.1:0', '--'];
    const push = `skopeo copy -q --dest-tls-verify=false oci:${layout}:latest docker://$GANTRY_PUSH/a:1`;
    expect((await gantry([...receive, 'sh', '-c', push], { env })).code).toBe(0);
    expect((await gantry(['ls', 'a', '--state', join(folder, 'other')], { env })).stdout).toMatch(/^1 /m);
    expect((await gantry([...receive, 'sh', '-c', 'exit 7'], { env })).code).toBe(7);
  });

  it('refuses to be reached from other machines without a password', async () => {
    const { code, stderr } = await gantry(['receive', '--listen', '0.0.0.0:0', '--state', join(folder, 'none')], {
      env,
    });
    expect([code, stderr]).toEqual([2, expect.stringContaining('--password-stdin')]);
  });
});

describe.skipIf(missing.length > 0)(titleWith('gantry serve --push', missing), () => {
  it('takes pushes into the local registry, which serves them in every form', async () => {
    const args = [MAIN, 'serve', '--port', '0', '--push', '127.0.0.1:0', '--json', '--state', join(folder, 'served')];
    const server = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const lines = createInterface(server.stdout);
      const { value } = (await lines[Symbol.asyncIterator]().next()) as { value: string };
      expectDescribed('serve', value);
      const { url, push } = JSON.parse(value) as { url: string; push: string };
      const to = `docker://${push}/local/app:1`;
      await must('skopeo', ['copy', '-q', '--format=v2s2', '--dest-tls-verify=false', `oci:${layout}:latest`, to]);
      for (const accept of [
        'application/vnd.docker.distribution.manifest.v1+prettyjws',
        'application/vnd.docker.distribution.manifest.v2+json',
        'application/vnd.oci.image.manifest.v1+json',
      ]) {
        const response = await fetch(`${url}/v2/local/app/manifests/1`, { headers: { accept } });
        expect(response.headers.get('content-type')).toBe(accept);
        await response.body?.cancel();
      }
    } finally {
      await end(server);
    }
  });

  it('listens on loopback addresses only', async () => {
    const { code, stderr } = await gantry(['serve', '--push', '0.0.0.0:0', '--state', join(folder, 'none')], { env });
    expect(stderr).toMatch(/can be reached from other machines/);
    expect(code).toBe(2);
  });
});
