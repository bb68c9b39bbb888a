/** Programs under measurement: how long they take, what of the processor and of memory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuSeconds, memoryOf } from './process-figures.ts';

/** Starts the bundle. */
export const START_BUNDLE: string = fileURLToPath(new URL('../../bin/start-bundle.js', import.meta.url));

/** What a program took. */
export interface Taken {
  /** Until it had ended. */
  readonly seconds: number;
  /** Seconds of processor time, to the last look at it, some milliseconds before its end. */
  readonly cpu: number;
  /** Bytes of memory at most. */
  readonly peak: number;
}

/**
 * Runs the command as an installed package does: the bundle, with compiled code. The signing key and the compiled code
 * are kept in the folder, not at home.
 */
export function gantry(args: readonly string[], env: Readonly<Record<string, string>>, folder: string): Promise<Taken> {
  return watched(process.execPath, [START_BUNDLE, ...args], {
    ...env,
    GANTRY_KEY: join(folder, 'signing-key.pem'),
    XDG_CACHE_HOME: join(folder, 'cache'),
  });
}

/** Runs a program and watches it. Throws if it fails. */
export async function watched(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Taken> {
  const begun = performance.now();
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  let [cpu, peak] = [0, 0];
  // The kernel adds both up: the last look tells all.
  const watch = setInterval(() => {
    const now = memoryOf(child.pid ?? 0, 'VmHWM');
    if (now === null) return;
    peak = now;
    cpu = cpuSeconds(child.pid ?? 0);
  }, 10);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(watch);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${String(code)}\n${said}`);
  return { seconds: (performance.now() - begun) / 1_000, cpu, peak };
}

/** Seconds that some work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1_000;
}
