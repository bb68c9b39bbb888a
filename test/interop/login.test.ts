/**
 * Real clients and a protected repository: Docker's and skopeo's logins, and engines before 1.10 with both kinds of
 * challenge.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalServer, startServer } from '../../src/publisher/local/server.ts';
import { type DockerDaemon, startDockerDaemon } from './docker-daemon.ts';
import { buildLibtrust, type Verify } from './libtrust.ts';
import { publishForms } from './matrix/images.ts';
import { type Blobs, greetingLayer, type MadeImage, makeImage, programLayer, writeDir } from './matrix/layout.ts';
import { OLD_ENGINES, type OldEngine, OldEngineError, pullAsOldEngine } from './matrix/old-engine.ts';
import { hashOfTree } from './matrix/tree.ts';
import { gantry, missingPrograms, run, titleWith } from './programs.ts';

const OPEN = 'open/image';
const SECRET = 'team/secret';
const REALMS = [{ pattern: 'team/*', realm: 'team' }];

const noBusybox = missingPrograms('busybox');
const noDocker = missingPrograms('dockerd', 'busybox');
const noSkopeo = missingPrograms('skopeo', 'busybox');
const noGo = missingPrograms('go');

let folder: string;
let daemon: DockerDaemon | undefined;
let verify: Verify | undefined;
let image: MadeImage;
let source: string;

beforeAll(async () => {
  if (noBusybox.length > 0) return;
  folder = await mkdtemp(join(tmpdir(), 'gantry-login-'));
  const blobs: Blobs = new Map();
  image = await makeImage(blobs, 'docker', [await programLayer(), greetingLayer('for those who may')]);
  source = await writeDir(join(folder, 'image'), blobs, image.manifest);
  if (noDocker.length === 0) daemon = await startDockerDaemon(join(folder, 'docker'));
  if (noGo.length === 0) verify = await buildLibtrust();
});

afterAll(async () => {
  if (noBusybox.length > 0) return;
  await daemon?.close();
  await rm(folder, { recursive: true, force: true });
});

describe.skipIf(noBusybox.length > 0).each(['bearer', 'basic', 'bearer with a signing key'] as const)(
  titleWith('where /v2/ asks for %s', noBusybox),
  (way) => {
    let server: LocalServer;
    let host: string;
    let token: string;
    const login = (password: string): { user: string; password: string } => ({ user: 'ci', password });

    beforeAll(async () => {
      const own = join(folder, way.replaceAll(' ', '-'));
      await mkdir(own);
      const config = join(own, 'realms.toml');
      await writeFile(config, '[[vars.REALMS]]\npattern = "team/*"\nrealm = "team"\n');
      const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
      const made = await gantry(['token', 'create', '--realm', 'team', '--name', 'ci', '--json']);
      const { token: text, line } = JSON.parse(made.stdout) as { token: string; line: string };
      token = text;
      const signingKey = way === 'bearer with a signing key' ? (await gantry(['token', 'key'])).stdout : undefined;
      server = await startServer({
        port: 0,
        state: join(own, 'state'),
        vars: {
          REALMS: JSON.stringify(REALMS),
          ACCESS: JSON.stringify({ login: way === 'basic' ? 'basic' : 'bearer', service: 'registry.test' }),
          TOKENS: line,
          ...(signingKey !== undefined && { TOKEN_SIGNING_KEY: signingKey }),
        },
      });
      host = new URL(server.url).host;
      for (const name of [OPEN, SECRET])
        await publishForms({ state: join(own, 'state'), env }, source, `${name}:1`, ['--config', config]);
    });

    afterAll(async () => {
      await server.close();
    });

    it.skipIf(noDocker.length > 0)(
      titleWith('docker pulls a protected image after docker login, and not before', noDocker),
      async () => {
        if (daemon === undefined) throw new Error('no engine');
        const config = join(folder, `docker-config-${way.replaceAll(' ', '-')}`);
        const before = await daemon.dockerAs(config, 'pull', `${host}/${SECRET}:1`);
        expect(before.code).not.toBe(0);
        const open = await daemon.dockerAs(config, 'pull', `${host}/${OPEN}:1`);
        // With Basic an engine that has no password stops, whatever it wants.
        expect(open.code === 0).toBe(way !== 'basic');
        const wrong = await daemon.dockerAs(
          config,
          'login',
          '--username',
          'ci',
          '--password',
          `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`,
          host,
        );
        expect(wrong.code).not.toBe(0);
        const right = await daemon.dockerAs(config, 'login', '--username', 'ci', '--password', token, host);
        expect(right.stdout + right.stderr).toContain('Login Succeeded');
        for (const name of [SECRET, OPEN]) {
          const pulled = await daemon.dockerAs(config, 'pull', `${host}/${name}:1`);
          expect(pulled.stdout + pulled.stderr).toContain(`Digest: ${image.manifest.digest}`);
          await daemon.docker('rmi', '--force', image.config.digest);
        }
      },
    );

    it.skipIf(noSkopeo.length > 0)(
      titleWith('skopeo copies a protected image with --src-creds, and not without', noSkopeo),
      async () => {
        const copy = (name: string, ...options: readonly string[]): ReturnType<typeof run> =>
          run(
            'skopeo',
            [
              'copy',
              '--src-tls-verify=false',
              ...options,
              `docker://${host}/${name}:1`,
              `dir:${join(folder, 'copied')}`,
            ],
            {
              env: { ...process.env, REGISTRY_AUTH_FILE: join(folder, 'no-auth.json') },
            },
          );
        expect((await copy(SECRET, '--src-creds', `ci:${token}`)).stderr).toBe('');
        expect((await copy(OPEN)).code).toBe(0);
        const refused = await copy(SECRET);
        expect([refused.code === 0, /unauthorized|authentication required|denied/i.test(refused.stderr)]).toEqual([
          false,
          true,
        ]);
        expect((await copy(SECRET, '--src-creds', 'ci:wrong')).code).not.toBe(0);
      },
    );

    it.each(Object.keys(OLD_ENGINES) as OldEngine[])(
      titleWith('Docker %s pulls a protected image with its login, and not without', noGo),
      async (version) => {
        const pull = { version, host, reference: '1', ...(verify && { verify }) };
        const secret = await pullAsOldEngine({ ...pull, name: SECRET, login: login(token) });
        expect(hashOfTree(secret.tree)).toBe(hashOfTree(image.tree));
        expect(secret.requests.some((request) => request.startsWith('GET /token?'))).toBe(way !== 'basic');
        await expect(pullAsOldEngine({ ...pull, name: SECRET, login: login('wrong') })).rejects.toThrow(OldEngineError);
        await expect(pullAsOldEngine({ ...pull, name: SECRET })).rejects.toThrow(OldEngineError);
        const open = pullAsOldEngine({ ...pull, name: OPEN });
        if (way === 'basic') await expect(open).rejects.toThrow('no basic auth credentials');
        else expect(hashOfTree((await open).tree)).toBe(hashOfTree(image.tree));
      },
    );
  },
);
