/** `wrangler dev` over a state folder: the Worker as its developers run it. */
import { spawn } from 'node:child_process';
import { end, freePort, until } from './programs.ts';

/** A running `wrangler dev`. */
export interface WranglerDev {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts it on a free port and waits until the registry answers; throws with what it printed where it does not. */
export async function startWranglerDev({ state }: { readonly state: string }): Promise<WranglerDev> {
  const program = new URL('../../node_modules/wrangler/bin/wrangler.js', import.meta.url).pathname;
  const config = new URL('../../wrangler.toml', import.meta.url).pathname;
  const port = await freePort();
  const url = `http://127.0.0.1:${String(port)}`;
  const args = [
    'dev',
    '--config',
    config,
    '--ip',
    '127.0.0.1',
    '--port',
    String(port),
    '--inspector-port',
    '0',
    '--persist-to',
    state,
  ];
  const child = spawn(process.execPath, [program, ...args, '--show-interactive-dev-session=false'], {
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: '1', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  try {
    await until('wrangler dev', async () => {
      if (child.exitCode !== null) throw new Error('wrangler dev ended');
      return (await fetch(`${url}/v2/`)).status === 200;
    });
  } catch (cause) {
    await end(child);
    throw new Error(`wrangler dev did not start:\n${output.join('').slice(-2_000)}`, { cause });
  }
  return { url, close: () => end(child) };
}
