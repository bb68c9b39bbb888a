/** What a job of a CI service has in these tests: a bucket on loopback, an edge to purge, and programs on its PATH. */
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../docs/blocks.ts';
import { gantry } from '../interop/programs.ts';
import { startS3Bed } from '../publisher/stores/s3-bed.ts';

/** A running job. */
export interface Job {
  readonly folder: string;
  readonly bucket: string;
  /** The credentials of the bucket, as variables. */
  readonly credentials: NodeJS.ProcessEnv;
  /** The environment without them. */
  readonly env: NodeJS.ProcessEnv;
  readonly edge: string;
  /** The bodies of purges that the edge got with the right token. */
  readonly purges: string[];
  /** The lines of `gantry ls NAME`. */
  tags(name: string): Promise<string>;
  close(): Promise<void>;
}

/** The secret that the edge wants. */
export const PURGE_TOKEN = 'purge-token-of-the-test';

/** Starts it. */
export async function startJob(): Promise<Job> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-ci-'));
  const bed = await startS3Bed();
  const purges: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const isAllowed = request.headers.authorization === `Bearer ${PURGE_TOKEN}`;
      if (isAllowed) purges.push(Buffer.concat(chunks).toString());
      response.writeHead(isAllowed ? 200 : 401, { 'content-type': 'application/json' }).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bin = join(folder, 'bin');
  await mkdir(bin);
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  await program(bin, 'gantry', `exec '${process.execPath}' '${join(ROOT, 'bin', 'gantry.js')}' "$@"`);
  // What is installed is what is tested here, so nothing is fetched.
  const [major = ''] = version.split('.');
  await program(
    bin,
    'npm',
    `case "$*" in "install --global "*"gantry-registry@${version}" | *@${major}) ;; *) exit 1 ;; esac`,
  );
  const { AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = bed.env;
  const credentials = { AWS_ENDPOINT_URL_S3: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY };
  const env: NodeJS.ProcessEnv = {
    PATH: `${bin}:${process.env.PATH ?? ''}`,
    HOME: folder,
    GANTRY_KEY: join(folder, 'key.pem'),
    NO_COLOR: '1',
  };
  return {
    folder,
    bucket: `s3://${bed.bucket}`,
    credentials,
    env,
    edge: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    purges,
    tags: async (name) => {
      const { stdout, stderr } = await gantry(['ls', name, '--to', `s3://${bed.bucket}`], {
        env: { ...env, ...credentials },
      });
      return stdout + stderr;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await bed.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function program(bin: string, name: string, script: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, name), 0o755);
}
