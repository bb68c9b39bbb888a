/** Gantry's commands as processes that are killed or stopped at moments that chance picks. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.ts';

const MAIN = new URL('../../bin/gantry.js', import.meta.url).pathname;

/** What is done to a process, in milliseconds after its start. */
export type Blow =
  | { readonly kind: 'kill'; readonly after: number }
  | { readonly kind: 'stop'; readonly after: number; readonly milliseconds: number }
  | { readonly kind: 'none' };

/** Picks one: mostly to kill. */
export function blowOf(random: Random, most: number): Blow {
  const what = random();
  const after = 50 + Math.floor(random() * most);
  if (what < 0.6) return { kind: 'kill', after };
  return what < 0.85 ? { kind: 'stop', after, milliseconds: 200 + Math.floor(random() * 2_000) } : { kind: 'none' };
}

/** What became of a process. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
  /** Whether the blow came before it ended by itself. */
  readonly struck: boolean;
}

/** A running command. */
export interface Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

/** Longer takes no command, a lease that is waited for included. Milliseconds. */
const MOST = 240_000;

/** Starts `gantry ARGS`. */
export function startGantryProcess(args: readonly string[], env: NodeJS.ProcessEnv): Running {
  return startModule(MAIN, args, env);
}

/** Starts a module of Node's. */
export function startModule(module: string, args: readonly string[], env: NodeJS.ProcessEnv): Running {
  const child = spawn(process.execPath, [module, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const timer = setTimeout(() => child.kill('SIGKILL'), MOST);
  const ended = (async (): Promise<Ended> => {
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(timer);
    return { code, output: Buffer.concat(chunks).toString(), struck: false };
  })();
  return { pid: child.pid ?? NaN, ended, kill: (signal) => void child.kill(signal) };
}

/** Runs a command and strikes it. */
export async function runStruck(args: readonly string[], env: NodeJS.ProcessEnv, blow: Blow): Promise<Ended> {
  const running = startGantryProcess(args, env);
  if (blow.kind === 'none') return running.ended;
  const isOver = await Promise.race([running.ended.then(() => true), sleep(blow.after, false)]);
  if (isOver) return running.ended;
  if (blow.kind === 'kill') running.kill('SIGKILL');
  else {
    running.kill('SIGSTOP');
    await sleep(blow.milliseconds);
    running.kill('SIGCONT');
  }
  return { ...(await running.ended), struck: true };
}
