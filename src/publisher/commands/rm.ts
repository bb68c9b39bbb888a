import type { Command } from 'commander';
import { tagKey, tagsPrefix, parseKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { addBucketOptions, type BucketOptions, type OpenBucket, withBucket } from '../cli/bucket-options.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { CommandError } from '../cli/errors.ts';
import { parseImageName } from '../cli/image-name.ts';
import { abortOnInterrupt } from '../cli/interrupt.ts';
import { keepLists, type Lists } from '../publish/lists.ts';
import { purgeEdge } from '../publish/purge.ts';
import type { OpenTarget } from '../stores/target.ts';
import { formatCount, printJson, printLines, printMessage } from '../cli/terminal-text.ts';

interface Options extends BucketOptions {
  readonly dryRun?: true;
}

/** Adds `gantry rm`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  addBucketOptions(
    program
      .command('rm')
      .description(
        'remove a tag, or all tags of a repository; `gantry gc` later deletes manifests and blobs that no tag needs',
      )
      .argument('<name[:tag]>', 'the tag, or a repository to remove all its tags'),
  )
    .option('--dry-run', 'show what would be removed, and remove nothing')
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
    throw new CommandError('a manifest cannot be removed by its digest', {
      kind: 'usage',
      hint: 'Remove the tags that need it, then run `gantry gc`.',
    });
  }
  const edge = readEdge(environment.variables);
  const signal = abortOnInterrupt();
  await withBucket(options, openTarget, environment, async (bucket) => {
    const { store } = bucket.target;
    const tags = await tagsOf(bucket, image.name);
    const wanted = image.kind === 'tag' ? tags.filter((tag) => tag === image.tag) : tags;
    if (wanted.length === 0) {
      throw new CommandError(
        tags.length === 0 ? `nothing is published under ${image.name}` : `there is no tag ${text}`,
        {
          hint:
            tags.length === 0 ? 'List the repositories with: gantry ls' : `List its tags with: gantry ls ${image.name}`,
        },
      );
    }
    if (options.dryRun !== true) {
      const lists = keepLists(store, { signal });
      // One tag at a time, so that an interrupted run has removed whole tags and updated the lists for them.
      for (const tag of wanted) {
        signal.throwIfAborted();
        await removeTag(bucket, lists, image.name, tag);
      }
      if (wanted.length === tags.length) await lists.forget(image.name);
      if (edge !== undefined) {
        const trouble = await purgeEdge(
          edge,
          wanted.map((tag) => ({ name: image.name, tag })),
          signal,
        );
        if (trouble !== undefined) printMessage(`warning: ${trouble}`);
      }
    }
    const dryRun = options.dryRun === true;
    if (options.json === true) printJson({ name: image.name, tags: wanted, dryRun });
    else printLines(wanted.map((tag) => `${image.name}:${tag}`));
    printMessage(`${formatCount(wanted.length, 'tag')} ${dryRun ? 'would be removed' : 'removed'}`);
  });
}

async function removeTag({ target }: OpenBucket, lists: Lists, name: RepositoryName, tag: Tag): Promise<void> {
  await target.store.delete([tagKey(name, tag)]);
  await lists.update(name, tag, { kind: 'removed' });
}

/** Reads the tag objects, since lists may lag behind. */
async function tagsOf({ target }: OpenBucket, name: RepositoryName): Promise<readonly Tag[]> {
  const tags: Tag[] = [];
  for await (const { key } of target.store.list(tagsPrefix(name))) {
    const parsed = parseKey(key);
    if (parsed?.kind === 'tag') tags.push(parsed.tag);
  }
  return tags;
}
