import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { FORM_TITLE, FORMS } from '../../registry/media-type.ts';
import { RETENTION_DAYS } from '../../statistics/pull-event.ts';
import { firstDay, type PullColumn, type PullCount } from '../../statistics/pull-query.ts';
import { DEFAULT_STATE, type Environment } from '../cli/environment.ts';
import { usageError } from '../cli/errors.ts';
import { parseImageName } from '../cli/image-name.ts';
import { formatCount, paint, printJson, printLines, printMessage, tableLines } from '../cli/terminal-text.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Options {
  readonly from: 'local' | 'cloudflare';
  readonly days: number;
  readonly state: string;
  readonly config?: string;
  readonly json?: true;
}

/** Rows at most; the largest counts come first. */
const ROWS_MAX = 10_000;

/** Adds `gantry stats`. */
export function register(program: Command, _openTarget: OpenTarget, environment: Environment): void {
  program
    .command('stats')
    .description('count pulls by client and form: of all repositories, or of one by tag and day')
    .argument('[name[:tag]]', 'the repository, or one of its tags')
    .addOption(
      new Option('--from <source>', 'where the pulls are counted').choices(['local', 'cloudflare']).default('local'),
    )
    .option('--days <n>', `the last days, 1 to ${String(RETENTION_DAYS)}, up to today in UTC`, readDays, 30)
    .option('--state <folder>', 'the folder of the local store', DEFAULT_STATE)
    .option('--config <file>', 'the wrangler.toml of the Worker (default: the one in the gantry package)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
One pull is one event: a request for a manifest by tag that was answered. Requests by digest and for blobs do not count.
Pulls are counted where it is switched on: locally by \`gantry serve --stats\`, at Cloudflare by the binding PULLS in
wrangler.toml. --from cloudflare needs CLOUDFLARE_API_TOKEN with the permission "Account Analytics: Read".

Examples:
  $ gantry stats
  $ gantry stats library/busybox --days 7
  $ gantry stats library/busybox:1.36 --from cloudflare
  $ gantry stats --json | jq '.pulls[] | select(.form == "docker-schema1")'

Exit codes: 0 counted, 1 the statistics cannot be read, 2 usage error.`,
    )
    .action((name: string | undefined, options: Options) => run(name, options, environment));
}

async function run(text: string | undefined, options: Options, environment: Environment): Promise<void> {
  const image = text === undefined ? null : parseImageName(text);
  if (image?.kind === 'digest')
    throw usageError(
      `${text ?? ''} has a digest, and pulls by digest are not counted`,
      `Write ${image.name}, or a tag.`,
    );
  const { cloudflareCounts, localCounts } = await import('../statistics/sources.ts');
  const config = options.config === undefined ? undefined : resolve(options.config);
  const read =
    options.from === 'local' ? localCounts(options.state) : await cloudflareCounts(config, environment.variables);
  const now = new Date();
  const { days, from } = options;
  const by: readonly PullColumn[] =
    image === null ? ['name', 'client', 'form', 'reason'] : ['day', 'tag', 'client', 'form', 'reason'];
  const question = {
    name: image?.name ?? null,
    tag: image?.kind === 'tag' ? image.tag : null,
    days,
    by,
    limit: ROWS_MAX,
  };
  const pulls = await read(question, now);
  const since = firstDay(days, now);
  if (options.json === true) {
    printJson({
      from,
      name: image?.name ?? null,
      since,
      days,
      pulls: pulls.map(jsonOf),
      complete: pulls.length < ROWS_MAX,
    });
    return;
  }
  if (pulls.length === 0) {
    printMessage(`No pull was counted since ${since}. Counting must be switched on: gantry stats --help`);
    return;
  }
  const head = { name: 'REPOSITORY', day: 'DAY', tag: 'TAG', client: 'CLIENT', form: 'FORM', reason: '' } as const;
  const shown = by.filter((column) => column !== 'reason');
  const rows = (image === null ? pulls : sorted(pulls)).map((count) => [
    ...shown.map((column) => (column === 'form' ? formOf(count) : (count[column] ?? ''))),
    count.pulls.toLocaleString('en-US'),
  ]);
  printLines(tableLines([[...shown.map((column) => head[column]), 'PULLS'], ...rows]));
  const total = pulls.reduce((sum, { pulls: amount, reason }) => sum + (reason === '' ? amount : 0), 0);
  printMessage(`${formatCount(total, 'pull')} since ${since} (UTC)`);
  if (pulls.length === ROWS_MAX)
    printMessage(`Only the ${String(ROWS_MAX)} largest counts are shown. Name a tag, or fewer days.`);
}

/** An answered pull has a form, a refused one a reason. */
function jsonOf({ form = '', reason = '', pulls, ...rest }: PullCount): object {
  return { ...rest, form: form === '' ? null : form, reason: reason === '' ? null : reason, pulls };
}

function formOf({ form, reason = '' }: PullCount): string {
  const known = FORMS.find((one) => one === form);
  if (known !== undefined) return FORM_TITLE[known];
  return paint('quiet', reason === '' ? '' : `none (${reason})`);
}

/** Newest day first, and within it by tag and by pulls. */
function sorted(counts: readonly PullCount[]): readonly PullCount[] {
  const order = (a = '', b = ''): number => (a < b ? -1 : a > b ? 1 : 0);
  return [...counts].sort((a, b) => order(b.day, a.day) || order(a.tag, b.tag) || b.pulls - a.pulls);
}

function readDays(text: string): number {
  const days = Number(text);
  if (!/^\d+$/.test(text) || days < 1 || days > RETENTION_DAYS)
    throw new InvalidArgumentError(`Give a number from 1 to ${String(RETENTION_DAYS)}: the data is kept three months.`);
  return days;
}
