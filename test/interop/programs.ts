/** Which real programs a test needs, and running them. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Whether `GANTRY_INTEROP=required` makes a missing program a failure instead of a skip. */
const REQUIRED = process.env.GANTRY_INTEROP === 'required';

/** The programs of the list that are not installed. Throws, naming them, where they are required. */
export function missingPrograms(...names: readonly string[]): readonly string[] {
  const missing = names.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
  if (missing.length > 0 && REQUIRED)
    throw new Error(`GANTRY_INTEROP=required, but not installed: ${missing.join(', ')}`);
  return missing;
}

/** A test's title with the programs that it needs and that are not there, so that a skip says what is missing. */
export function titleWith(title: string, missing: readonly string[]): string {
  return missing.length === 0 ? title : `${title} [skipped: ${missing.join(', ')} not installed]`;
}

/** What a finished program left. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; rejects only if it cannot be started. */
export async function run(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: Uint8Array; signal?: AbortSignal } = {},
): Promise<Finished> {
  const child = spawn(command, args, {
    env: options.env ?? process.env,
    cwd: options.cwd,
    signal: options.signal,
    stdio: 'pipe',
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}

/** Runs a program that must succeed; gives its standard output. */
export async function must(
  command: string,
  args: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${String(code)}\n${stderr}\n${stdout}`);
  return stdout;
}

/** Runs the gantry command from its sources. */
export function gantry(args: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<Finished> {
  return run(process.execPath, [new URL('../../bin/gantry.js', import.meta.url).pathname, ...args], options);
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/**
 * Asks again and again, as fast as answers come, until `probe` gives true; for programs that do not say when they are
 * ready.
 */
export async function until(what: string, probe: () => Promise<boolean>, milliseconds = 30_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await probe().catch(() => false))) {
    if (Date.now() > end) throw new Error(`${what} was not ready after ${String(milliseconds)} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Ends a child and waits for it; kills it if it does not go. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await closed;
  clearTimeout(timer);
}
