/** The local registry, started as a person would: `gantry serve`. */
import { spawn } from 'node:child_process';
import { end } from './programs.ts';

/** A running local registry. `host` is `127.0.0.1:port`. */
export interface GantryServer {
  readonly host: string;
  readonly url: string;
  /** The state folder, for `--state`. */
  readonly state: string;
  close(): Promise<void>;
}

/** Starts `gantry serve` on a free port over `state` and waits until it says where it listens. */
export async function startGantry(
  state: string,
  options: { env?: NodeJS.ProcessEnv; args?: readonly string[] } = {},
): Promise<GantryServer> {
  const main = new URL('../../bin/gantry.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [main, 'serve', '--port', '0', '--state', state, ...(options.args ?? [])], {
    env: options.env ?? process.env,
    stdio: 'pipe',
  });
  const output: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      output.push(chunk.toString());
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output.join(''));
      if (found !== null) resolve(found[0]);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('close', (code) => reject(new Error(`gantry serve ended with ${String(code)}:\n${output.join('')}`)));
  });
  return { url, host: url.slice('http://'.length), state, close: () => end(child) };
}
