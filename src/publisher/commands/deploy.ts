import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { WorkerSize } from '../deploy/deployment.ts';
import type { OpenProof } from '../deploy/after-deployment.ts';
import type { Point } from '../deploy/preflight.ts';
import type { Environment } from '../cli/environment.ts';
import { CommandError, EXIT } from '../cli/errors.ts';
import { printJson, printLines, progressLine, terminalWidth } from '../cli/terminal-text.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Options {
  readonly config?: string;
  readonly dryRun?: true;
  readonly doctor: boolean;
  readonly image?: string;
  readonly json?: true;
}

/** Adds `gantry deploy`. */
export function register(program: Command, _openTarget: OpenTarget, environment: Environment): void {
  program
    .command('deploy')
    .description('check that the Cloudflare account has everything the Worker needs, and deploy it')
    .option('--config <file>', 'the wrangler.toml of the Worker (default: the one in the gantry package)')
    .option('--dry-run', 'check and build, but deploy nothing')
    .option('--no-doctor', 'do not examine the deployment at the end')
    .option('--image <name[:tag]>', 'the image to examine it with (default: the first in the catalogue)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Checks the login, the account, the bucket, the address, the cache and the secrets.
If something is missing, the report has the command that fixes it, and nothing is deployed.
Wrangler builds and deploys the Worker: \`npx wrangler deploy\` gives the same deployment without the checks.
Its variables CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID apply.
At the end \`gantry doctor --deployed\` examines the address of wrangler.toml, or GANTRY_EDGE_URL; with PURGE_TOKEN in
the environment it also tests the cache. A first deployment has no DNS, no certificate and no image yet: that is not a
failure.

Examples:
  $ gantry deploy --dry-run
  $ CLOUDFLARE_API_TOKEN=… gantry deploy
  $ gantry deploy --config ./wrangler.production.toml

Exit codes: 0 deployed (or ready to deploy), 1 something is missing, failed, or is wrong with the deployment,
2 usage error.`,
    )
    .action((options: Options) => run(options, environment));
}

async function run(options: Options, environment: Environment): Promise<void> {
  const [{ OWN_CONFIG }, { readDeployConfig }, { preflight }, { accountIdOf, openWrangler, readAccount }] =
    await Promise.all([
      import('../local/wrangler-config.ts'),
      import('../deploy/deploy-config.ts'),
      import('../deploy/preflight.ts'),
      import('../deploy/wrangler.ts'),
    ]);
  const { dryRun = false, json = false } = options;
  // Wrangler and esbuild have working folders of their own.
  const path = resolve(options.config ?? OWN_CONFIG);
  const config = await readDeployConfig(path);
  const wrangler = await openWrangler(path, environment.variables);
  const named = environment.variables.CLOUDFLARE_ACCOUNT_ID;
  const chosen = named === '' ? undefined : named;
  const account = await readAccount(wrangler, config, chosen);
  const accountId = accountIdOf(account?.accounts ?? [], config, chosen);
  const points = preflight(config, account, chosen);
  const missing = points.filter(({ kind }) => kind === 'missing');
  const ready = missing.length === 0;
  if (!json) printLines(linesOf(path, points));
  const proof =
    ready && !dryRun && options.doctor
      ? (await import('../deploy/after-deployment.ts')).openProof(config, environment.variables, {
          timeoutMs: TIMEOUT_MS,
          insecure: false,
          ...(options.image !== undefined && { image: options.image }),
        })
      : null;
  const before = (await proof?.lookFirst()) ?? null;
  // A build finds errors in the code and in the configuration; it needs no account.
  const size =
    ready || dryRun
      ? await (
          await import('../deploy/deployment.ts')
        ).deployWorker(accountId === null ? wrangler : wrangler.forAccount(accountId), {
          dryRun,
          quiet: json,
          // With them and the secret ANALYTICS_TOKEN, the pages read the statistics.
          ...(config.pullDataset !== null &&
            accountId !== null && { vars: { PULLS_DATASET: config.pullDataset, PULLS_ACCOUNT: accountId } }),
        })
      : null;
  if (!json && size !== null) process.stdout.write(sizeLine(size));
  const proved = proof === null ? null : await proveAloud(proof, before);
  if (proved?.verdict === 'faulty') process.exitCode = EXIT.failed;
  if (json) {
    const doctor = proved === null ? null : (await import('../deploy/proof-report.ts')).proofJson(proved);
    printJson({ config: path, ready, deployed: ready && !dryRun, worker: size, points, doctor });
    if (!ready) process.exitCode = EXIT.failed;
    return;
  }
  if (proved !== null) printLines((await import('../deploy/proof-report.ts')).proofLines(proved, terminalWidth()));
  else if (proof !== null) printLines(['! not examined: no address is known. Run `gantry doctor URL --deployed`.']);
  if (!ready) {
    throw new CommandError(
      missing.length === 1 ? 'something is missing' : `${String(missing.length)} things are missing`,
      { hint: 'Nothing was deployed. Add what is marked ✗ above, and try again.' },
    );
  }
}

async function proveAloud(
  { prove }: OpenProof,
  before: Parameters<OpenProof['prove']>[0],
): ReturnType<OpenProof['prove']> {
  const progress = progressLine();
  try {
    return await prove(before, (what) => progress.show(`${what} …`));
  } finally {
    progress.clear();
  }
}

/** For each answer of what was deployed. */
const TIMEOUT_MS = 20_000;

function sizeLine({ bytes, gzipBytes }: WorkerSize): string {
  return `${MARKS.there} the Worker is built: ${kib(bytes)}, ${kib(gzipBytes)} with gzip\n`;
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}

const MARKS = { there: '✓', missing: '✗', advice: '!', unknown: '?' } as const satisfies Record<Point['kind'], string>;

function linesOf(path: string, points: readonly Point[]): readonly string[] {
  return [
    `deploy · ${path}`,
    ...points.flatMap(({ kind, what, todo }) => [
      `${MARKS[kind]} ${what}`,
      ...(todo === undefined ? [] : [`  ${todo}`]),
    ]),
  ];
}
