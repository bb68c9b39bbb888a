import type { Command } from 'commander';
import { addBucketOptions, type BucketOptions, type OpenBucket, withBucket } from '../cli/bucket-options.ts';
import type { Environment } from '../cli/environment.ts';
import { usageError } from '../cli/errors.ts';
import { forEachLimit } from '../../bucket/concurrency.ts';
import { READS_AT_ONCE } from '../../bucket/survey.ts';
import { parseImageName } from '../cli/image-name.ts';
import { countTags, readCatalog, readTagList } from './stored.ts';
import type { OpenTarget } from '../stores/target.ts';
import { formatBytes } from '../../registry/values/byte-size.ts';
import { formatCount, paint, printJson, printLines, printMessage, tableLines } from '../cli/terminal-text.ts';
import { FORM_TITLE } from '../../registry/media-type.ts';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';

/** Adds `gantry ls`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  addBucketOptions(
    program
      .command('ls')
      .description('list the repositories, or the tags of one')
      .argument('[name]', 'the repository whose tags are listed'),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ gantry ls
  $ gantry ls library/busybox
  $ gantry ls library/busybox --json | jq -r '.[].tag'

Exit codes: 0 listed, 1 nothing is published under the name, 2 usage error.`,
    )
    .action((name: string | undefined, options: BucketOptions) => {
      const image = name === undefined ? undefined : parseImageName(name);
      if (image !== undefined && image.kind !== 'repository') {
        throw usageError(
          `"${name ?? ''}" has a tag or digest; ls takes a repository name`,
          `Show one image with: gantry inspect ${name ?? ''}`,
        );
      }
      return withBucket(options, openTarget, environment, (bucket) =>
        image === undefined ? listRepositories(bucket, options) : listTags(bucket, image.name, options),
      );
    });
}

async function listRepositories({ target }: OpenBucket, { json }: BucketOptions): Promise<void> {
  const names = await readCatalog(target.store);
  const counts = new Map<string, number>();
  await forEachLimit(names, READS_AT_ONCE, async (text) => {
    const name = parseRepositoryName(text);
    if (name !== null) counts.set(text, await countTags(target.store, name));
  });
  const repositories = names.map((name) => ({ name, tags: counts.get(name) ?? 0 }));
  if (json === true) printJson(repositories);
  else if (repositories.length === 0)
    printMessage(`Nothing is published in ${target.title} yet. Begin with: gantry publish --help`);
  else {
    const rows = repositories.map(({ name, tags }) => [name, paint('quiet', formatCount(tags, 'tag'))]);
    printLines(tableLines(rows));
  }
}

async function listTags({ target }: OpenBucket, name: RepositoryName, { json }: BucketOptions): Promise<void> {
  const tags = await readTagList(target.store, name);
  if (json === true) {
    printJson(tags.map(({ tag, summary }) => ({ tag, ...summary })));
    return;
  }
  const rows = tags.map(({ tag, summary }) =>
    summary === null
      ? [tag]
      : [
          tag,
          summary.updated.slice(0, 16).replace('T', ' '),
          formatBytes(summary.size),
          summary.platforms.join(', '),
          [
            ...summary.published.map((form) => FORM_TITLE[form]),
            ...summary.derived
              .filter((form) => !summary.published.includes(form))
              .map((form) => paint('quiet', FORM_TITLE[form])),
          ].join(', '),
        ],
  );
  printLines(tableLines([['TAG', 'MOVED (UTC)', 'SIZE', 'PLATFORMS', 'FORMS'], ...rows]));
}
