/** Writes the documents that are made from tables of the program: `npm run docs`; with `--check` it only says which are not current. */
import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { helpPath, REASONS, type Reason, reasonRow } from '../src/registry/errors.ts';
import { helpOf } from '../src/registry/help.ts';

/** File → its text, as it has to be. */
export const GENERATED: ReadonlyMap<URL, () => string> = new Map([
  [new URL('errors.md', import.meta.url), errorsDocument],
]);

/** `docs/errors.md`: the reason table for reading. */
export function errorsDocument(): string {
  const reasons = Object.keys(REASONS) as Reason[];
  const rows = reasons.map((reason) => {
    const { status, codes, caching } = reasonRow(reason);
    return `| [\`${reason}\`](#${reason}) | ${String(status)} | ${codes.map((code) => `\`${code}\``).join(', ')} | ${caching === 'miss' ? 'seconds' : 'no'} |`;
  });
  const sections = reasons.map((reason) => {
    const { message } = reasonRow(reason);
    const help = helpOf(reason);
    return `## ${reason}\n\n**${help.title}.** ${message}\n\n${help.paragraphs.join('\n\n')}\n\nOn the registry itself: \`${helpPath(reason)}\`\n`;
  });
  return `<!-- Made by \`npm run docs\` from src/registry/errors.ts and help.ts; do not edit. -->
# Why something is refused

Every answer that is not what was asked for has a reason. The body is the error envelope of the OCI distribution specification:

\`\`\`json
{"errors":[{"code":"MANIFEST_UNKNOWN","message":"…","detail":{"reason":"tag-unknown","help":"https://registry.example.com/help/tag-unknown"}}]}
\`\`\`

\`message\` is a sentence for people, \`detail.reason\` one of the words below for programs, \`detail.available\` what could have been had instead, and \`detail.help\` a
page that the registry serves. The first code decides what old engines show: Docker 1.8.3 and 1.9 hide the message behind a first \`MANIFEST_UNKNOWN\`, so a tag without
schema 1 says \`UNSUPPORTED\` first. "Could not find out" is never a 404: it is 503 with \`Retry-After\`.

| reason | status | codes | kept by caches |
|---|---|---|---|
${rows.join('\n')}

${sections.join('\n')}`;
}

/** The files that do not say what they should. */
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
