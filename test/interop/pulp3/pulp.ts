/** A real Pulp 3: database, Redis, API, content app and worker, as Pulp's documentation has them, in a folder and on ports of its own. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, must } from '../programs.ts';
import { type Administrator, createAdministrator } from './administrator.ts';
import { makeOnce, openEnvironment, type PulpEnvironment } from './environment.ts';
import { createDatabase, launch, makePostgres, makeRedis, processService, type Service } from './services.ts';

/** Pulp's administrator. */
export const ADMIN = { username: 'admin', password: 'pulp-admin' } as const;

/** One request as Pulp's access log has it. */
export interface LoggedRequest {
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  readonly status: number;
}

/** A running Pulp. */
export interface Pulp {
  /** The API: registry, token server and REST API on one port. */
  readonly url: string;
  readonly host: string;
  /** The same content by a second API process that has `TOKEN_AUTH_DISABLED`. */
  readonly openUrl: string;
  readonly openHost: string;
  /** The content app. */
  readonly contentUrl: string;
  readonly folder: string;
  readonly admin: Administrator;
  readonly environment: PulpEnvironment;
  /** Each of them can be ended and started again. */
  readonly services: Readonly<Record<PulpService, Service>>;
  /** What came in since the logs were last cleared. */
  requests(service: LoggedService): Promise<readonly LoggedRequest[]>;
  clearRequests(): Promise<void>;
  close(): Promise<void>;
}

/** Programs of a Pulp. `open` is the API without token authentication. */
export type PulpService = 'database' | 'redis' | 'api' | 'open' | 'content' | 'worker';

/** Those with an access log. */
export type LoggedService = 'api' | 'open' | 'content';

/** Starts a Pulp without any repository. Takes about ten seconds where the environment was made before, a minute where it was not. */
export async function startPulp(): Promise<Pulp> {
  const environment = await openEnvironment();
  const folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-'));
  // PostgreSQL runs as another user.
  await chmod(folder, 0o711);
  const database = await makePostgres(join(folder, 'postgres'), await databaseTemplate(environment));
  const redis = await makeRedis(join(folder, 'redis'));
  const ports = { api: await freePort(), open: await freePort(), content: await freePort() };
  const settings = await writeSettings(folder, { database: database.port, redis: redis.port, api: ports.api, content: ports.content });
  const app = (name: LoggedService, script: string, workers: number, path: string, env: NodeJS.ProcessEnv = {}): Service =>
    processService(
      ports[name],
      () =>
        launch(
          join(folder, `${name}.log`),
          environment.python,
          [
            environment.script(script),
            ...['--bind', `127.0.0.1:${String(ports[name])}`, '--workers', String(workers)],
            ...['--access-logfile', join(folder, `${name}.access`), '--access-logformat', name === 'content' ? '%r %s' : '%(m)s %(U)s?%(q)s %(s)s'],
          ],
          { env: { ...process.env, ...env, PULP_SETTINGS: settings }, cwd: folder },
        ),
      async () => (await fetch(`http://127.0.0.1:${String(ports[name])}${path}`)).ok,
      `Pulp's ${script}`,
    );
  const services = {
    database,
    redis,
    api: app('api', 'pulpcore-api', 2, '/pulp/api/v3/status/'),
    open: app('open', 'pulpcore-api', 1, '/pulp/api/v3/status/', { PULP_TOKEN_AUTH_DISABLED: 'true' }),
    content: app('content', 'pulpcore-content', 1, '/pulp/content/'),
    worker: processService(
      0,
      () =>
        launch(join(folder, 'worker.log'), environment.python, [environment.script('pulpcore-worker')], {
          env: { ...process.env, PULP_SETTINGS: settings },
          cwd: folder,
        }),
      () => Promise.resolve(true),
      "Pulp's worker",
    ),
  } satisfies Record<PulpService, Service>;
  const close = async (): Promise<void> => {
    for (const service of [services.worker, services.content, services.open, services.api, redis, database]) await service.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([database.start(), redis.start()]);
    await Promise.all([services.api.start(), services.open.start(), services.content.start(), services.worker.start()]);
  } catch (error) {
    await close();
    throw error;
  }
  const at = (port: number): string => `http://127.0.0.1:${String(port)}`;
  return {
    url: at(ports.api),
    host: `127.0.0.1:${String(ports.api)}`,
    openUrl: at(ports.open),
    openHost: `127.0.0.1:${String(ports.open)}`,
    contentUrl: at(ports.content),
    folder,
    admin: createAdministrator(at(ports.api), ADMIN),
    environment,
    services,
    requests: async (service) => readAccessLog(await readFile(join(folder, `${service}.access`), 'utf8')),
    clearRequests: async () => {
      for (const name of ['api', 'open', 'content']) await writeFile(join(folder, `${name}.access`), '', { flag: 'r+' }).then(() => undefined);
    },
    close,
  };
}

/** The data folder of a cluster with Pulp's tables and its administrator; made where it is not there yet, since that takes a quarter of a minute. */
async function databaseTemplate(environment: PulpEnvironment): Promise<string> {
  const template = `${environment.folder}-database`;
  if (!existsSync(template)) {
    await makeOnce(template, async (temporary) => {
      const folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-database-'));
      await chmod(folder, 0o711);
      const database = await makePostgres(join(folder, 'postgres'));
      try {
        await database.start();
        await createDatabase(database, 'pulp');
        const env = { ...process.env, PULP_SETTINGS: await writeSettings(folder, { database: database.port, redis: 0, api: 0, content: 0 }) };
        const manager = environment.script('pulpcore-manager');
        await must(environment.python, [manager, 'migrate', '--noinput'], { env });
        await must(environment.python, [manager, 'reset-admin-password', '--password', ADMIN.password], { env });
        await database.stop();
        await cp(join(folder, 'postgres', 'data'), temporary, { recursive: true });
      } finally {
        await database.stop();
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
  return template;
}

/** Pulp's settings with its keys and folders. Gives the path of the file. */
async function writeSettings(folder: string, ports: Readonly<Record<'database' | 'redis' | 'api' | 'content', number>>): Promise<string> {
  for (const name of ['media', 'work', 'assets', 'keys']) await mkdir(join(folder, name), { recursive: true });
  const keys = join(folder, 'keys');
  await must('openssl', ['ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', join(keys, 'private.pem')]);
  await must('openssl', ['ec', '-in', join(keys, 'private.pem'), '-pubout', '-out', join(keys, 'public.pem')]);
  await writeFile(join(keys, 'fields.key'), randomBytes(32).toString('base64').replaceAll('+', '-').replaceAll('/', '_'));
  const settings = {
    SECRET_KEY: randomBytes(24).toString('hex'),
    DATABASES: { default: { ENGINE: 'django.db.backends.postgresql', NAME: 'pulp', USER: 'pulp', HOST: '127.0.0.1', PORT: String(ports.database) } },
    REDIS_URL: `redis://127.0.0.1:${String(ports.redis)}/0`,
    DB_ENCRYPTION_KEY: join(keys, 'fields.key'),
    DEPLOY_ROOT: folder,
    MEDIA_ROOT: join(folder, 'media'),
    STATIC_ROOT: join(folder, 'assets'),
    WORKING_DIRECTORY: join(folder, 'work'),
    FILE_UPLOAD_TEMP_DIR: join(folder, 'work'),
    CONTENT_ORIGIN: `http://127.0.0.1:${String(ports.content)}`,
    TOKEN_SERVER: `http://127.0.0.1:${String(ports.api)}/token/`,
    TOKEN_SIGNATURE_ALGORITHM: 'ES256',
    PUBLIC_KEY_PATH: join(keys, 'public.pem'),
    PRIVATE_KEY_PATH: join(keys, 'private.pem'),
  };
  const flags = ['CACHE_ENABLED = True', 'FLATPAK_INDEX = True', 'ANALYTICS = False'];
  const file = join(folder, 'settings.py');
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  await writeFile(file, `${[...lines, ...flags].join('\n')}\n`);
  return file;
}

function readAccessLog(text: string): readonly LoggedRequest[] {
  return text.split('\n').flatMap((line) => {
    const [, method, path, status] = /^([A-Z]+) (\S+?)\??(?: HTTP\/\S+)? (\d{3})$/.exec(line) ?? [];
    return method === undefined || path === undefined ? [] : [{ method, path, status: Number(status) }];
  });
}
