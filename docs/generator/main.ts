/**
 * `npm run docs`: writes the generated documents, and builds all documents as a static site into `dist/docs`. With
 * `--check` it only reports documents that are not current.
 */
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { helpPath, REASONS, type Reason, reasonRow } from '../../src/registry/errors.ts';
import { helpOf } from '../../src/registry/help.ts';
import { ATTACKS } from '../../test/attacks.ts';
import { matrixPage } from '../../test/interop/matrix/table.ts';
import { readResults } from '../../test/interop/matrix/results.ts';
import { readPushResults } from '../../test/interop/receive/results.ts';
import { pushTable } from '../../test/interop/receive/table.ts';
import { compatibilityDocument } from './compatibility.ts';
import { wrap } from './markdown.ts';
import { messagesDocument } from './messages.ts';
import { buildSite } from './site.ts';
import {
  billOf,
  breakEvenHits,
  exampleUsage,
  type Price,
  PRICES,
  PRICES_READ,
  statisticsBill,
} from '../../test/bench/prices.ts';

const SECURITY = new URL('../explanation/security.md', import.meta.url);
const DEPLOY = new URL('../how-to/deploy.md', import.meta.url);
const RECEIVE = new URL('../how-to/receive.md', import.meta.url);

const results = await readResults();
const pushes = await readPushResults();

/** File → its current text. */
export const GENERATED: ReadonlyMap<URL, () => string | Promise<string>> = new Map<URL, () => string | Promise<string>>(
  [
    [new URL('../reference/errors.md', import.meta.url), errorsDocument],
    [SECURITY, securityDocument],
    [new URL('../reference/interop.md', import.meta.url), () => matrixPage(results)],
    [new URL('../reference/compatibility.md', import.meta.url), () => compatibilityDocument(results)],
    [DEPLOY, deployDocument],
    [RECEIVE, () => withSection(readFileSync(RECEIVE, 'utf8'), 'pushes', pushTable(pushes))],
    [new URL('../reference/messages.md', import.meta.url), messagesDocument],
  ],
);

/** `docs/reference/errors.md`: the reason table. */
export function errorsDocument(): string {
  const reasons = Object.keys(REASONS) as Reason[];
  const rows = reasons.map((reason) => {
    const { status, codes, caching } = reasonRow(reason);
    const codeList = codes.map((code) => `\`${code}\``).join(', ');
    const cached = caching === 'miss' ? 'seconds' : 'no';
    return `| [\`${reason}\`](#${reason}) | ${String(status)} | ${codeList} | ${cached} |`;
  });
  const sections = reasons.map((reason) => {
    const { message } = reasonRow(reason);
    const help = helpOf(reason);
    const paragraphs = [`**${help.title}.** ${message}`, ...help.paragraphs, `Help page: \`${helpPath(reason)}\``];
    return `## ${reason}\n\n${paragraphs.map((paragraph) => wrap(paragraph)).join('\n\n')}\n`;
  });
  return `<!-- Made by \`npm run docs\` from src/registry/errors.ts and help.ts; do not edit. -->
# Errors

Every error response has a reason. Its body is the error envelope of the OCI distribution specification:

\`\`\`json
{
  "errors": [
    {
      "code": "MANIFEST_UNKNOWN",
      "message": "…",
      "detail": { "reason": "tag-unknown", "help": "https://registry.example.com/help/tag-unknown" }
    }
  ]
}
\`\`\`

- \`message\` is a sentence for people.
- \`detail.reason\` is one of the reasons below, for programs.
- \`detail.available\` lists the forms or platforms that the tag has, where that helps.
- \`detail.help\` is a page that the registry serves.

The first code decides what old engines show. Docker 1.8.3 and 1.9 hide the message if the first code is
\`MANIFEST_UNKNOWN\`, so the errors for a missing schema 1 have \`UNSUPPORTED\` first. A 404 always means that
something does not exist. If the registry cannot find out, it answers 503 with \`Retry-After\`.

| reason | status | codes | cached |
|---|---|---|---|
${rows.join('\n')}

${sections.join('\n')}`;
}

/** `docs/explanation/security.md` with the table of attacks: the text between the two comments is replaced. */
export function securityDocument(): string {
  const rows = Object.values(ATTACKS).map(
    ({ attack, outcome, test }) => `| ${attack} | ${outcome} | [${test.split('/').at(-1) ?? test}](../../${test}) |`,
  );
  const table = ['| attack | outcome | test |', '|---|---|---|', ...rows].join('\n');
  return withSection(readFileSync(SECURITY, 'utf8'), 'attacks', table);
}

/** `docs/how-to/deploy.md` with the prices and the bill of the worked example. */
export function deployDocument(): string {
  const prices: readonly Price[] = Object.values(PRICES);
  const priceTable = [
    `| what | US dollars | page, read in ${PRICES_READ} |`,
    '|---|---|---|',
    ...prices.map(({ of, usd, note, page: [title, address] }) => {
      const price = [usd === 0 ? '0' : usd.toFixed(3).replace(/0$/, ''), ...(note === undefined ? [] : [note])];
      return `| ${of} | ${price.join(', ')} | [${title}](${address}) |`;
    }),
  ];
  const kinds = ['none', 'manifests', 'all'] as const;
  const row = (title: string, cell: (kind: (typeof kinds)[number]) => string): string =>
    `| ${title} | ${kinds.map(cell).join(' | ')} |`;
  const dollars = (amount: number): string => amount.toFixed(2);
  const item =
    (name: 'requests' | 'cachedCalls' | 'cpuMs' | 'reads', hits: boolean) => (kind: (typeof kinds)[number]) =>
      dollars(exampleUsage(kind, hits)[name] * PRICES[name].usd);
  const bill = [
    '| | cache off | as delivered: manifests through the cache, blobs straight from R2 | `BLOB_CACHE = "on"`: blobs too |',
    '|---|---|---|---|',
    row('requests of clients', item('requests', true)),
    row('calls behind the cache', item('cachedCalls', true)),
    row('processor time, everything cached', item('cpuMs', true)),
    row('processor time, nothing cached', item('cpuMs', false)),
    row('R2 reads, everything cached', item('reads', true)),
    row('R2 reads, nothing cached', item('reads', false)),
    row('**all hits**', (kind) => `**${dollars(billOf(exampleUsage(kind, true)))}**`),
    row('**all misses**', (kind) => `**${dollars(billOf(exampleUsage(kind, false)))}**`),
    '',
    `So a cache saves money only where it hits more than about ${(breakEvenHits() * 100).toFixed(0)} % of the time.`,
    '',
    wrap(
      `Where [pull statistics](statistics.md) are switched on, the data points of a million pulls add ${dollars(statisticsBill())} ` +
        'once Cloudflare bills them, and no operation of R2. A page that shows them sends one query at most for each ' +
        'repository or tag in five minutes, of each instance of the Worker.',
    ),
  ];
  return withSection(
    withSection(readFileSync(DEPLOY, 'utf8'), 'prices', priceTable.join('\n')),
    'bill',
    bill.join('\n'),
  );
}

/** The document with new text between the two comments of a section. */
function withSection(document: string, name: string, text: string): string {
  return document.replace(
    new RegExp(`(<!-- ${name}:[^>]*-->\\n)[^]*?(\\n<!-- end of ${name} -->)`),
    (_, begin: string, end: string) => `${begin}${text}${end}`,
  );
}

/** The files whose text is not current. */
export async function staleDocuments(): Promise<readonly string[]> {
  const stale: string[] = [];
  for (const [file, make] of GENERATED)
    if ((await readFile(file, 'utf8').catch(() => '')) !== (await make())) stale.push(file.pathname);
  return stale;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.includes('--check')) {
    const stale = await staleDocuments();
    for (const file of stale) process.stderr.write(`not current: ${file}; do: npm run docs\n`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    for (const [file, make] of GENERATED) await writeFile(file, await make());
    const broken = await buildSite(fileURLToPath(new URL('../../dist/docs', import.meta.url)));
    for (const link of broken) process.stderr.write(`broken link in dist/docs/${link}\n`);
    process.exitCode = broken.length === 0 ? 0 : 1;
  }
}
