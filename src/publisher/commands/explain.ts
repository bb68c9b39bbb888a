import type { Command } from 'commander';
import { parseAccept } from '../../http/accept.ts';
import { type Choice, type Client, negotiate, RULES } from '../../manifest/negotiate.ts';
import { helpPath, reasonRow } from '../../registry/errors.ts';
import { helpOf } from '../../registry/help.ts';
import { FORM_TITLE, isListForm } from '../../registry/media-type.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { formatPlatform } from '../../registry/platform.ts';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import { CLIENTS, clientOf } from '../../manifest/clients/known-clients.ts';
import { type Obstacle, obstacleTo } from '../../manifest/clients/obstacles.ts';
import { platformsOfList } from '../../manifest/list-children.ts';
import { isNameless } from '../../manifest/from-schema1.ts';
import type { Environment } from '../cli/environment.ts';
import { parseTagged } from '../cli/image-name.ts';
import { shortDigest } from '../publish/report.ts';
import type { ReadTag } from '../../bucket/read-tag.ts';
import { readStoredTag } from './stored.ts';
import type { OpenTarget } from '../stores/target.ts';
import { paint, printJson, printLines, tableLines, terminalWidth, wrap } from '../cli/terminal-text.ts';

interface Options extends BucketOptions {
  readonly accept?: readonly string[];
  readonly userAgent?: string;
}

/** Adds `gantry explain`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  addBucketOptions(
    program
      .command('explain')
      .description('show which form a client gets for a tag, and why, by the same decision as the Worker')
      .argument('<name:tag>', 'the tag'),
  )
    .option(
      '--accept <header>',
      'the client’s Accept header (repeat the option for several header lines); "" for an empty one',
      (line: string, before: readonly string[] | undefined) => [...(before ?? []), line],
    )
    .option('--user-agent <text>', 'the client’s User-Agent; without --accept it sends no Accept header')
    .addHelpText(
      'after',
      `
Without --accept and --user-agent, it prints a table of old and new clients: ✓ the client can use what it gets,
✗ it cannot, – it gets a documented 404.

Examples:
  $ gantry explain library/busybox:latest
  $ gantry explain library/busybox:latest --user-agent docker/1.9.1
  $ gantry explain library/busybox:latest --accept application/vnd.oci.image.manifest.v1+json --accept '*/*;q=0.1'

Exit codes: 0 the client gets a manifest that it can use, or the table was printed;
1 the client gets none or cannot use it, or the tag does not exist; 2 usage error.`,
    )
    .action((text: string, options: Options) => run(text, options, openTarget, environment));
}

async function run(text: string, options: Options, openTarget: OpenTarget, environment: Environment): Promise<void> {
  const { name, tag } = parseTagged(text);
  const { accept, userAgent, json } = options;
  await withBucket(options, openTarget, environment, async ({ target }) => {
    const reading = await readStoredTag(target.store, name, tag);
    if (accept === undefined && userAgent === undefined) {
      const outcomes = CLIENTS.map((known) => ({ known, ...outcomeOf(clientOf(known), name, reading) }));
      if (json === true)
        printJson(
          outcomes.map(({ known, ...outcome }) => ({
            client: known.title,
            ...dataOf(known.accept, known.userAgent, outcome),
          })),
        );
      else
        printLines([
          paint('strong', text),
          ...tableLines(outcomes.map(({ known, ...outcome }) => rowOf(known.title, outcome))),
        ]);
      return;
    }
    const client = { accept: parseAccept(headerOf(accept ?? [])), userAgent: userAgent ?? null };
    const outcome = outcomeOf(client, name, reading);
    if (json === true) printJson(dataOf(accept ?? [], userAgent, outcome));
    else printLines(outcomeLines(outcome));
    if (outcome.choice.kind === 'missing' || outcome.obstacle !== null) process.exitCode = 1;
  });
}

/** What a client gets, and why it cannot use it (null: nothing is known that keeps it from that). */
interface Outcome {
  readonly choice: Choice;
  readonly obstacle: Obstacle | null;
}

function outcomeOf(client: Client, name: RepositoryName, { record, manifests }: ReadTag): Outcome {
  const choice = negotiate(client, record);
  const bytes = choice.kind === 'form' ? manifests[record.forms.indexOf(choice.form)] : undefined;
  const nameless = bytes !== undefined && isNameless(bytes);
  const platforms =
    bytes !== undefined && choice.kind === 'form' && isListForm(choice.form.form) ? platformsOfList({ bytes }) : [];
  return { choice, obstacle: obstacleTo(client, { name, record, choice, nameless, platforms }) };
}

/** Joins several lines of a header (RFC 9110, 5.2). */
function headerOf(lines: readonly string[]): string | null {
  return lines.length === 0 ? null : lines.join(', ');
}

function dataOf(accept: readonly string[], userAgent: string | undefined, { choice, obstacle }: Outcome): object {
  const asked = { accept: headerOf(accept), userAgent: userAgent ?? null };
  const why = {
    rule: choice.rule,
    why: RULES[choice.rule],
    vary: ['Accept', ...(choice.varies.userAgent ? ['User-Agent'] : [])],
    obstacle: obstacle === null ? null : obstacle.text,
  };
  if (choice.kind === 'missing') {
    const { status, codes, message } = reasonRow(choice.reason);
    return {
      ...asked,
      gets: null,
      status,
      codes,
      reason: choice.reason,
      message,
      available: choice.available,
      help: helpPath(choice.reason),
      ...why,
    };
  }
  const { form, mediaType, digest, length, source, platform } = choice.form;
  return {
    ...asked,
    gets: form,
    status: 200,
    mediaType,
    digest,
    size: length,
    source: source.kind,
    ...(platform === undefined ? {} : { platform: formatPlatform(platform) }),
    ...why,
  };
}

function rowOf(title: string, { choice, obstacle }: Outcome): readonly string[] {
  const mark =
    obstacle !== null ? paint('bad', '✗') : choice.kind === 'missing' ? paint('doubtful', '–') : paint('good', '✓');
  const why = obstacle === null ? [] : [obstacle.text];
  if (choice.kind === 'missing') {
    const { status, message } = reasonRow(choice.reason);
    return [`${mark} ${title}`, `${String(status)} ${choice.reason}`, [...why, message].join(' ')];
  }
  const { form, digest, source, platform } = choice.form;
  return [
    `${mark} ${title}`,
    `${FORM_TITLE[form]}${platform === undefined ? '' : ` ${formatPlatform(platform)}`}`,
    [`${source.kind} ${shortDigest(digest)}`, ...why].join('; '),
  ];
}

function outcomeLines({ choice, obstacle }: Outcome): string[] {
  const width = terminalWidth();
  const why = ['why', RULES[choice.rule]];
  const but = obstacle === null ? [] : [[paint('bad', 'but'), obstacle.text]];
  if (choice.kind === 'missing') {
    const { status, codes, message } = reasonRow(choice.reason);
    return tableLines(
      [
        [paint('doubtful', 'gets'), `${String(status)} ${codes.join(', ')}: ${message}`],
        ...but,
        why,
        ['reason', choice.reason],
        ['available', choice.available.length === 0 ? 'nothing' : choice.available.join(', ')],
        ['help', helpPath(choice.reason)],
      ],
      width,
    ).concat(
      '',
      ...helpOf(choice.reason)
        .paragraphs.flatMap((paragraph) => [...wrap(paragraph, width), ''])
        .slice(0, -1),
    );
  }
  const { form, mediaType, digest, length, source, platform } = choice.form;
  return tableLines(
    [
      [
        paint(obstacle === null ? 'good' : 'bad', 'gets'),
        `${FORM_TITLE[form]}${platform === undefined ? '' : ` for ${formatPlatform(platform)}`}`,
      ],
      ...but,
      ['why', RULES[choice.rule]],
      ['media type', mediaType],
      ['digest', digest],
      ['size', `${String(length)} B`],
      [
        'source',
        source.kind === 'published' ? 'published: the exact bytes of its publisher' : `derived from ${source.from}`,
      ],
      ...(choice.varies.userAgent ? [['depends on', 'Accept and User-Agent']] : []),
    ],
    width,
  );
}
