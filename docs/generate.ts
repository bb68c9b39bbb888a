/** Writes the generated documents (`npm run docs`); with `--check` it only reports those that are not current. */
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { helpPath, REASONS, type Reason, reasonRow } from '../src/registry/errors.ts';
import { helpOf } from '../src/registry/help.ts';
import { ATTACKS } from '../test/attacks.ts';

const SECURITY = new URL('security.md', import.meta.url);

/** File → its current text. */
export const GENERATED: ReadonlyMap<URL, () => string> = new Map([
  [new URL('errors.md', import.meta.url), errorsDocument],
  [SECURITY, securityDocument],
]);

/** `docs/errors.md`: the reason table. */
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
    return `## ${reason}\n\n${paragraphs.map(wrap).join('\n\n')}\n`;
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

/** `docs/security.md` with the table of attacks: the text between the two comments is replaced. */
export function securityDocument(): string {
  const rows = Object.values(ATTACKS).map(
    ({ attack, outcome, test }) => `| ${attack} | ${outcome} | [${test.split('/').at(-1) ?? test}](../${test}) |`,
  );
  const table = ['| attack | outcome | test |', '|---|---|---|', ...rows].join('\n');
  return readFileSync(SECURITY, 'utf8').replace(
    /(<!-- attacks:[^>]*-->\n)[^]*?(\n<!-- end of attacks -->)/,
    (_, begin: string, end: string) => `${begin}${table}${end}`,
  );
}

/** Breaks a paragraph into lines of at most 120 columns. */
function wrap(paragraph: string): string {
  let line = '';
  const lines: string[] = [];
  for (const word of paragraph.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > 120) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

/** The files whose text is not current. */
export async function staleDocuments(): Promise<readonly string[]> {
  const stale: string[] = [];
  for (const [file, make] of GENERATED)
    if ((await readFile(file, 'utf8').catch(() => '')) !== make()) stale.push(file.pathname);
  return stale;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.includes('--check')) {
    const stale = await staleDocuments();
    for (const file of stale) process.stderr.write(`not current: ${file}; do: npm run docs\n`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else for (const [file, make] of GENERATED) await writeFile(file, make());
}
