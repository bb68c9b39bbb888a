/**
 * Runs every command of the documents that needs no more than this machine, each document against a local registry of
 * its own. Three things differ from what a reader has: the address of the registry, `gantry` for `npm run gantry --`
 * with its own store, and an image made here in place of those on the public network.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUSYBOX_PROGRAMS, makeBusybox } from '../interop/busybox.ts';
import { type DockerDaemon, startDockerDaemon } from '../interop/docker-daemon.ts';
import { type GantryServer, startGantry } from '../interop/gantry-server.ts';
import { missingPrograms, run, titleWith } from '../interop/programs.ts';
import { type Block, blocksOf, DOCUMENTS, ROOT } from './blocks.ts';

const RUNNABLE = await Promise.all(
  DOCUMENTS.map(async (file) => ({
    file,
    blocks: blocksOf(await readFile(join(ROOT, file), 'utf8'))
      .map((block, index, all) => ({ ...block, output: outputOf(all[index + 1]) }))
      .filter(({ language, needs }) => language === 'sh' && (needs.length === 0 || needs[0] === 'docker')),
  })),
);

/** Images on the public network, for which the one that was made here stands in. */
const ELSEWHERE = /(--all )?docker:\/\/(?:docker\.io\/library\/busybox:latest|old\.example\/app:1)/g;

/** Bounds a command that hangs; a busy machine takes minutes for what a quiet one does in seconds. */
const TIMEOUT = 600_000;

const missing = missingPrograms(...BUSYBOX_PROGRAMS, 'curl');
const noDocker = missingPrograms('dockerd');

/** The image and the engine, which all documents share: they take longer to start than most commands to run. */
let shared: string;
let image: string;
let docker: DockerDaemon | undefined;

beforeAll(async () => {
  shared = await mkdtemp(join(tmpdir(), 'gantry-docs-'));
  if (missing.length > 0) return;
  await mkdir(join(shared, 'image'));
  image = await makeBusybox(join(shared, 'image'));
  const wantsDocker = RUNNABLE.some(({ blocks }) => blocks.some(({ needs }) => needs[0] === 'docker'));
  if (noDocker.length === 0 && wantsDocker) docker = await startDockerDaemon(join(shared, 'docker'));
}, TIMEOUT);

afterAll(async () => {
  await docker?.close();
  await rm(shared, { recursive: true, force: true });
}, TIMEOUT);

describe.skipIf(missing.length > 0).each(RUNNABLE.filter(({ blocks }) => blocks.length > 0))(
  titleWith('the commands of $file', missing),
  ({ blocks }) => {
    let folder: string;
    let server: GantryServer;
    let env: NodeJS.ProcessEnv;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'gantry-docs-'));
      const bin = join(folder, 'bin');
      await Promise.all([mkdir(bin), mkdir(join(folder, 'work'))]);
      env = {
        ...process.env,
        PATH: `${bin}:${process.env.PATH ?? ''}`,
        GANTRY_KEY: join(folder, 'key.pem'),
        NO_COLOR: '1',
      };
      server = await startGantry(join(folder, 'state'), { env });
      const main = join(ROOT, 'bin', 'gantry.js');
      // Commands that open no bucket have no option `--state`.
      await program(
        bin,
        'gantry',
        `case "$1" in key|token|doctor|convert|completion|deploy|--*) set -- "$@" ;; *) set -- "$@" --state '${server.state}' ;; esac\nexec '${process.execPath}' '${main}' "$@"`,
      );
      if (docker !== undefined) {
        const socket = `unix://${join(shared, 'docker', 'docker.sock')}`;
        await program(bin, 'docker', `exec /usr/bin/docker --host '${socket}' "$@"`);
      }
    }, TIMEOUT);

    afterAll(async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    }, TIMEOUT);

    it.for(blocks.map((block) => ({ ...block, first: block.text.split('\n')[0] ?? '' })))(
      'line $line: $first',
      { timeout: TIMEOUT },
      async ({ text, needs, output }, context) => {
        if (needs[0] === 'docker' && docker === undefined) context.skip('dockerd not installed');
        const script = text
          .replaceAll('127.0.0.1:8787', server.host)
          .replace(/npm run (?:-s )?gantry -- /g, 'gantry ')
          .replace(ELSEWHERE, (_, all: string | undefined) => `${all ?? ''}oci:${image}:latest`);
        const { code, stdout, stderr } = await run('sh', ['-eu', '-c', script], { cwd: join(folder, 'work'), env });
        expect(`${script}\n${stdout}\n${stderr}\nexit ${String(code)}`).toMatch(/exit 0$/);
        if (output !== null) expect(stdout.trim()).toBe(output);
      },
    );
  },
);

/** What the block before must print: the text of a block `text output`; null for any other. */
function outputOf(block: Block | undefined): string | null {
  return block?.language === 'text' && block.needs[0] === 'output' ? block.text : null;
}

async function program(bin: string, name: string, script: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, name), 0o755);
}
