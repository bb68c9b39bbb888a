/** `docs/reference/messages.md`: every text that a person may read, in one file, so that they can be judged together. */
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { DEFAULT_STATE, readEnvironment } from '../../src/publisher/cli/environment.ts';
import { createProgram } from '../../src/publisher/program.ts';
import { helpPath, REASONS, type Reason, reasonRow } from '../../src/registry/errors.ts';
import { helpOf } from '../../src/registry/help.ts';
import { collectTexts, type ErrorText, type FileTexts } from './collect-texts.ts';
import { wrap } from './markdown.ts';

/** The help is wrapped at this column, whatever the terminal. */
const HELP_COLUMNS = 110;

/** The document. */
export async function messagesDocument(): Promise<string> {
  const [helps, files] = await Promise.all([
    helpTexts(),
    collectTexts(fileURLToPath(new URL('../../src', import.meta.url))),
  ]);
  const reasons = Object.keys(REASONS) as Reason[];
  const edge = files.filter(({ path }) => !path.startsWith('publisher/'));
  const publisher = files.filter(({ path }) => path.startsWith('publisher/'));
  return `<!-- Made by \`npm run docs\` from the source code; do not edit. -->
# All messages

Every text of Gantry that a person may read, for editors and translators, and to look up an error. A value is written as
\`{name}\`. Alternatives are in brackets: \`[this | that]\`. The text after \`→\` is the advice.

- [Help of the commands](#help-of-the-commands)
- [Errors of the edge](#errors-of-the-edge): in answers to clients, and on the pages of the registry
- [Errors of the command](#errors-of-the-command)
- [Errors of the Worker and of shared code](#errors-of-the-worker-and-of-shared-code): in the log, or as the cause of
  another error
- [Other texts of the command](#other-texts-of-the-command): warnings, reports, progress
- [Other texts of the Worker and of shared code](#other-texts-of-the-worker-and-of-shared-code): pages, logs

## Help of the commands

${helps.map(({ title, text }) => `### ${title}\n\n\`\`\`text\n${text}\n\`\`\`\n`).join('\n')}
## Errors of the edge

${reasons.map(reasonText).join('\n')}
## Errors of the command

${errorLists(publisher)}
## Errors of the Worker and of shared code

${errorLists(edge)}
## Other texts of the command

${otherLists(publisher)}
## Other texts of the Worker and of shared code

${otherLists(edge).trimEnd()}
`;
}

/** The output of \`--help\` for the program and for each command and subcommand. */
async function helpTexts(): Promise<readonly { readonly title: string; readonly text: string }[]> {
  const program = await createProgram(readEnvironment([], { GANTRY_KEY: '~/.local/state/gantry/signing-key.pem' }));
  const helps: { title: string; text: string }[] = [];
  const add = (command: Command, title: string): void => {
    let text = '';
    command.configureOutput({
      getOutHelpWidth: () => HELP_COLUMNS,
      getOutHasColors: () => false,
      writeOut: (part) => {
        text += part;
      },
    });
    // The help has the folder of this machine.
    for (const option of command.options)
      if (option.defaultValue === DEFAULT_STATE) option.defaultValueDescription = '~/.local/state/gantry/store';
    command.outputHelp();
    helps.push({ title, text: text.trimEnd() });
    for (const child of command.commands) add(child, `${title} ${child.name()}`);
  };
  add(program, 'gantry');
  return helps;
}

function reasonText(reason: Reason): string {
  const { status, codes, message } = reasonRow(reason);
  const { title, paragraphs } = helpOf(reason);
  return [
    `### ${reason}\n`,
    wrap(`- ${String(status)} ${codes.map((code) => `\`${code}\``).join(', ')}: ${message}`, '  '),
    `- \`${helpPath(reason)}\`: **${title}**`,
    ...paragraphs.map((paragraph) => `\n${wrap(`  ${paragraph.trim()}`, '  ').replace(/^(?! {2})/, '  ')}`),
    '',
  ].join('\n');
}

function errorLists(files: readonly FileTexts[]): string {
  return listsOf(files, ({ errors }) => errors.map(errorLine));
}

function errorLine({ codes, message, hint }: ErrorText): string {
  return [...codes, message, ...(hint === null ? [] : ['→', hint])].join(' ');
}

function otherLists(files: readonly FileTexts[]): string {
  return listsOf(files, ({ others }) => others);
}

/** A block for each file that has such texts. In a block, Markdown changes no character. */
function listsOf(files: readonly FileTexts[], linesOf: (file: FileTexts) => readonly string[]): string {
  return files
    .map((file) => ({ path: file.path, lines: linesOf(file) }))
    .filter(({ lines }) => lines.length > 0)
    .map(({ path, lines }) => `\`src/${path}\`\n\n\`\`\`text\n${lines.map(line).join('\n')}\n\`\`\`\n`)
    .join('\n');
}

function line(text: string): string {
  return wrap(`- ${text.replaceAll('\x1b', '␛').replace(/\s*\n\s*/g, ' ⏎ ')}`, '  ');
}
