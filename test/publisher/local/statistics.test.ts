/** Pull statistics of the local registry: what it counts is what `gantry stats` and the pages show. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startServer, type LocalServer } from '../../../src/publisher/local/server.ts';
import { seedDemo } from '../../../src/publisher/local/demo.ts';
import { MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { gantry } from '../../interop/programs.ts';
import { expectDescribed } from '../../json-output.ts';

let root: string;
let server: LocalServer;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gantry-statistics-'));
  server = await startServer({
    port: 0,
    state: join(root, 'state'),
    countPulls: true,
    prepare: (store) => seedDemo(store, join(root, 'key.pem'), { onMessage: () => undefined }),
  });
});
afterAll(async () => {
  await server.close();
  await rm(root, { recursive: true, force: true });
});

it('counts each pull once, and shows it on the page and by the command', async () => {
  const manifest = `${server.url}/v2/demo/hello/manifests/latest`;
  const pull = async (method: string, headers: Record<string, string>): Promise<void> => {
    const response = await fetch(manifest, { method, headers });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  };
  const accept = MEDIA_TYPE_OF_FORM['docker-schema2'];
  await pull('GET', { accept: MEDIA_TYPE_OF_FORM['docker-schema1'], 'user-agent': 'docker/1.9.1 go/go1.4.3' });
  await pull('HEAD', { accept, 'user-agent': 'docker/28.5.2 go/go1.24.9' });
  await pull('HEAD', { accept, 'user-agent': 'docker/28.5.2 go/go1.24.9' });
  await pull('HEAD', { accept, 'user-agent': 'curl/8.14.1' });
  // A data point is written behind the response.
  await expect
    .poll(
      async () => {
        const { stdout } = await gantry(['stats', 'demo/hello', '--state', server.folder.root, '--json']);
        expectDescribed('stats', stdout);
        const { pulls } = JSON.parse(stdout) as { pulls: Record<string, unknown>[] };
        return pulls.map(({ tag, client, form, pulls: amount }) => [tag, client, form, amount]);
      },
      { timeout: 30_000 },
    )
    .toEqual([
      ['latest', 'docker', 'docker-schema2', 2],
      ['latest', 'docker before 1.10', 'docker-schema1', 1],
    ]);
  const page = await (await fetch(`${server.url}/r/demo/hello:latest`)).text();
  expect(page).toContain('3 pulls');
  expect(page).toMatch(/docker before 1\.10.*Docker schema 1/s);
});
