/**
 * Building and deploying the Worker. Wrangler does both, so that `gantry deploy` and `npx wrangler deploy` give the
 * same deployment.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { CommandError } from '../cli/errors.ts';
import { helpFor, readApiErrors } from './api-errors.ts';
import type { Wrangler } from './wrangler.ts';

/** Size of the Worker's one module, minified, in bytes. */
export interface WorkerSize {
  readonly bytes: number;
  readonly gzipBytes: number;
}

/** How {@link deployWorker} runs. */
export interface DeployOptions {
  /** Build only. */
  readonly dryRun: boolean;
  /** Whether Wrangler's own output is kept from the terminal, and shown only if it fails. */
  readonly quiet: boolean;
  /** Variables beside those of wrangler.toml. */
  readonly vars?: Readonly<Record<string, string>>;
}

/** Builds the Worker and, unless `dryRun` is set, deploys it. Throws {@link CommandError}. */
export async function deployWorker(
  wrangler: Wrangler,
  { dryRun, quiet, vars = {} }: DeployOptions,
): Promise<WorkerSize> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-deploy-'));
  try {
    if (dryRun) return await buildWorker(wrangler, folder);
    const more = Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
    const args = ['deploy', '--outdir', folder, ...more];
    const { code, stdout, stderr } = quiet ? await wrangler.capture(args) : await wrangler.run(args);
    if (quiet && code !== 0) process.stderr.write(stdout + stderr);
    mustSucceed(code, stdout + stderr, 'the Worker could not be deployed');
    return await sizeOf(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Builds the Worker into a folder, as `index.js`, without deploying it. Throws {@link CommandError}. */
export async function buildWorker(wrangler: Wrangler, folder: string): Promise<WorkerSize> {
  const { code, stdout, stderr } = await wrangler.capture(['deploy', '--dry-run', '--outdir', folder]);
  if (code !== 0) process.stderr.write(stdout + stderr);
  mustSucceed(code, stdout + stderr, 'the Worker cannot be built');
  return sizeOf(folder);
}

async function sizeOf(folder: string): Promise<WorkerSize> {
  const code = await readFile(join(folder, 'index.js'));
  return { bytes: code.length, gzipBytes: gzipSync(code, { level: 9 }).length };
}

function mustSucceed(code: number | null, output: string, message: string): void {
  if (code === 0) return;
  const help = helpFor(readApiErrors(output));
  if (help === null) throw new CommandError(message, { hint: "Wrangler's output above says why." });
  throw new CommandError(`${message}: ${help.what}`, { hint: help.todo });
}
