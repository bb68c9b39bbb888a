import type { Command } from 'commander';
import type { Point } from '../deploy/preflight.ts';
import type { WorkerSize } from '../deploy/worker-size.ts';
import type { Wrangler } from '../deploy/wrangler.ts';
import type { Environment } from '../cli/environment.ts';
import { CommandError, EXIT } from '../cli/errors.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Options {
  readonly config?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

/** Adds `gantry deploy`. */
export function register(program: Command, _openTarget: OpenTarget, environment: Environment): void {
  program
    .command('deploy')
    .description('check that the Cloudflare account has everything the Worker needs, and deploy it with its annex')
    .option('--config <file>', 'the wrangler.toml of the Worker (default: the one in the gantry package)')
    .option('--dry-run', 'check and build, but deploy nothing')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Checks the login, the account, the bucket, the address, the annex, the cache and the secrets.
If something is missing, the report has the command that fixes it, and nothing is deployed.
The annex (a second Worker with pages and pull-through) is deployed first, with a configuration
derived from the Worker's. Wrangler uploads both, and its variables CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID apply.

Examples:
  $ gantry deploy --dry-run
  $ CLOUDFLARE_API_TOKEN=… gantry deploy
  $ gantry deploy --config ./wrangler.production.toml

Exit codes: 0 deployed (or ready to deploy), 1 something is missing or failed, 2 usage error.`,
    )
    .action((options: Options) => run(options, environment));
}

async function run(options: Options, environment: Environment): Promise<void> {
  const [{ OWN_CONFIG }, { readDeployConfig }, { preflight }, { askAccount, openWrangler }] = await Promise.all([
    import('../local/wrangler-config.ts'),
    import('../deploy/deploy-config.ts'),
    import('../deploy/preflight.ts'),
    import('../deploy/wrangler.ts'),
  ]);
  const { config: path = OWN_CONFIG, dryRun = false, json = false } = options;
  const config = await readDeployConfig(path);
  const wrangler = await openWrangler(path, environment.variables);
  const chosen = environment.variables.CLOUDFLARE_ACCOUNT_ID;
  const account = await askAccount(wrangler, config, chosen === '' ? undefined : chosen);
  const points = preflight(config, account, chosen === '' ? undefined : chosen);
  const missing = points.filter(({ kind }) => kind === 'missing');
  const ready = missing.length === 0;
  if (!json) process.stdout.write(`${linesOf(path, points).join('\n')}\n`);
  // A build finds faults in the code and in the file without an account.
  const sizes = ready || dryRun ? await deploy(path, environment.variables, { dryRun, json }) : null;
  if (json) {
    const [worker, annex] = [sizes?.worker, sizes?.annex].map((size) =>
      size ? { startBytes: size.start, totalBytes: size.total } : null,
    );
    process.stdout.write(
      `${JSON.stringify({ config: path, ready, deployed: ready && !dryRun, worker, annex, points })}\n`,
    );
    if (!ready) process.exitCode = EXIT.failed;
  } else if (!ready) {
    throw new CommandError(missing.length === 1 ? 'a check failed' : `${String(missing.length)} checks failed`, {
      hint: 'Nothing was deployed. Fix the points marked ✗ above, and try again.',
    });
  }
}

/** Builds the Worker and the annex; Wrangler deploys them, or checks whether it can. */
async function deploy(
  path: string,
  variables: Environment['variables'],
  options: { readonly dryRun: boolean; readonly json: boolean },
): Promise<{ readonly worker: WorkerSize; readonly annex: WorkerSize | null }> {
  const [{ splitWorkers }, { withDeployment }, { openWrangler }, { sizeOf }] = await Promise.all([
    import('../local/worker-bundle.ts'),
    import('../deploy/deployment.ts'),
    import('../deploy/wrangler.ts'),
    import('../deploy/worker-size.ts'),
  ]);
  const workers = await splitWorkers(path);
  const sizes = { worker: sizeOf(workers.worker), annex: workers.annex === null ? null : sizeOf(workers.annex) };
  if (!options.json) process.stdout.write(sizeLines(sizes));
  await withDeployment(path, workers, async ({ worker, annex }) => {
    // The annex goes first: a Worker cannot be bound to one that does not exist.
    for (const [what, config] of [
      ['annex', annex],
      ['Worker', worker],
    ] as const) {
      if (config === null) continue;
      const wrangler = await openWrangler(config, variables);
      if (options.dryRun) mustEnd(await wrangler.ask(['deploy', '--dry-run']), `the ${what} cannot be deployed`);
      // Wrangler's output must not mix with JSON on standard output.
      else if (options.json) mustEnd(await wrangler.ask(['deploy']), `the ${what} could not be deployed`);
      else
        mustEnd({ code: await wrangler.run(['deploy']), stdout: '', stderr: '' }, `the ${what} could not be deployed`);
    }
  });
  return sizes;
}

function sizeLines({ worker, annex }: { readonly worker: WorkerSize; readonly annex: WorkerSize | null }): string {
  const line = (what: string, { start, total }: WorkerSize): string =>
    `${MARKS.there} the ${what} is built: ${kib(start)} at start, ${kib(total)} in total (gzip)\n`;
  return line('Worker', worker) + (annex === null ? '' : line('annex', annex));
}

function mustEnd({ code, stdout, stderr }: Awaited<ReturnType<Wrangler['ask']>>, message: string): void {
  if (code === 0) return;
  process.stderr.write(stdout + stderr);
  throw new CommandError(message, { hint: 'See the output of Wrangler above.' });
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
