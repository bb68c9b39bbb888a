import type { Command } from 'commander';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import { parseDuration } from '../cli/duration.ts';
import type { Environment } from '../cli/environment.ts';
import { EXIT, usageError } from '../cli/errors.ts';
import { collect } from '../gc/collect.ts';
import { collectLines } from '../gc/report.ts';
import type { OpenTarget } from '../stores/target.ts';
import { printJson, printLines, progressLine, terminalWidth } from '../cli/terminal-text.ts';

interface Options extends BucketOptions {
  readonly grace: string;
  readonly delete?: true;
  readonly dropRealm?: readonly string[];
}

/** Adds `gantry gc`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  addBucketOptions(
    program.command('gc').description('find manifests and blobs that no tag needs; delete them with --delete'),
  )
    .option(
      '--grace <duration>',
      'how long an object must have been unneeded before it is deleted: 90m, 24h, 7d; under 30m only if no publish is running',
      '24h',
    )
    .option('--delete', 'record unneeded objects, and delete those recorded for the whole grace period')
    .option('--drop-realm <realm...>', 'also collect these realms, which are no longer in the realm table')
    .addHelpText(
      'after',
      '\nWithout --delete, nothing is changed. It is safe while publishers of this version run.' +
        '\nRun it daily: one run records unneeded objects, a later run deletes them.' +
        '\n\nExamples:\n  $ gantry gc\n  $ gantry gc --to s3://bucket --delete\n' +
        '\nExit codes: 0 success, 1 an object could not be read or deleted, 2 usage error.' +
        '\nAn unreadable object is kept, with everything that it may need.',
    )
    .action((options: Options) => run(options, openTarget, environment));
}

async function run(options: Options, openTarget: OpenTarget, environment: Environment): Promise<void> {
  const grace = parseDuration(options.grace);
  if (grace === null) throw usageError(`--grace ${options.grace} is not a duration`, 'Write 90m, 24h, 7d or 0.');
  await withBucket(options, openTarget, environment, async ({ target, realms: table }) => {
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
      if (options.json === true) printJson(report, 2);
      else printLines([`gc · ${target.title}`, ...collectLines(report, options.delete === true, terminalWidth())]);
      if (report.blocked.length > 0) process.exitCode = EXIT.failed;
    } finally {
      progress.clear();
    }
  });
}
