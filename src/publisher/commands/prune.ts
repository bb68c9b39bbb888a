import { type Command, InvalidArgumentError } from 'commander';
import { matchesRepository } from '../../registry/values/name-pattern.ts';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import { addBucketOptions, type BucketOptions, type OpenBucket, withBucket } from '../cli/bucket-options.ts';
import { parseDuration } from '../cli/duration.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { abortOnInterrupt } from '../cli/interrupt.ts';
import { addNotifyOption, type NotifyOption, openNotifier } from '../cli/notify-option.ts';
import { readRepositoryPattern } from '../cli/repository-pattern.ts';
import { formatCount, paint, printJson, printLines, printMessage, tableLines } from '../cli/terminal-text.ts';
import type { TagChange } from '../notify/webhook.ts';
import { type PrunedRepository, pruneRepository } from '../retention/prune.ts';
import { purgeInParts } from '../publish/purge.ts';
import { isGlob } from '../sync/select.ts';
import type { OpenTarget } from '../stores/target.ts';
import { readCatalog } from './stored.ts';

interface Options extends BucketOptions, NotifyOption {
  readonly keep?: number;
  readonly olderThan?: number;
  readonly tags?: readonly string[];
  readonly repository?: readonly string[];
  readonly dryRun?: true;
}

/** Adds `gantry prune`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  const command = addBucketOptions(
    program.command('prune').description('remove tags by age and number; `gantry gc` later deletes what no tag needs'),
  );
  addNotifyOption(command)
    .option('--keep <n>', 'keep this many of the matching tags of each repository, those that moved last', readKeep)
    .option('--older-than <duration>', 'keep tags that moved within this time: 36h, 90d, 12w', readAge)
    .option('--tags <glob...>', "only these tags, such as 'pr-*'; '!' in front excludes (default: all)", readGlobs)
    .option(
      '--repository <pattern...>',
      'only these repositories: a name, or PREFIX/* for all below (default: all)',
      readPatterns,
    )
    .option('--dry-run', 'show what would be removed, and remove nothing')
    .addHelpText(
      'after',
      `
A tag is removed if every given condition holds; --keep or --older-than is needed. The time of a tag is that of its last
move, which \`gantry ls NAME\` shows: publishing the same image again does not change it. Immutable tags stay, and count
for no --keep. Signatures that cosign stored as tags go with the last tag of their image.

Examples:
  $ gantry prune --older-than 90d --tags 'pr-*' --dry-run
  $ gantry prune --keep 10 --older-than 90d --tags 'pr-*' --repository 'team/*'

Exit codes: 0 success, also if nothing was removed, 1 failure, 2 usage error, 130 interrupted.`,
    )
    .action((options: Options) => run(options, openTarget, environment));
}

async function run(options: Options, openTarget: OpenTarget, environment: Environment): Promise<void> {
  const { keep, olderThan, tags = [], repository: patterns = ['*'] } = options;
  if (keep === undefined && olderThan === undefined) {
    throw usageError(
      'no condition for the removal is given',
      'Give --keep, --older-than or both; `gantry rm` removes single tags.',
    );
  }
  const edge = readEdge(environment.variables);
  const warn = (message: string): void => printMessage(`warning: ${message}`);
  const notifier = await openNotifier(options, environment.variables, warn);
  const signal = abortOnInterrupt();
  const dryRun = options.dryRun === true;
  await withBucket(options, openTarget, environment, async (bucket) => {
    const { store } = bucket.target;
    const removed: TagChange[] = [];
    const repositories: PrunedRepository[] = [];
    try {
      for (const name of await matchingRepositories(bucket, patterns)) {
        signal.throwIfAborted();
        const done = await pruneRepository(name, {
          store,
          realms: bucket.realms,
          rule: { tags, keep, olderThan },
          now: Date.now(),
          dryRun,
          signal,
          onDeleted: (of, tag) => removed.push({ name: of, tag, change: 'deleted', digests: [] }),
        });
        repositories.push(done);
      }
    } finally {
      // What was removed is purged and announced even if the run failed.
      if (edge !== undefined) for (const trouble of await purgeInParts(edge, removed)) warn(trouble);
      await notifier?.send(removed);
    }
    if (options.json === true) printJson({ dryRun, repositories });
    else {
      const rows = repositories.flatMap(rowsOf);
      if (rows.length > 0) printLines(tableLines(rows));
    }
    const count = repositories.reduce((sum, { pruned }) => sum + pruned.length, 0);
    printMessage(`${formatCount(count, 'tag')} ${dryRun ? 'would be removed' : 'removed'}`);
  });
}

/** The repositories that match. Throws {@link CommandError} if a pattern matches none, which is probably a mistake. */
async function matchingRepositories(
  { target }: OpenBucket,
  patterns: readonly string[],
): Promise<readonly RepositoryName[]> {
  const names = (await readCatalog(target.store)).flatMap((text) => parseRepositoryName(text) ?? []);
  const idle = patterns.find((pattern) => pattern !== '*' && !names.some((name) => matchesRepository(pattern, name)));
  if (idle !== undefined)
    throw new CommandError(`there is no repository ${idle}`, { hint: 'List the repositories with: gantry ls' });
  return names.filter((name) => patterns.some((pattern) => matchesRepository(pattern, name)));
}

function rowsOf({ name, pruned, immutable }: PrunedRepository): string[][] {
  return [
    ...pruned.map(({ tag, moved }) => [
      `${name}:${tag}`,
      moved === undefined ? 'of a removed image' : `moved ${moved.slice(0, 16).replace('T', ' ')}`,
    ]),
    ...immutable.map((tag) => [`${name}:${tag}`, paint('doubtful', 'stays: it is immutable')]),
  ];
}

function readKeep(text: string): number {
  const count = Number(text);
  if (!/^\d{1,9}$/.test(text) || count < 1) throw new InvalidArgumentError('Give a whole number from 1.');
  return count;
}

function readAge(text: string): number {
  const age = parseDuration(text);
  if (age === null || age === 0) throw new InvalidArgumentError('Write 36h, 90d or 12w.');
  return age;
}

function readGlobs(text: string, before: readonly string[] = []): readonly string[] {
  if (!isGlob(text)) throw new InvalidArgumentError("Write a glob over tags, such as 'pr-*'.");
  return [...before, text];
}

function readPatterns(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, readRepositoryPattern(text)];
}
