/** The documents, their code blocks, and the commands in them. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the project. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Every document for readers, relative to {@link ROOT}. */
export const DOCUMENTS: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...(await readdir(join(ROOT, 'docs'), { recursive: true }))
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => join('docs', file)),
];

/** A fenced block. */
export interface Block {
  /** First word behind the fence: `sh`, `toml` …; empty for none. */
  readonly language: string;
  /** The words after it: for `sh`, what the commands need that a test does not have. */
  readonly needs: readonly string[];
  readonly text: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
}

/** The fenced blocks of a document, in order. */
export function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { language: string; needs: string[]; line: number; lines: string[] } | null = null;
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === null) {
      const [language = '', ...needs] = (fence[1] ?? '').trim().split(/\s+/);
      open = { language, needs, line: index + 1, lines: [] };
    } else {
      blocks.push({ language: open.language, needs: open.needs, line: open.line, text: open.lines.join('\n') });
      open = null;
    }
  }
  if (open !== null) throw new Error(`the block that opens at line ${String(open.line)} does not end`);
  return blocks;
}

/**
 * The simple commands of a block as words, without comments, assignments and redirections: the program and its options.
 */
export function commandsOf(text: string): readonly (readonly string[])[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .flatMap((line) => line.replace(/(?:^|\s)#.*$/, '').split(/&&|\|\||;|\||</))
    .map((command) => [...command.matchAll(/'[^']*'|"[^"]*"|[^\s'"]+/g)].map(([word]) => word))
    .map((words) => words.slice(words.findIndex((word) => !/^[A-Z_]+=/.test(word))))
    .filter((words) => words.length > 0);
}
