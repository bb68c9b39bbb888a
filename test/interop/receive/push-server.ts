/** The local registry with its push endpoint, as `npm start -- --push` starts it. */
import { spawn } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { end } from '../programs.ts';

const MAIN = new URL('../../../bin/gantry.js', import.meta.url).pathname;

/** It runs. */
export interface PushServer {
  /** `127.0.0.1:port` that takes pushes. */
  readonly push: string;
  /** `127.0.0.1:port` of the edge over the same store. */
  readonly edge: string;
  close(): Promise<void>;
}

/** Starts it below `folder`, and waits until it listens. */
export async function startPushServer(folder: string): Promise<PushServer> {
  await mkdir(folder, { recursive: true });
  const args = ['serve', '--port', '0', '--push', '127.0.0.1:0', '--json', '--state', join(folder, 'state')];
  const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  const log = await open(join(folder, 'log'), 'w');
  const server = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', log.fd] });
  if (server.stdout === null) throw new Error('the server has no output');
  const lines = createInterface(server.stdout);
  const first = await lines[Symbol.asyncIterator]().next();
  if (first.done === true) throw new Error('gantry serve ended before it listened');
  const { url, push } = JSON.parse(first.value) as { url: string; push: string };
  server.stdout.resume();
  return {
    push,
    edge: new URL(url).host,
    close: async () => {
      await end(server);
      await log.close();
    },
  };
}
