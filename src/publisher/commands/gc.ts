import type { Command } from 'commander';
import { CommandError, EXIT } from '../cli/errors.ts';
import { collect } from '../gc/collect.ts';
import { collectLines } from '../gc/report.ts';
import { DEFAULT_STATE, type OpenTarget } from '../stores/target.ts';
import { progressLine, terminalWidth } from '../cli/terminal-text.ts';
import { readRealmTable } from '../cli/realm-table.ts';

interface Options {
  readonly to: string;
  readonly state: string;
  readonly config?: string;
  readonly grace: string;
  readonly delete?: true;
  readonly dropRealm?: readonly string[];
  readonly json?: true;
}

/** Adds `gantry gc`. */
export function register(program: Command, openTarget: OpenTarget): void {
  program
    .command('gc')
    .description('find manifests and blobs that no tag needs, and delete them with --delete')
    .option('--to <target>', 'the bucket: local, or s3://BUCKET', 'local')
    .option('--state <folder>', 'where the local store is', DEFAULT_STATE)
    .option('--config <file>', 'the wrangler.toml with the realm table (default: ./wrangler.toml)')
    .option(
      '--grace <duration>',
      'how long something must be known to be unneeded: 90m, 24h, 7d; 0 only if nobody publishes',
      '24h',
    )
    .option('--delete', 'note what nothing needs, and delete what was noted for the whole grace period')
    .option('--drop-realm <realm...>', 'also collect this realm, which the realm table does not name any more')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nWithout --delete nothing is changed. Safe beside publishers of this version. Run it daily: what one run notes, a later one deletes.' +
        '\n\nExamples:\n  $ gantry gc\n  $ gantry gc --to s3://bucket --delete\n' +
        '\nExit code: 0 if all went well, 1 if something could not be read (it is kept, with all that it may need) or deleted, 2 for wrong usage.',
    )
    .action((options: Options) => run(options, openTarget));
}

async function run(options: Options, openTarget: OpenTarget): Promise<void> {
  const grace = parseDuration(options.grace);
  if (grace === null)
    throw new CommandError(`--grace ${options.grace} is no duration`, {
      kind: 'usage',
      hint: 'Write 90m, 24h, 7d or 0.',
    });
  const table = await readRealmTable(options.config);
  const target = await openTarget({ to: options.to, state: options.state, env: process.env });
  const progress = progressLine();
  try {
    const report = await collect(target.store, {
      table,
      grace,
      remove: options.delete === true,
      droppedRealms: new Set(options.dropRealm),
      onProgress: (what, done, total) =>
        progress.show(total === 0 ? `${what} …` : `${what} ${String(done)}/${String(total)}`),
    });
    progress.clear();
    const text =
      options.json === true
        ? JSON.stringify(report, null, 2)
        : [`gc · ${target.title}`, ...collectLines(report, options.delete === true, terminalWidth())].join('\n');
    process.stdout.write(`${text}\n`);
    if (report.blocked.length > 0) process.exitCode = EXIT.failed;
  } finally {
    progress.clear();
    await target.close();
  }
}

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Parses `90m`, `24h`, `7d` or `0` as milliseconds; null if it is not a duration. */
export function parseDuration(text: string): number | null {
  if (/^0+$/.test(text)) return 0;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(text);
  return match === null ? null : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}
