import type { Command } from 'commander';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { CommandError } from '../cli/errors.ts';
import { parseImageName } from '../cli/image-name.ts';
import { abortOnInterrupt } from '../cli/interrupt.ts';
import { deleteTags } from '../../bucket/delete-tags.ts';
import { listTags } from '../../bucket/survey.ts';
import { purgeEdge } from '../publish/purge.ts';
import type { OpenTarget } from '../stores/target.ts';
import { formatCount } from '../cli/terminal-text.ts';

interface Options extends BucketOptions {
  readonly dryRun?: true;
}

/** Adds `gantry rm`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  addBucketOptions(
    program
      .command('rm')
      .description(
        'remove a tag, or all tags of a repository; manifests and blobs stay until gc finds that nothing needs them',
      )
      .argument('<name[:tag]>', 'the tag; without one every tag of the repository'),
  )
    .option('--dry-run', 'say what would be removed, and remove nothing')
    .addHelpText(
      'after',
      `
Examples:
  $ gantry rm library/busybox:1.36
  $ gantry rm library/busybox --dry-run

Exit code: 0 removed, 1 there is no such tag or it could not be removed, 2 wrong usage, 130 interrupted.`,
    )
    .action((image: string, options: Options) => run(image, options, openTarget, environment));
}

async function run(text: string, options: Options, openTarget: OpenTarget, environment: Environment): Promise<void> {
  const image = parseImageName(text);
  if (image.kind === 'digest') {
    throw new CommandError('manifests are not removed by digest', {
      kind: 'usage',
      hint: 'Remove the tags that need it; `gantry gc` does the rest.',
    });
  }
  const edge = readEdge(environment.variables);
  const signal = abortOnInterrupt();
  await withBucket(options, openTarget, environment, async (bucket) => {
    const { store } = bucket.target;
    // By the tag objects: lists may lag behind.
    const tags = [...(await listTags(store, image.name)).keys()];
    const wanted = image.kind === 'tag' ? tags.filter((tag) => tag === image.tag) : tags;
    if (wanted.length === 0) {
      throw new CommandError(tags.length === 0 ? `nothing is published under ${image.name}` : `${text} is not there`, {
        hint:
          tags.length === 0
            ? '`gantry ls` shows what there is.'
            : `\`gantry ls ${image.name}\` shows the tags there are.`,
      });
    }
    if (options.dryRun !== true) {
      await deleteTags(store, image.name, wanted, { signal });
      if (edge !== undefined) {
        const trouble = await purgeEdge(
          edge,
          wanted.map((tag) => ({ name: image.name, tag })),
          signal,
        );
        if (trouble !== undefined) process.stderr.write(`warning: ${trouble}\n`);
      }
    }
    const dryRun = options.dryRun === true;
    if (options.json === true) process.stdout.write(`${JSON.stringify({ name: image.name, tags: wanted, dryRun })}\n`);
    else process.stdout.write(`${wanted.map((tag) => `${image.name}:${tag}`).join('\n')}\n`);
    process.stderr.write(`${formatCount(wanted.length, 'tag')} ${dryRun ? 'would be removed' : 'removed'}\n`);
  });
}
