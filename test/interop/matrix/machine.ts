/** Where clients run: this machine, or a folder with another Debian. Both see the same files and the same network. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { type Finished, must, run } from '../programs.ts';

/** A place that has programs. */
export interface Machine {
  readonly title: string;
  /** Where this process finds what the machine calls `path`: what it mounts is seen nowhere else. */
  outside(path: string): string;
  /** Whether it has the program. */
  has(program: string): Promise<boolean>;
  run(program: string, args: readonly string[], options?: { readonly env?: NodeJS.ProcessEnv }): Promise<Finished>;
  /** As {@link run}; rejects if it fails. Gives its standard output. */
  must(program: string, args: readonly string[], options?: { readonly env?: NodeJS.ProcessEnv }): Promise<string>;
  /** Starts it; standard output comes as a pipe, standard error goes to `log` (a file descriptor) or nowhere. */
  start(program: string, args: readonly string[], log?: number): ChildProcess;
}

/** Only what the distribution installed: other programs of the same names may stand elsewhere. */
const PATH = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/libexec/docker/cli-plugins'].join(':');

/**
 * A machine: this one, or the one below `root`. `programs`: a folder with more programs, which it finds last, the same
 * inside and outside.
 */
export function machineAt(title: string, root?: string, programs?: string): Machine {
  const path = programs === undefined ? PATH : `${PATH}:${programs}`;
  const environment = (own: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({ ...process.env, PATH: path, ...own });
  const words = (program: string, args: readonly string[]): [string, string[]] =>
    root === undefined ? [program, [...args]] : ['chroot', [root, program, ...args]];
  return {
    title,
    outside: (path) => (root === undefined ? path : join(root, path)),
    has: async (program) =>
      (await run(...words('sh', ['-c', `command -v ${program}`]), { env: environment() })).code === 0,
    run: (program, args, { env } = {}) => run(...words(program, args), { env: environment(env) }),
    must: (program, args, { env } = {}) => must(...words(program, args), { env: environment(env) }),
    start: (program, args, log) =>
      spawn(...words(program, args), { env: environment(), stdio: ['ignore', 'pipe', log ?? 'ignore'] }),
  };
}
