/** The matrix as a table, for the terminal and for `docs/interop.md`. */
import { type Way, WAYS } from './clients.ts';
import { type ImageKind, IMAGES } from './images.ts';

/** What came of one pull. */
export interface Result {
  readonly machine: string;
  readonly client: string;
  readonly version: string;
  readonly image: ImageKind;
  readonly way: Way;
  /** Null: as published. */
  readonly trouble: string | null;
  /** Why it was not tried. */
  readonly excuse: string | null;
  readonly milliseconds: number;
}

const LETTERS = { tag: 'T', digest: 'D', all: 'A', resume: 'R' } as const satisfies Record<Way, string>;

/** A row a client, a column an image; in the cells a letter for each way that gave what was published, in bold with an exclamation mark for one that did not. */
export function matrixTable(results: readonly Result[]): string {
  const kinds = (Object.keys(IMAGES) as ImageKind[]).filter((kind) => results.some(({ image }) => image === kind));
  const rows = groups(results, ({ machine, client, version }) => `${machine} | ${client} ${version}`).map(
    ([title, own]) => [...title.split(' | '), ...kinds.map((kind) => cell(own.filter(({ image }) => image === kind)))],
  );
  return table([['from', 'client', ...kinds], ...rows]);
}

/** The whole page. */
export function matrixPage(results: readonly Result[]): string {
  const tried = results.filter(({ excuse }) => excuse === null);
  const failed = tried.filter(({ trouble }) => trouble !== null);
  const excuses = [
    ...new Set(
      results.flatMap(({ client, version, image, excuse }) =>
        excuse === null ? [] : [`- ${client} ${version}, ${image}: ${excuse}`],
      ),
    ),
  ];
  return `# Interoperability

What real clients make of images that were published once. Written by \`npm run interop\`; \`npm run interop -- --newer\` adds the clients of Debian 13, from a folder
made by debootstrap (root is needed, and a mirror of Debian).

Of ${String(tried.length)} pulls ${String(tried.length - failed.length)} gave exactly what was published.

${matrixTable(results)}

Ways: ${(Object.keys(WAYS) as Way[]).map((way) => `**${LETTERS[way]}** ${WAYS[way]}`).join(', ')}. All tags are asked for where a repository has more than one.
**–**: the client has no way to it. A letter with an exclamation mark: not as published.

Images:

${(Object.keys(IMAGES) as ImageKind[]).map((kind) => `- **${kind}**: ${IMAGES[kind]}`).join('\n')}

What is compared: the digest that the client tells, or the manifest's own bytes; config and layers by their digests, all of them and no others; the filesystem that
the client unpacked, path by path (type, mode, owner, content), against what the layers say. A client that takes everything gets what was published, bit by bit; of
the image that is published as schema 1 alone, it gets the derived schema 2. By digest, every form of the tag is asked for, derived ones too (curl and skopeo).

Docker engines before 1.10 do not run on kernels of today. Their rows are replayed: the requests of each version over plain sockets, as measured with engines built
from their sources, and everything that the version insists on in the answers (\`test/interop/matrix/old-engine.ts\`). The signature of each manifest is verified by
libtrust itself.
${excuses.length === 0 ? '' : `\nOut of a client's reach, and so not tried:\n\n${excuses.join('\n')}\n`}${
    failed.length === 0
      ? ''
      : `\nNot as published:\n\n${failed.map(({ machine, client, version, image, way, trouble }) => `- ${client} ${version} (${machine}), ${image} ${WAYS[way]}: ${oneLine(trouble ?? '')}`).join('\n')}\n`
  }`;
}

function cell(results: readonly Result[]): string {
  const letters = results
    .filter(({ excuse }) => excuse === null)
    .map(({ way, trouble }) => (trouble === null ? LETTERS[way] : `**${LETTERS[way]}!**`));
  return letters.length === 0 ? '–' : letters.join(' ');
}

function table(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const lines = rows.map((row) => `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  return [lines[0] ?? '', `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.slice(1)].join('\n');
}

function groups<T>(values: readonly T[], keyOf: (value: T) => string): [string, T[]][] {
  const found = new Map<string, T[]>();
  for (const value of values) found.set(keyOf(value), [...(found.get(keyOf(value)) ?? []), value]);
  return [...found];
}

/** What went wrong, short enough for a list. */
export function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 140)} … ${line.slice(-150)}` : line;
}
