/**
 * JSON as a tree that keeps every scalar and key as written, for mutation: order, repeats, spellings and white space
 * between tokens are free.
 *
 * Text here is *binary text*, one character a byte (`latin1`), so that bytes which are not UTF-8 can be written too.
 */

/** A value: a scalar's own text (or any text put in its place), or a container. */
export type Node =
  | { readonly kind: 'scalar'; readonly text: string }
  | { readonly kind: 'array'; readonly items: Node[] }
  | { readonly kind: 'object'; readonly members: [key: string, value: Node][] };

/** A node that has children. */
export type Container = Exclude<Node, { kind: 'scalar' }>;

const TOKEN = /[ \t\r\n]*("(?:[^"\\]|\\[^])*"|[[\]{},:]|[^ \t\r\n[\]{},:"]+)/y;

/** Reads well-formed JSON that is not nested deeply. Throws on anything else. */
export function parseTree(text: string): Node {
  TOKEN.lastIndex = 0;
  const next = (): string => {
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) throw new SyntaxError('not JSON');
    return token;
  };
  const value = (token: string): Node => {
    if (token === '[') return { kind: 'array', items: list(']', value) };
    if (token !== '{') return { kind: 'scalar', text: token };
    const members = list('}', (key): [string, Node] => {
      next();
      return [key, value(next())];
    });
    return { kind: 'object', members };
  };
  const list = <T>(close: string, read: (first: string) => T): T[] => {
    const all: T[] = [];
    for (let token = next(); token !== close; token = next()) all.push(read(token === ',' ? next() : token));
    return all;
  };
  return value(next());
}

/** Writes a tree; `space` gives the white space before each token. */
export function printTree(node: Node, space: () => string = () => ''): string {
  switch (node.kind) {
    case 'scalar':
      return `${space()}${node.text}`;
    case 'array':
      return `${space()}[${node.items.map((item) => printTree(item, space)).join(`${space()},`)}${space()}]`;
    case 'object': {
      const members = node.members.map(([key, value]) => `${space()}${key}${space()}:${printTree(value, space)}`);
      return `${space()}{${members.join(`${space()},`)}${space()}}`;
    }
  }
}

/** All containers of a tree, the outermost first. */
export function containersOf(node: Node): Container[] {
  if (node.kind === 'scalar') return [];
  const children = node.kind === 'array' ? node.items : node.members.map(([, value]) => value);
  return [node, ...children.flatMap(containersOf)];
}

/** A tree that shares nothing with the first. */
export function copyTree(node: Node): Node {
  switch (node.kind) {
    case 'scalar':
      return node;
    case 'array':
      return { kind: 'array', items: node.items.map(copyTree) };
    case 'object':
      return { kind: 'object', members: node.members.map(([key, value]) => [key, copyTree(value)]) };
  }
}
