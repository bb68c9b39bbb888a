import type { Command } from 'commander';
import { parseAccept } from '../../http/accept.ts';
import { type Choice, negotiate, RULES } from '../../manifest/negotiate.ts';
import { helpPath, reasonRow } from '../../registry/errors.ts';
import { helpOf } from '../../registry/help.ts';
import { FORM_TITLE } from '../../registry/media-type.ts';
import { formatPlatform } from '../../registry/platform.ts';
import type { TagRecord } from '../../registry/records.ts';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import { CLIENTS, type KnownClient as Client } from '../../manifest/clients/known-clients.ts';
import type { Environment } from '../cli/environment.ts';
import { parseTagged } from '../cli/image-name.ts';
import { shortDigest } from '../publish/report.ts';
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
Without --accept and --user-agent, it prints a table of old and new clients.

Examples:
  $ gantry explain library/busybox:latest
  $ gantry explain library/busybox:latest --user-agent docker/1.9.1
  $ gantry explain library/busybox:latest --accept application/vnd.oci.image.manifest.v1+json --accept '*/*;q=0.1'

Exit codes: 0 the client gets a manifest, or the table was printed;
1 the client gets none, or the tag does not exist; 2 usage error.`,
    )
    .action((text: string, options: Options) => run(text, options, openTarget, environment));
}

async function run(text: string, options: Options, openTarget: OpenTarget, environment: Environment): Promise<void> {
  const { name, tag } = parseTagged(text);
  const { accept, userAgent, json } = options;
  await withBucket(options, openTarget, environment, async ({ target }) => {
    const { record } = await readStoredTag(target.store, name, tag);
    if (accept === undefined && userAgent === undefined) {
      const answers = CLIENTS.map((client) => ({ client, choice: choose(client.accept, client.userAgent, record) }));
      if (json === true) {
        printJson(
          answers.map(({ client, choice }) => ({
            client: client.title,
            ...dataOf(client.accept, client.userAgent, choice),
          })),
        );
      } else printLines([paint('strong', text), ...tableLines(answers.map(rowOf), terminalWidth())]);
      return;
    }
    const choice = choose(accept ?? [], userAgent, record);
    if (json === true) printJson(dataOf(accept ?? [], userAgent, choice));
    else printLines(choiceLines(choice));
    if (choice.kind === 'missing') process.exitCode = 1;
  });
}

function choose(accept: readonly string[], userAgent: string | undefined, record: TagRecord): Choice {
  return negotiate({ accept: parseAccept(headerOf(accept)), userAgent: userAgent ?? null }, record);
}

/** Joins several lines of a header (RFC 9110, 5.2). */
function headerOf(lines: readonly string[]): string | null {
  return lines.length === 0 ? null : lines.join(', ');
}

function dataOf(accept: readonly string[], userAgent: string | undefined, choice: Choice): object {
  const asked = { accept: headerOf(accept), userAgent: userAgent ?? null };
  const why = {
    rule: choice.rule,
    why: RULES[choice.rule],
    vary: ['Accept', ...(choice.varies.userAgent ? ['User-Agent'] : [])],
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

function rowOf({ client, choice }: { readonly client: Client; readonly choice: Choice }): readonly string[] {
  if (choice.kind === 'missing')
    return [
      `${paint('doubtful', '–')} ${client.title}`,
      `${String(reasonRow(choice.reason).status)} ${choice.reason}`,
      reasonRow(choice.reason).message,
    ];
  const { form, digest, source, platform } = choice.form;
  const mark = (client.reads as readonly string[]).includes(form) ? paint('good', '✓') : paint('bad', '✗');
  return [
    `${mark} ${client.title}`,
    `${FORM_TITLE[form]}${platform === undefined ? '' : ` ${formatPlatform(platform)}`}`,
    `${source.kind} ${shortDigest(digest)}`,
  ];
}

function choiceLines(choice: Choice): string[] {
  const width = terminalWidth();
  const why = ['why', RULES[choice.rule]];
  if (choice.kind === 'missing') {
    const { status, codes, message } = reasonRow(choice.reason);
    return tableLines(
      [
        [paint('doubtful', 'gets'), `${String(status)} ${codes.join(', ')}: ${message}`],
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
      [paint('good', 'gets'), `${FORM_TITLE[form]}${platform === undefined ? '' : ` for ${formatPlatform(platform)}`}`],
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
