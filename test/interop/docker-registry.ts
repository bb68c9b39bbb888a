/** Debian's docker-registry (distribution 2.8.2) as a peer on loopback. */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { end, freePort, must, until } from './programs.ts';

/** A running registry. `host` is `127.0.0.1:port`. */
export interface DockerRegistry {
  readonly host: string;
  readonly pid: number;
  close(): Promise<void>;
}

/**
 * Starts a registry that keeps its content below `folder`; `htpasswd`: path of a password file to ask for Basic
 * credentials.
 */
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

/**
 * Saves an image as schema 1 with a name, by way of a registry: `skopeo copy --format v2s1` straight into a folder
 * writes an empty one, on which Docker 1.6 and 1.7 crash. `from`: a skopeo source; `to`: the folder; `work`: a folder
 * for the registry.
 */
export async function saveSchema1(from: string, to: string, work: string): Promise<void> {
  const registry = await startDockerRegistry(work);
  try {
    const there = `docker://${registry.host}/saved/image:1`;
    await must('skopeo', ['copy', '--format', 'v2s1', '--dest-tls-verify=false', from, there]);
    await must('skopeo', ['copy', '--src-tls-verify=false', there, `dir:${to}`]);
  } finally {
    await registry.close();
  }
}
