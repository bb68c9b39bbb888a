/** PostgreSQL and Redis for one Pulp: in a folder of its own, on ports of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { end, freePort, must, run, until } from '../programs.ts';
import { postgresPrograms } from './environment.ts';

/** A server that can be ended and started again, with the same content on the same port. */
export interface Service {
  readonly port: number;
  start(): Promise<void>;
  /** Ends it at once, as an outage does. */
  stop(): Promise<void>;
}

/** Milliseconds until a service must be ready: a busy machine starts Django's workers slowly. */
const START_TIMEOUT = 180_000;

/** Milliseconds between the end of a supervised program and its next start. */
const RESTART_AFTER = 500;

/**
 * A service that is one process. `isReady` is asked until it gives true. `supervised`: if it ends by itself, it is
 * started again, as a supervisor does.
 */
export function processService(
  port: number,
  launch: () => Promise<ChildProcess>,
  isReady: () => Promise<boolean>,
  what: string,
  supervised = false,
): Service {
  let child: ChildProcess | null = null;
  let wanted = false;
  const begin = async (): Promise<void> => {
    const started = await launch();
    if (!wanted) return end(started, 'SIGINT');
    child = started;
    if (supervised)
      started.once('exit', () => {
        if (wanted && child === started) setTimeout(() => void (wanted ? begin() : undefined), RESTART_AFTER);
      });
  };
  return {
    port,
    start: async () => {
      wanted = true;
      await begin();
      await until(
        what,
        async () => {
          if (!supervised && (child?.exitCode ?? child?.signalCode ?? null) !== null)
            return Promise.reject(new Error(`${what} ended`));
          return isReady();
        },
        START_TIMEOUT,
      );
    },
    stop: async () => {
      wanted = false;
      if (child !== null) await end(child, 'SIGINT');
      child = null;
    },
  };
}

/** Whatever still runs when this process ends, is ended with it. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill();
});

/** Starts a program whose output goes to a file. */
export async function launch(
  logFile: string,
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; uid?: number; gid?: number } = {},
): Promise<ChildProcess> {
  const log = await open(logFile, 'a');
  try {
    const child = spawn(command, args, { ...options, stdio: ['ignore', log.fd, log.fd] });
    running.add(child);
    child.once('close', () => running.delete(child));
    return child;
  } finally {
    await log.close();
  }
}

/**
 * A PostgreSQL cluster below `folder`, with the role `pulp` and no password. `template`: a data folder that another one
 * left, to begin with.
 */
export async function makePostgres(folder: string, template?: string): Promise<Service> {
  const programs = await postgresPrograms();
  if (programs === null) throw new Error('PostgreSQL is not installed');
  const data = join(folder, 'data');
  await mkdir(folder, { recursive: true });
  const user = await postgresUser();
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  if (template === undefined) {
    const options = ['--pgdata', data, '--auth=trust', '--username=pulp', '--no-sync', '--locale=C.UTF-8'];
    const child = await launch(join(folder, 'log'), join(programs, 'initdb'), options, { ...user, cwd: folder });
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`initdb ended with ${String(code)}: see ${join(folder, 'log')}`);
  } else {
    await cp(template, data, { recursive: true });
    if (user !== undefined) await must('chown', ['-R', `${String(user.uid)}:${String(user.gid)}`, data]);
    await chmod(data, 0o700);
  }
  const port = await freePort();
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    // Nothing of it outlives the test.
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    shared_buffers: '64MB',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return processService(
    port,
    () => launch(join(folder, 'log'), join(programs, 'postgres'), ['-D', data, ...options], { ...user, cwd: folder }),
    async () => (await run(join(programs, 'pg_isready'), connection(port))).code === 0,
    'PostgreSQL',
  );
}

/** Makes an empty database in a running cluster. */
export async function createDatabase({ port }: Service, name: string): Promise<void> {
  await must(join((await postgresPrograms()) ?? '', 'createdb'), [...connection(port), name]);
}

function connection(port: number): readonly string[] {
  return ['--host=127.0.0.1', `--port=${String(port)}`, '--username=pulp'];
}

/** Who runs PostgreSQL, which refuses to be run by root: then the user that Debian made for it. */
async function postgresUser(): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  return { uid: Number(await must('id', ['-u', 'postgres'])), gid: Number(await must('id', ['-g', 'postgres'])) };
}

/** A Redis that keeps nothing on disk. */
export async function makeRedis(folder: string): Promise<Service> {
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const options = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder];
  return processService(
    port,
    () => launch(join(folder, 'log'), 'redis-server', options),
    async () => (await must('redis-cli', ['-p', String(port), 'ping'])).trim() === 'PONG',
    'Redis',
  );
}
