/** Debian's docker-registry (distribution 2.8.2) as a peer on loopback. */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { end, freePort, until } from './programs.ts';

/** A running registry. `host` is `127.0.0.1:port`. */
export interface DockerRegistry {
  readonly host: string;
  readonly pid: number;
  close(): Promise<void>;
}

/** Starts a registry that keeps its content below `folder`; `htpasswd`: path of a password file to ask for Basic credentials. */
export async function startDockerRegistry(
  folder: string,
  options: { htpasswd?: string } = {},
): Promise<DockerRegistry> {
  const port = await freePort();
  const host = `127.0.0.1:${String(port)}`;
  await mkdir(folder, { recursive: true });
  const config = join(folder, 'config.yml');
  await writeFile(
    config,
    [
      'version: 0.1',
      'log: { level: error }',
      `storage: { filesystem: { rootdirectory: ${JSON.stringify(join(folder, 'data'))} }, delete: { enabled: true } }`,
      `http: { addr: ${JSON.stringify(host)} }`,
      'compatibility: { schema1: { enabled: true } }',
      ...(options.htpasswd === undefined
        ? []
        : [`auth: { htpasswd: { realm: test, path: ${JSON.stringify(options.htpasswd)} } }`]),
      '',
    ].join('\n'),
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  await until('docker-registry', async () => (await fetch(`http://${host}/v2/`)).status < 500);
  return { host, pid: child.pid ?? NaN, close: () => end(child) };
}
