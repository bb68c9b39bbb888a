/** The programs that the suites run against: docker-registry, `gantry serve`, `gantry receive`. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { startDockerRegistry } from '../docker-registry.ts';
import { startGantry } from '../gantry-server.ts';
import { end, must } from '../programs.ts';
import type { Endpoint } from './run-suite.ts';

/** A started registry. */
export interface StartedEndpoint extends Endpoint {
  /** The state folder of a Gantry. */
  readonly state?: string;
  close(): Promise<void>;
}

/** Titles of the endpoints, as the tables and the known results have them. */
export const ENDPOINTS = {
  serve: 'gantry serve',
  receive: 'gantry receive',
  split: 'gantry serve, and receive for pushes',
  peer: 'docker-registry',
} as const;

/** The environment of every Gantry here: its own signing key, and nothing of the person's settings. */
export function gantryEnvironment(folder: string): NodeJS.ProcessEnv {
  return { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
}

/** Debian's docker-registry. */
export async function startPeer(folder: string): Promise<StartedEndpoint> {
  const registry = await startDockerRegistry(join(folder, 'peer'));
  return { title: ENDPOINTS.peer, url: `http://${registry.host}`, close: () => registry.close() };
}

/** The version that docker-registry tells. */
export async function peerVersion(): Promise<string> {
  const text = await must('docker-registry', ['--version']);
  return /\s(\d[\w.+-]*)\s*$/.exec(text)?.[1] ?? text.trim();
}

/** `gantry serve`, over a state folder of its own. */
export async function startServe(folder: string): Promise<StartedEndpoint> {
  const state = join(folder, 'serve');
  const server = await startGantry(state, { env: gantryEnvironment(folder) });
  return { title: ENDPOINTS.serve, url: server.url, state, close: () => server.close() };
}

/** `gantry receive` on a free port, with a password and with deletion, over `state` or a state folder of its own. */
export async function startReceive(folder: string, state = join(folder, 'receive')): Promise<StartedEndpoint> {
  const login = { username: 'gantry', password: 'conformance' };
  const main = new URL('../../../bin/gantry.js', import.meta.url).pathname;
  const options = ['--state', state, '--listen', '127.0.0.1:0', '--allow-delete', '--password-stdin', '--json'];
  const child = spawn(process.execPath, [main, 'receive', ...options], {
    env: gantryEnvironment(folder),
    stdio: 'pipe',
  });
  child.stdin.end(login.password);
  const output: string[] = [];
  const address = await new Promise<string>((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      output.push(chunk.toString());
      const found = /"event":"listening","address":"([^"]+)"/.exec(output.join(''))?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    child.once('close', (code) => reject(new Error(`gantry receive ended with ${String(code)}:\n${output.join('')}`)));
  });
  return { title: ENDPOINTS.receive, url: `http://${address}`, login, state, close: () => end(child) };
}
