/**
 * Text for terminals: tables, wrapped paragraphs, sizes and colours (`styleText` omits them by NO_COLOR and off
 * terminals). Names, platforms and messages may come from a stranger, so control characters are replaced here, in the
 * one place through which text reaches the terminal.
 */
import { inspect, stripVTControlCharacters, styleText } from 'node:util';

/** Colours by meaning. */
export const STYLES = { good: 'green', bad: 'red', doubtful: 'yellow', quiet: 'dim', strong: 'bold' } as const;

/** Colours text for standard output, if it supports colours. */
export function paint(style: keyof typeof STYLES, text: string): string {
  return styleText(STYLES[style], text, { stream: process.stdout });
}

/**
 * Characters that command a terminal or reorder text: C0, DEL and C1 (ECMA-48), line separators, and the controls of
 * the bidirectional algorithm (UAX #9).
 */
const CONTROLS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** The same without C0, which JSON escapes itself. */
const JSON_CONTROLS = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Text in one line without control characters: breaks become spaces, others U+FFFD, so that a reader notices them. */
export function plainText(text: string): string {
  return text.replace(/[\t\r\n]+/g, ' ').replace(CONTROLS, '\ufffd');
}

const ESCAPE = '\u001b';
const PAINTED = new RegExp(`${ESCAPE}\\[(\\d+)m([^${ESCAPE}]*)${ESCAPE}\\[\\d+m`, 'g');

/** {@link plainText} that keeps what {@link paint} writes, and nothing else. */
export function plainLine(text: string): string {
  let result = '';
  let at = 0;
  for (const match of text.matchAll(PAINTED)) {
    const [whole, code, inner = ''] = match;
    const style = (Object.keys(STYLES) as (keyof typeof STYLES)[]).find(
      (one) => String(inspect.colors[STYLES[one]]?.[0]) === code,
    );
    const isOurs = style !== undefined && paint(style, inner) === whole;
    result += plainText(text.slice(at, match.index)) + (isOurs ? paint(style, plainText(inner)) : plainText(whole));
    at = match.index + whole.length;
  }
  return result + plainText(text.slice(at));
}

/** Prints lines on standard output. */
export function printLines(lines: readonly string[]): void {
  process.stdout.write(`${lines.map(plainLine).join('\n')}\n`);
}

/** Prints a message for the user, in one line on standard error. */
export function printMessage(text: string): void {
  process.stderr.write(`${plainText(text)}\n`);
}

/** A value as JSON. Its text is exact; characters that command a terminal are escaped, as JSON allows for any. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    JSON_CONTROLS,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Prints a value as JSON on standard output, in one line unless `indent` is given. */
export function printJson(value: unknown, indent?: number): void {
  process.stdout.write(`${jsonText(value, indent)}\n`);
}

/** The columns of the terminal at standard output; 100 if it is not a terminal. */
export function terminalWidth(): number {
  return Math.max(40, process.stdout.isTTY ? process.stdout.columns : 100);
}

/**
 * Lines of a table: columns two spaces apart, the last one wrapped so that no line is longer than `width`. Where the
 * columns do not fit, each cell gets a line of its own. A digest that is longer than its line is shortened, unless
 * `exact` is set: output that is no terminal is exact. Cells may be coloured by {@link paint}; other control characters
 * in them are replaced.
 */
export function tableLines(
  cells: readonly (readonly string[])[],
  width = terminalWidth(),
  exact = !process.stdout.isTTY,
): string[] {
  const rows = cells.map((row) => row.map(plainLine));
  const fit = (text: string, room: number): string[] => wrap(exact ? text : shortened(text, room), room);
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(0, ...rows.map((row) => lengthOf(row[column] ?? ''))),
  );
  const before = widths.slice(0, -1).reduce((sum, one) => sum + one + GAP, 0);
  if (before - GAP > width)
    return rows.flatMap(([first = '', ...cells]) => [
      ...fit(first, width),
      ...cells.filter((cell) => cell !== '').flatMap((cell) => fit(cell, width - GAP).map((line) => '  ' + line)),
    ]);
  return rows.flatMap((row) => {
    const head = row
      .slice(0, columns - 1)
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell) + GAP));
    // If too little room is left, the last column starts on a new line.
    const room = width - before;
    const last = fit(row[columns - 1] ?? '', room >= MIN_LAST ? room : width - GAP);
    const indent = ' '.repeat(room >= MIN_LAST ? before : GAP);
    const [first = '', ...more] = room >= MIN_LAST ? last : ['', ...last];
    return [`${head.join('')}${first}`.trimEnd(), ...more.map((line) => indent + line)];
  });
}

const GAP = 2;
const MIN_LAST = 16;

const LONG_DIGESTS = /sha(?:256|512):[0-9a-f]{64,128}/g;

/** Text whose digests fit into `width` characters: one that does not keeps its first twelve digits. */
function shortened(text: string, width: number): string {
  return text.replace(LONG_DIGESTS, (digest) => (digest.length <= width ? digest : `${digest.slice(0, 19)}…`));
}

/** Breaks text at spaces into lines of at most `width` characters; a longer word gets a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && lengthOf(line) + 1 + lengthOf(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** `1 tag`, `2 tags`; `plural` is for words whose plural is not formed with an s. */
export function formatCount(count: number, singular: string, plural = `${singular}s`): string {
  return `${String(count)} ${count === 1 ? singular : plural}`;
}

function lengthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}

/** A progress line on standard error, rewritten in place; nothing if standard error is not a terminal. */
export interface ProgressLine {
  show(text: string): void;
  /** Removes the line. */
  clear(): void;
}

// Drawing more often than the eye can follow only costs time.
const SHOW_EVERY_MS = 80;

/** Creates a progress line. */
export function progressLine(): ProgressLine {
  const { stderr } = process;
  if (!stderr.isTTY) return { show: () => undefined, clear: () => undefined };
  let last = -Infinity;
  return {
    show: (text) => {
      const now = performance.now();
      if (now - last < SHOW_EVERY_MS) return;
      last = now;
      stderr.write(`\r\u001b[2K${plainText(text).slice(0, stderr.columns - 1)}`);
    },
    clear: () => stderr.write('\r\u001b[2K'),
  };
}
