/**
 * A real Pulp 3: database, Redis, API, content app and worker, as Pulp's documentation has them, in a folder and on
 * ports of its own.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, must } from '../programs.ts';
import { type Administrator, createAdministrator } from './administrator.ts';
import { makeOnce, openEnvironment, type PulpEnvironment } from './environment.ts';
import { freeFrontPorts, type KatelloFiles, makeFront } from './front.ts';
import { createDatabase, launch, makePostgres, makeRedis, processService, type Service } from './services.ts';

/** Pulp's administrator. */
export const ADMIN = { username: 'admin', password: 'pulp-admin' } as const;

/** One request as the web server in front of Pulp logged it. */
export interface LoggedRequest {
  readonly port: number;
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  readonly status: number;
}

/** Programs of a Pulp. `front` is the web server, `open` the API without token authentication. */
export type PulpService = 'database' | 'redis' | 'front' | 'api' | 'open' | 'content' | 'worker';

/** A running Pulp. */
export interface Pulp {
  /** Registry, token server, REST API and content app under one host, as the web server has them. */
  readonly url: string;
  readonly host: string;
  /**
   * The same registry by a second API process with `TOKEN_AUTH_DISABLED`; its blobs are those of `url`, another host.
   */
  readonly openUrl: string;
  readonly openHost: string;
  /** That one again, as Katello has it: below a path, by TLS, for whoever has a certificate. */
  readonly katelloUrl: string;
  readonly katello: KatelloFiles;
  readonly folder: string;
  readonly admin: Administrator;
  readonly environment: PulpEnvironment;
  /** Each of them can be ended and started again. */
  readonly services: Readonly<Record<PulpService, Service>>;
  /** What the web server has logged, oldest first. */
  requests(): Promise<readonly LoggedRequest[]>;
  close(): Promise<void>;
}

/**
 * Starts a Pulp without any repository. Takes a few seconds where the environment was made before, a minute where it
 * was not.
 */
export async function startPulp(): Promise<Pulp> {
  const environment = await openEnvironment();
  const folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-'));
  // PostgreSQL runs as another user.
  await chmod(folder, 0o711);
  const database = await makePostgres(join(folder, 'postgres'), await databaseTemplate(environment));
  const redis = await makeRedis(join(folder, 'redis'));
  const ports = { api: await freePort(), open: await freePort(), content: await freePort() };
  const front = await makeFront(join(folder, 'nginx'), await freeFrontPorts(), ports);
  const at = (port: number): string => `http://127.0.0.1:${String(port)}`;
  const settings = await writeSettings(folder, { database: database.port, redis: redis.port, front: front.ports.api });
  const app = (
    name: 'api' | 'open' | 'content',
    script: string,
    workers: number,
    path: string,
    env: NodeJS.ProcessEnv = {},
  ): Service =>
    processService(
      ports[name],
      () =>
        launch(
          join(folder, `${name}.log`),
          environment.python,
          [environment.script(script), '--bind', `127.0.0.1:${String(ports[name])}`, '--workers', String(workers)],
          { env: { ...process.env, ...env, PULP_SETTINGS: settings }, cwd: folder },
        ),
      async () => (await fetch(at(ports[name]) + path)).ok,
      `Pulp's ${script}`,
      // Its heartbeat ends it while the database is down.
      true,
    );
  const services = {
    database,
    redis,
    front: front.service,
    api: app('api', 'pulpcore-api', 2, '/pulp/api/v3/status/'),
    open: app('open', 'pulpcore-api', 1, '/pulp/api/v3/status/', OPEN_SETTINGS),
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
      true,
    ),
  } satisfies Record<PulpService, Service>;
  const close = async (): Promise<void> => {
    await Promise.all(
      [services.worker, services.content, services.open, services.api, services.front].map((service) => service.stop()),
    );
    await Promise.all([redis.stop(), database.stop()]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([database.start(), redis.start()]);
    await Promise.all(
      [services.api, services.open, services.content, services.worker, services.front].map((service) =>
        service.start(),
      ),
    );
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url: at(front.ports.api),
    host: `127.0.0.1:${String(front.ports.api)}`,
    openUrl: at(front.ports.open),
    openHost: `127.0.0.1:${String(front.ports.open)}`,
    katelloUrl: `https://127.0.0.1:${String(front.ports.katello)}/pulpcore_registry`,
    katello: front.katello,
    folder,
    admin: createAdministrator(at(front.ports.api), ADMIN),
    environment,
    services,
    requests: async () => readAccessLog(await readFile(front.log, 'utf8')),
    close,
  };
}

const list = (...names: readonly string[]): string => `@json ${JSON.stringify(names)}`;

/**
 * Settings of the API without token authentication: clients show who they are to the web server, as with Katello, or by
 * Basic credentials.
 */
const OPEN_SETTINGS: NodeJS.ProcessEnv = {
  PULP_TOKEN_AUTH_DISABLED: 'true',
  PULP_REMOTE_USER_ENVIRON_NAME: 'HTTP_REMOTE_USER',
  PULP_AUTHENTICATION_BACKENDS: list(
    'pulpcore.app.authentication.PulpNoCreateRemoteUserBackend',
    'django.contrib.auth.backends.ModelBackend',
    'pulpcore.backends.ObjectRolePermissionBackend',
  ),
  PULP_REST_FRAMEWORK__DEFAULT_AUTHENTICATION_CLASSES: list(
    'pulpcore.app.authentication.BasicAuthentication',
    'pulpcore.app.authentication.PulpRemoteUserAuthentication',
  ),
};

/**
 * The data folder of a cluster with Pulp's tables and its administrator; made where it is not there yet, since that
 * takes a quarter of a minute.
 */
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
        const env = {
          ...process.env,
          PULP_SETTINGS: await writeSettings(folder, { database: database.port, redis: 0, front: 0 }),
        };
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
async function writeSettings(
  folder: string,
  ports: Readonly<Record<'database' | 'redis' | 'front', number>>,
): Promise<string> {
  for (const name of ['media', 'work', 'assets', 'keys']) await mkdir(join(folder, name), { recursive: true });
  const keys = join(folder, 'keys');
  await must('openssl', ['ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', join(keys, 'private.pem')]);
  await must('openssl', ['ec', '-in', join(keys, 'private.pem'), '-pubout', '-out', join(keys, 'public.pem')]);
  await writeFile(
    join(keys, 'fields.key'),
    randomBytes(32).toString('base64').replaceAll('+', '-').replaceAll('/', '_'),
  );
  const settings = {
    SECRET_KEY: randomBytes(24).toString('hex'),
    DATABASES: {
      default: {
        ENGINE: 'django.db.backends.postgresql',
        NAME: 'pulp',
        USER: 'pulp',
        HOST: '127.0.0.1',
        PORT: String(ports.database),
      },
    },
    REDIS_URL: `redis://127.0.0.1:${String(ports.redis)}/0`,
    DB_ENCRYPTION_KEY: join(keys, 'fields.key'),
    DEPLOY_ROOT: folder,
    MEDIA_ROOT: join(folder, 'media'),
    STATIC_ROOT: join(folder, 'assets'),
    WORKING_DIRECTORY: join(folder, 'work'),
    FILE_UPLOAD_TEMP_DIR: join(folder, 'work'),
    CONTENT_ORIGIN: `http://127.0.0.1:${String(ports.front)}`,
    TOKEN_SERVER: `http://127.0.0.1:${String(ports.front)}/token/`,
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
    const [port, method, path, status] = line.split(' ');
    // Clients try TLS first: that is no request.
    return method === undefined || path === undefined || method === '-'
      ? []
      : [{ port: Number(port), method, path, status: Number(status) }];
  });
}
