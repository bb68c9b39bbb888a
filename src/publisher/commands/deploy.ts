import type { Command } from 'commander';
import type { Point } from '../deploy/preflight.ts';
import type { Environment } from '../environment.ts';
import { CommandError, EXIT } from '../errors.ts';
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
    .description('look whether everything is there that the Worker needs at Cloudflare, and deploy it')
    .option('--config <file>', 'the wrangler.toml of the Worker (default: the one that came with gantry)')
    .option('--dry-run', 'look, and build the Worker, but deploy nothing')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Looks at the login, the account, the bucket, the address, the cache and the secrets. What is missing is named with the command that mends it, and nothing
is deployed. Wrangler does the rest; its variables (CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID) hold here too.

Examples:
  $ gantry deploy --dry-run
  $ CLOUDFLARE_API_TOKEN=… gantry deploy
  $ gantry deploy --config ./wrangler.production.toml

Exit code: 0 deployed (or ready to be), 1 something is missing or failed, 2 wrong usage.`,
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
  // A build shows faults of the code and of the file, which need no account.
  if (dryRun)
    await mustEnd(
      wrangler.ask(['deploy', '--dry-run']).then(({ code, stdout, stderr }) => ({ code, said: stdout + stderr })),
      'the Worker cannot be built',
    );
  if (json) process.stdout.write(`${JSON.stringify({ config: path, ready, deployed: ready && !dryRun, points })}\n`);
  if (!ready && json) {
    process.exitCode = EXIT.failed;
    return;
  }
  if (!ready) {
    throw new CommandError(missing.length === 1 ? 'something is missing' : `${String(missing.length)} things are missing`, {
      hint: 'Nothing was deployed. Mend what is marked ✗ above, and try again.',
    });
  }
  if (dryRun) return;
  // Wrangler's own words belong to what a person reads, not to the data.
  if (json)
    await mustEnd(
      wrangler.ask(['deploy']).then(({ code, stdout, stderr }) => ({ code, said: stdout + stderr })),
      'the Worker could not be deployed',
    );
  else
    await mustEnd(
      wrangler.run(['deploy']).then((code) => ({ code, said: '' })),
      'the Worker could not be deployed',
    );
}

async function mustEnd(work: Promise<{ readonly code: number | null; readonly said: string }>, message: string): Promise<void> {
  const { code, said } = await work;
  if (code === 0) return;
  process.stderr.write(said);
  throw new CommandError(message, { hint: 'Wrangler says why above.' });
}

const MARKS = { there: '✓', missing: '✗', advice: '!', unknown: '?' } as const satisfies Record<Point['kind'], string>;

function linesOf(path: string, points: readonly Point[]): readonly string[] {
  return [`deploy · ${path}`, ...points.flatMap(({ kind, what, todo }) => [`${MARKS[kind]} ${what}`, ...(todo === undefined ? [] : [`  ${todo}`])])];
}
