/** Strict readers of YAML values: each error contains the line. Throw {@link CommandError} (usage). */
import { isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml';
import { CommandError } from '../cli/errors.ts';

/** The file, for messages with a line. */
export interface Where {
  readonly file: string;
  readonly lines: LineCounter;
}

/** A value, and its title for messages. */
export interface Value {
  readonly title: string;
  readonly node: unknown;
}

/** The file and the line of an offset. */
export function at({ file, lines }: Where, offset: number): string {
  return `${file}:${String(lines.linePos(offset).line)}`;
}

/** The error about a value, with its line. */
export function fail({ node, title }: Value, where: Where, what: string, hint?: string): CommandError {
  const range = (node as Node | null)?.range;
  const place = range === undefined || range === null ? where.file : at(where, range[0]);
  return new CommandError(`${place}: ${title} ${what}`, { kind: 'usage', ...(hint === undefined ? {} : { hint }) });
}

/** The members of a map, which may have only those that are known. */
export function membersOf(
  node: unknown,
  where: Where,
  title: string,
  known: readonly string[],
): ReadonlyMap<string, Value> {
  if (!isMap(node)) throw fail({ node, title }, where, `must have members: ${known.join(', ')}`);
  const members = new Map<string, Value>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : '';
    if (!known.includes(name))
      throw fail({ node: key, title }, where, `has the unknown member "${name}"`, `Known are: ${known.join(', ')}.`);
    // `tags:` without a value is more likely a mistake than intended.
    if (value === null || (isScalar(value) && value.value === null))
      throw fail({ node: key, title: name }, where, 'has no value');
    members.set(name, { title: name, node: value });
  }
  return members;
}

/** The items of a list. */
export function itemsOf(value: Value, where: Where): readonly Value[] {
  if (!isSeq(value.node)) throw fail(value, where, 'must be a list');
  return value.node.items.map((node, index) => ({ node, title: `${value.title}[${String(index)}]` }));
}

/** A text that is not empty. */
export function textOf(value: Value, where: Where): string {
  const text = isScalar(value.node) ? value.node.value : undefined;
  if (typeof text !== 'string' || text === '') {
    // The tag 1.10 is a number in YAML, and has lost its zero.
    const hint = typeof text === 'number' ? 'Put it in quotes: YAML reads it as a number.' : undefined;
    throw fail(value, where, 'must be text', hint);
  }
  return text;
}

/** A list, or one value as a list of one. */
export function textsOf(value: Value, where: Where): readonly Value[] {
  return isSeq(value.node) ? itemsOf(value, where) : [value];
}

/** True or false. */
export function booleanOf(value: Value, where: Where): boolean {
  const found = isScalar(value.node) ? value.node.value : undefined;
  if (typeof found !== 'boolean') throw fail(value, where, 'must be true or false');
  return found;
}

/** One of some texts. */
export function oneOf<T extends string>(value: Value, where: Where, known: readonly T[]): T {
  const text = isScalar(value.node) ? value.node.value : undefined;
  const found = known.find((one) => one === text);
  if (found === undefined) throw fail(value, where, `must be one of ${known.join(', ')}`);
  return found;
}
