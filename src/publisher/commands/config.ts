import { Argument, type Command } from 'commander';
import { type BucketSettings, changeSettings, readSettings } from '../../bucket/format.ts';
import {
  type ImmutableRule,
  type ImmutableRules,
  isSameRule,
  withRules,
} from '../../bucket/settings/immutable-tags.ts';
import { addBucketOptions, type BucketOptions, type OpenBucket, withBucket } from '../cli/bucket-options.ts';
import type { Environment } from '../cli/environment.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { readRepositoryPattern } from '../cli/repository-pattern.ts';
import { printJson, printLines, printMessage, tableLines } from '../cli/terminal-text.ts';
import type { OpenTarget } from '../stores/target.ts';
import { isTagPattern } from '../../registry/values/name-pattern.ts';

/** The settings that a bucket has. */
const SETTINGS = ['immutable'] as const;

interface RuleOptions extends BucketOptions {
  readonly repository?: string;
  readonly allowForce?: true;
}

/** Adds `gantry config` with its commands. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  const config = program
    .command('config')
    .description('show and change the settings that are stored in the bucket, which every publisher obeys')
    .addHelpText(
      'after',
      `
Settings:
  immutable   patterns of tags that stay where they are: publish, receive, sync and rm refuse to move or delete them,
              pull-through, prune and gc leave them; * stands for any characters

Examples:
  $ gantry config set immutable 'v*' --repository 'team/*'
  $ gantry config list
  $ gantry config unset immutable 'v*' --repository 'team/*'

A program that knows no settings refuses to write to a bucket that has some.
Exit codes: 0 success, 1 failure, 2 usage error.`,
    );
  const change = (options: RuleOptions, how: (settings: BucketSettings) => BucketSettings): Promise<void> =>
    withBucket({ ...options, create: true }, openTarget, environment, async ({ target }) => {
      print(await changeSettings(target.store, how), options);
    });
  const show = ({ target }: OpenBucket, options: BucketOptions): Promise<void> =>
    readSettings(target.store).then((settings) => print(settings, options));
  const setting = (): Argument => new Argument('<setting>', 'the setting').choices(SETTINGS);

  addBucketOptions(config.command('list').description('show all settings')).action((options: BucketOptions) =>
    withBucket(options, openTarget, environment, (bucket) => show(bucket, options)),
  );
  addBucketOptions(config.command('get').description('show one setting').addArgument(setting())).action(
    (_setting: string, options: BucketOptions) =>
      withBucket(options, openTarget, environment, (bucket) => show(bucket, options)),
  );
  addBucketOptions(
    config
      .command('set')
      .description('add rules to a setting; a rule for the same patterns is replaced')
      .addArgument(setting())
      .argument('<pattern...>', 'tags; * stands for any characters'),
  )
    .option(
      '--repository <pattern>',
      'only these repositories: a name, or PREFIX/* for all below (default: all)',
      readRepositoryPattern,
    )
    .option('--allow-force', 'let `gantry publish --force` and `gantry rm --force` change such a tag')
    .action((_setting: string, patterns: readonly string[], options: RuleOptions) => {
      const added = patterns.map((tags) => ruleOf(tags, options));
      return change(options, ({ immutable }) => ({ immutable: withRules(immutable, added) }));
    });
  addBucketOptions(
    config
      .command('unset')
      .description('remove rules from a setting: those of the patterns, or all')
      .addArgument(setting())
      .argument('[pattern...]', 'tags, as they were set; none: all'),
  )
    .option('--repository <pattern>', 'only rules that were set with it', readRepositoryPattern)
    .action((_setting: string, patterns: readonly string[], options: RuleOptions) => {
      const removed = patterns.map((tags) => ruleOf(tags, options));
      return change(options, ({ immutable }) => ({ immutable: withoutRules(immutable, removed, options) }));
    });
}

function ruleOf(tags: string, { repository = '*', allowForce }: RuleOptions): ImmutableRule {
  if (!isTagPattern(tags))
    throw usageError(
      `${JSON.stringify(tags)} is not a pattern of tags`,
      "Write letters, digits, _, . and -, and * for any characters, such as 'v*'.",
    );
  return { tags, repository, allowForce: allowForce === true };
}

/** What is left without rules. Throws {@link CommandError} if one of them is not set. */
function withoutRules(rules: ImmutableRules, removed: ImmutableRules, { repository }: RuleOptions): ImmutableRules {
  const missing = removed.find((one) => !rules.some((rule) => isSameRule(one, rule)));
  if (missing !== undefined) {
    const others = rules.filter(({ tags }) => tags === missing.tags).map((rule) => rule.repository);
    throw new CommandError(
      `there is no rule ${missing.tags}${missing.repository === '*' ? ' for all repositories' : ` of ${missing.repository}`}`,
      {
        hint:
          others.length > 0
            ? `Name the repositories that it was set with: ${others.map((one) => `--repository '${one}'`).join(' or ')}`
            : 'List the rules with: gantry config list',
      },
    );
  }
  if (removed.length > 0) return rules.filter((rule) => !removed.some((one) => isSameRule(one, rule)));
  return repository === undefined ? [] : rules.filter((rule) => rule.repository !== repository);
}

function print(settings: BucketSettings, { json }: BucketOptions): void {
  const { immutable } = settings;
  if (json === true) printJson(settings);
  else if (immutable.length === 0) printMessage('Nothing is set.');
  else {
    const rows = immutable.map(({ tags, repository, allowForce }) => [
      'immutable',
      tags,
      repository,
      allowForce ? 'unless forced' : '',
    ]);
    printLines(tableLines([['SETTING', 'TAGS', 'REPOSITORIES', ''], ...rows]));
  }
}
