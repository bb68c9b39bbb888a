import type { Command } from 'commander';
import { realmOf } from '../../registry/realms.ts';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { addNotifyOption, type NotifyOption, openNotifier } from '../cli/notify-option.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { parseImageName } from '../cli/image-name.ts';
import { abortOnInterrupt } from '../cli/interrupt.ts';
import { deleteTags, refuseDeletion } from '../../bucket/delete-tags.ts';
import { readSettings } from '../../bucket/format.ts';
import { openLists } from '../../bucket/lists.ts';
import { listTags } from '../../bucket/survey.ts';
import type { Tag } from '../../registry/name.ts';
import type { TagChange } from '../notify/webhook.ts';
import { purgeInParts } from '../publish/purge.ts';
import type { OpenTarget } from '../stores/target.ts';
import { formatCount, printJson, printLines, printMessage } from '../cli/terminal-text.ts';

interface Options extends BucketOptions, NotifyOption {
  readonly dryRun?: true;
  readonly force?: true;
}

/** Adds `gantry rm`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  const command = addBucketOptions(
    program
      .command('rm')
      .description(
        'remove a tag, or all tags of a repository; `gantry gc` later deletes manifests and blobs that no tag needs',
      )
      .argument('<name[:tag]>', 'the tag, or a repository to remove all its tags'),
  );
  addNotifyOption(command)
    .option('--dry-run', 'show what would be removed, and remove nothing')
    .option('--force', 'remove immutable tags too, where the rules that make them immutable allow that')
    .addHelpText(
      'after',
      `
Examples:
  $ gantry rm library/busybox:1.36
  $ gantry rm library/busybox --dry-run

Exit codes: 0 removed, 1 not found or not removed, 2 usage error, 130 interrupted.`,
    )
    .action((image: string, options: Options) => run(image, options, openTarget, environment));
}

async function run(text: string, options: Options, openTarget: OpenTarget, environment: Environment): Promise<void> {
  const image = parseImageName(text);
  if (image.kind === 'digest') {
    throw usageError(
      'a manifest cannot be removed by its digest',
      'Remove the tags that need it, then run `gantry gc`.',
    );
  }
  const edge = readEdge(environment.variables);
  const warn = (message: string): void => printMessage(`warning: ${message}`);
  const notifier = await openNotifier(options, environment.variables, warn);
  const signal = abortOnInterrupt();
  await withBucket(options, openTarget, environment, async (bucket) => {
    const { store } = bucket.target;
    // By the tag objects: lists may lag behind.
    const tags = [...(await listTags(store, image.name)).keys()];
    const wanted = image.kind === 'tag' ? tags.filter((tag) => tag === image.tag) : tags;
    const mendLists = (): Promise<void> =>
      openLists(store, { signal }).reconcile(image.name, realmOf(bucket.realms, image.name));
    if (wanted.length === 0) {
      // An earlier run may have stopped between the tag and the lists.
      if (options.dryRun !== true) await mendLists();
      throw new CommandError(
        tags.length === 0 ? `nothing is published under ${image.name}` : `there is no tag ${text}`,
        {
          hint:
            tags.length === 0 ? 'List the repositories with: gantry ls' : `List its tags with: gantry ls ${image.name}`,
        },
      );
    }
    const force = options.force === true;
    if (options.dryRun === true) refuseDeletion((await readSettings(store)).immutable, image.name, wanted, force);
    else {
      const removed: TagChange[] = [];
      const onDeleted = (tag: Tag): number => removed.push({ name: image.name, tag, change: 'deleted', digests: [] });
      try {
        await deleteTags(store, image.name, wanted, { signal, force, onDeleted });
        await mendLists();
      } finally {
        // What was removed is purged and announced even if the run failed.
        if (edge !== undefined) for (const trouble of await purgeInParts(edge, removed)) warn(trouble);
        await notifier?.send(removed);
      }
    }
    const dryRun = options.dryRun === true;
    if (options.json === true) printJson({ name: image.name, tags: wanted, dryRun });
    else printLines(wanted.map((tag) => `${image.name}:${tag}`));
    printMessage(`${formatCount(wanted.length, 'tag')} ${dryRun ? 'would be removed' : 'removed'}`);
  });
}
