import type { Command } from 'commander';
import { parseRepositoryName } from '../../registry/name.ts';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import type { Environment } from '../cli/environment.ts';
import { EXIT, usageError } from '../cli/errors.ts';
import type { OpenTarget } from '../stores/target.ts';
import { formatBytes } from '../../registry/values/byte-size.ts';
import { printJson, printLines, progressLine, terminalWidth } from '../cli/terminal-text.ts';
import { faultsRemain, verifyLines } from '../verify/report.ts';
import { verify } from '../verify/verify.ts';

interface Options extends BucketOptions {
  readonly sample: string;
  readonly repair?: true;
  readonly jobs: string;
}

/** Adds `gantry verify`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  addBucketOptions(
    program
      .command('verify')
      .description('check the bucket: hash all blobs or a sample, and find missing, damaged or wrongly listed objects')
      .argument('[name]', 'check only this repository and its blobs'),
  )
    .option(
      '--sample <share>',
      'hash only this share of the blobs, chosen at random (5%); everything else is always checked',
      '100%',
    )
    .option('--repair', 'rewrite lists, referrers and manifests from the tag objects; remove damaged blobs')
    .option('--jobs <n>', 'blobs hashed in parallel', '4')
    .addHelpText(
      'after',
      '\nWhile a publish runs, lists may lag behind the tags: check again when it is done.' +
        '\n\nExamples:\n  $ gantry verify\n  $ gantry verify library/busybox --to s3://bucket\n  $ gantry verify --sample 5% --repair\n' +
        '\nExit codes: 0 no faults, or all were repaired; 1 faults remain; 2 usage error.',
    )
    .action((name: string | undefined, options: Options) => run(name, options, openTarget, environment));
}

async function run(
  text: string | undefined,
  options: Options,
  openTarget: OpenTarget,
  environment: Environment,
): Promise<void> {
  const name = text === undefined ? undefined : parseRepositoryName(text);
  if (name === null) throw usageError(`"${text ?? ''}" is not a valid repository name`, 'Give the name without a tag.');
  const sample = shareOf(options.sample);
  if (sample === null) throw usageError(`--sample ${options.sample} is not a share`, 'Write 5% or 0.05.');
  const jobs = Number(options.jobs);
  if (!Number.isSafeInteger(jobs) || jobs < 1) throw usageError(`--jobs ${options.jobs} is not a number of jobs`);
  await withBucket(options, openTarget, environment, async ({ target, realms: table }) => {
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
      if (options.json === true) printJson(report, 2);
      else printLines(lines);
      if (faultsRemain(report)) process.exitCode = EXIT.failed;
    } finally {
      progress.clear();
    }
  });
}

/** Parses `5%` or `0.05`; null if it is not a share from 0 to 1. */
export function shareOf(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text);
  if (match === null) return null;
  const share = Number(match[1]) / (match[2] === '%' ? 100 : 1);
  return share <= 1 ? share : null;
}
