import type { Command } from 'commander';
import { parseRepositoryName } from '../../registry/name.ts';
import { CommandError, EXIT } from '../cli/errors.ts';
import { readRealmTable } from '../cli/realm-table.ts';
import { DEFAULT_STATE, type OpenTarget } from '../stores/target.ts';
import { formatBytes, progressLine, terminalWidth } from '../cli/terminal-text.ts';
import { faultsRemain, verifyLines } from '../verify/report.ts';
import { verify } from '../verify/verify.ts';

interface Options {
  readonly to: string;
  readonly state: string;
  readonly config?: string;
  readonly sample: string;
  readonly repair?: true;
  readonly jobs: string;
  readonly json?: true;
}

/** Adds `gantry verify`. */
export function register(program: Command, openTarget: OpenTarget): void {
  program
    .command('verify')
    .description(
      'look through the bucket: hash everything or a sample, find what is missing, damaged or listed wrongly',
    )
    .argument('[name]', 'only this repository, and the blobs it needs')
    .option('--to <target>', 'the bucket: local, or s3://BUCKET', 'local')
    .option('--state <folder>', 'where the local store is', DEFAULT_STATE)
    .option('--config <file>', 'the wrangler.toml with the realm table (default: ./wrangler.toml)')
    .option(
      '--sample <share>',
      'hash only this share of the blobs, chosen at random: 5%; all else is always looked at',
      '100%',
    )
    .option('--repair', 'write lists, referrers and manifests anew from the tag objects; remove damaged blobs')
    .option('--jobs <n>', 'blobs hashed at once', '4')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nWhile somebody publishes, lists may lag behind the tags: look again when they are done.' +
        '\n\nExamples:\n  $ gantry verify\n  $ gantry verify library/busybox --to s3://bucket\n  $ gantry verify --sample 5% --repair\n' +
        '\nExit code: 0 if nothing is wrong (any more), 1 if faults remain, 2 for wrong usage.',
    )
    .action((name: string | undefined, options: Options) => run(name, options, openTarget));
}

async function run(text: string | undefined, options: Options, openTarget: OpenTarget): Promise<void> {
  const name = text === undefined ? undefined : parseRepositoryName(text);
  if (name === null)
    throw new CommandError(`"${text ?? ''}" is no repository name`, {
      kind: 'usage',
      hint: 'Give the name without a tag.',
    });
  const sample = shareOf(options.sample);
  if (sample === null)
    throw new CommandError(`--sample ${options.sample} is no share`, { kind: 'usage', hint: 'Write 5% or 0.05.' });
  const jobs = Number(options.jobs);
  if (!Number.isSafeInteger(jobs) || jobs < 1)
    throw new CommandError(`--jobs ${options.jobs} is no number of jobs`, { kind: 'usage' });
  const table = await readRealmTable(options.config);
  const target = await openTarget({ to: options.to, state: options.state, env: process.env });
  const progress = progressLine();
  try {
    const report = await verify(target.store, {
      table,
      sample,
      jobs,
      repair: options.repair === true,
      ...(name === undefined ? {} : { name }),
      onProgress: ({ what, done, total, bytes }) =>
        progress.show(
          total === 0
            ? `${what} …`
            : `${what} ${String(done)}/${String(total)}${bytes === 0 ? '' : `, ${formatBytes(bytes)}`}`,
        ),
    });
    progress.clear();
    const lines = [`verify · ${target.title}`, ...verifyLines(report, terminalWidth())];
    process.stdout.write(options.json === true ? `${JSON.stringify(report, null, 2)}\n` : `${lines.join('\n')}\n`);
    if (faultsRemain(report)) process.exitCode = EXIT.failed;
  } finally {
    progress.clear();
    await target.close();
  }
}

/** `5%` or `0.05`; null if it is none from 0 to 1. */
export function shareOf(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text);
  if (match === null) return null;
  const share = Number(match[1]) / (match[2] === '%' ? 100 : 1);
  return share <= 1 ? share : null;
}
