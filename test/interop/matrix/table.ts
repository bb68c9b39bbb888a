/** The matrix as a table, for the terminal and for `docs/reference/interop.md`. */
import { table, wrap } from '../../../docs/generator/markdown.ts';
import { type Way, WAYS } from './clients.ts';
import { type ImageKind, IMAGES } from './images.ts';
import type { Result } from './results.ts';

const LETTERS = { tag: 'T', digest: 'D', all: 'A', resume: 'R' } as const satisfies Record<Way, string>;

/**
 * A row a client, a column an image; in the cells a letter for each way that gave what was published, in parentheses
 * for one that cannot, in bold with an exclamation mark for one that should have.
 */
export function matrixTable(results: readonly Result[]): string {
  const kinds = (Object.keys(IMAGES) as ImageKind[]).filter((kind) => results.some(({ image }) => image === kind));
  const rows = groups(results, ({ machine, client, version }) => `${machine} | ${client} ${version}`).map(
    ([title, own]) => [...title.split(' | '), ...kinds.map((kind) => cell(own.filter(({ image }) => image === kind)))],
  );
  return table([['from', 'client', ...kinds], ...rows]);
}

/** The whole page. */
export function matrixPage(results: readonly Result[]): string {
  const of = (kind: Result['outcome']['kind']): Result[] => results.filter(({ outcome }) => outcome.kind === kind);
  const [pulled, known, failed] = [of('pulled'), of('known'), of('failed')];
  const tried = pulled.length + known.length + failed.length;
  return `<!-- Made by \`npm run docs\` from test/interop/results.json, which \`npm run interop\` writes; do not edit. -->
# Interoperability

The table shows which real clients pulled which images. Every image was published once with \`gantry publish\`.
\`npm run interop\` runs it with the clients of this machine. \`npm run interop -- --newer\` adds the clients of Debian 13,
from a folder made by debootstrap (it needs root and a mirror of Debian). Clients that a run does not include keep their
last results. [compatibility.md](compatibility.md) shows which form each client version gets, and
[receive.md](../how-to/receive.md#clients-that-push) which clients push.

${wrap(`Of ${String(tried)} pulls, ${String(pulled.length)} gave exactly what was published, and ${String(known.length)} failed because of a known limit of the client.`)}

${matrixTable(results)}

${wrap(`Ways: ${(Object.keys(WAYS) as Way[]).map((way) => `**${LETTERS[way]}** ${WAYS[way]}`).join(', ')}. All tags are pulled where a repository has more than one. In parentheses: the client cannot, as listed below. **–**: the client has no such way, or it was not tried. With an exclamation mark: not as it should be.`)}

Images:

${(Object.keys(IMAGES) as ImageKind[]).map((kind) => `- **${kind}**: ${IMAGES[kind]}`).join('\n')}

The comparison covers the digest that the client prints, or the manifest's own bytes; config and layers by their digests,
all of them and no others; and the filesystem that the client unpacked, path by path (type, mode, owner, content). A
client that accepts every form gets what was published, byte for byte; of the image that is published as schema 1 alone,
it gets the derived schema 2. curl and skopeo also pull every form of the tag by digest, including the derived ones.

## Docker engines before 1.10

They are tried in two ways:

- **replayed**: the requests of each version over plain sockets, as captured from engines that were built from their
  sources, and everything that the version requires of the answers (\`test/interop/matrix/old-engine.ts\`). libtrust
  itself verifies the signature of each manifest.
- **the engine itself**: \`npm run interop -- --old-engines=DIR\` starts the daemons in a folder with \`docker-1.6.2\`,
  \`docker-1.7.1\`, \`docker-1.8.3\` and \`docker-1.9.1\`: Docker's static binaries, or ones built from the tags of moby. A
  version that is not in the folder is skipped by name. They run on today's kernels as root with cgroup v1, with the vfs
  driver and without networks (\`-s vfs --iptables=false --bridge=none\`).
${list(
  'Known limits of the client',
  known.map((result) => [result, result.outcome]),
)}${list(
    'Not tried',
    of('not-tried').map((result) => [result, result.outcome]),
  )}${list(
    'Not as it should be',
    failed.map((result) => [result, result.outcome]),
  )}`;
}

function list(title: string, rows: readonly (readonly [Result, Result['outcome']])[]): string {
  if (rows.length === 0) return '';
  const lines = groups(
    rows,
    ([{ client, version, image }, outcome]) =>
      `- ${client} ${version}, ${image}: ${oneLine(outcome.kind === 'pulled' ? '' : outcome.words)}`,
  ).map(([line]) => line);
  return `\n## ${title}\n\n${lines.join('\n')}\n`;
}

function cell(results: readonly Result[]): string {
  const letters = results.flatMap(({ way, outcome }) => {
    if (outcome.kind === 'not-tried') return [];
    if (outcome.kind === 'pulled') return [LETTERS[way]];
    return [outcome.kind === 'known' ? `(${LETTERS[way]})` : `**${LETTERS[way]}!**`];
  });
  return letters.length === 0 ? '–' : letters.join(' ');
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
