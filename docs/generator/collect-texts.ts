/** Collects from the source code the texts that people read: errors with their hints, and all other sentences. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';

/** An error that the source creates. Values are written as `{name}`, alternatives in brackets: `[this | that]`. */
export interface ErrorText {
  /** The class, or the function that creates the error. */
  readonly from: string;
  /** Codes such as `MANIFEST_INVALID`, and reasons such as `tag-unknown`. */
  readonly codes: readonly string[];
  readonly message: string;
  /** What the user can do. */
  readonly hint: string | null;
}

/** The texts of one file, in the order of the file. */
export interface FileTexts {
  /** From the folder `src`, e.g. `publisher/main.ts`. */
  readonly path: string;
  readonly errors: readonly ErrorText[];
  /** Other texts of at least three words: warnings, reports, pages. */
  readonly others: readonly string[];
}

/** Classes of errors that are not ours. */
const FOREIGN_CLASSES = ['Error', 'TypeError', 'RangeError', 'InvalidArgumentError'];

/** The function that builds the edge's error responses. */
const EDGE_ERROR = 'refused';

/** Calls whose texts stand elsewhere in the document: the help of commands. */
const HELP_CALLS = new Set(['command', 'option', 'argument', 'description', 'addHelpText', 'summary']);

/** Files whose texts stand elsewhere in the document, or are for programs: the reason table, shell scripts. */
const LEFT_OUT = ['registry/errors.ts', 'registry/help.ts', 'publisher/completion/shell-scripts.ts'];

/** Parses every file below a folder and collects its texts. Files without texts are left out. */
export async function collectTexts(folder: string): Promise<readonly FileTexts[]> {
  const paths = (await readdir(folder, { recursive: true })).filter((path) => /\.tsx?$/.test(path)).sort();
  const files = await Promise.all(
    paths
      .filter((path) => !LEFT_OUT.includes(path))
      .map(async (path) =>
        ts.createSourceFile(path, await readFile(join(folder, path), 'utf8'), ts.ScriptTarget.Latest, true),
      ),
  );
  const classes = errorClasses(files);
  const makers = errorMakers(files, classes);
  return files
    .map((file) => textsOf(file, classes, makers))
    .filter(({ errors, others }) => errors.length + others.length > 0);
}

/** The names of all classes that extend `Error`, directly or not. */
function errorClasses(files: readonly ts.SourceFile[]): ReadonlySet<string> {
  const parents = new Map<string, string>();
  for (const file of files)
    visit(file, (node) => {
      const parent = ts.isClassDeclaration(node) ? node.heritageClauses?.[0]?.types[0]?.expression : undefined;
      if (ts.isClassDeclaration(node) && node.name !== undefined && parent !== undefined)
        parents.set(node.name.text, parent.getText());
    });
  const classes = new Set(FOREIGN_CLASSES);
  // A class may stand before its parent.
  for (let size = 0; size < classes.size;) {
    size = classes.size;
    for (const [name, parent] of parents) if (classes.has(parent)) classes.add(name);
  }
  return classes;
}

/** File → the functions declared there that return an error. */
function errorMakers(
  files: readonly ts.SourceFile[],
  classes: ReadonlySet<string>,
): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(
    files.map((file) => {
      const names = new Set<string>();
      visit(file, (node) => {
        if (!ts.isFunctionDeclaration(node) || node.name === undefined || node.type === undefined) return;
        if (classes.has(node.type.getText())) names.add(node.name.text);
      });
      return [file.fileName, names];
    }),
  );
}

function textsOf(
  file: ts.SourceFile,
  classes: ReadonlySet<string>,
  makers: ReadonlyMap<string, ReadonlySet<string>>,
): FileTexts {
  const creators = new Set(makers.get(file.fileName));
  for (const statement of file.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
    const target = join('/', file.fileName, '..', statement.moduleSpecifier.text).slice(1);
    const bindings = statement.importClause?.namedBindings;
    if (bindings === undefined || !ts.isNamedImports(bindings)) continue;
    for (const { name, propertyName } of bindings.elements)
      if (makers.get(target)?.has((propertyName ?? name).text) === true) creators.add(name.text);
  }
  const errors: ErrorText[] = [];
  const others: string[] = [];
  const read = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isTypeNode(node)) return;
    if (ts.isCallExpression(node) && HELP_CALLS.has(calleeOf(node))) {
      // Options are chained: the call before stands in the expression.
      read(node.expression);
      return;
    }
    const isError =
      (ts.isNewExpression(node) && classes.has(node.expression.getText())) ||
      (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && creators.has(node.expression.text)) ||
      (ts.isCallExpression(node) && node.expression.getText() === EDGE_ERROR);
    if (isError) {
      const error = errorTextOf(node);
      if (error !== null) errors.push(error);
      return;
    }
    if (isText(node)) {
      const text = textOf(node);
      if (isSentence(text)) others.push(text);
      return;
    }
    if (ts.isJsxElement(node)) {
      const text = ts.isJsxElement(node.parent) ? '' : jsxText(node);
      if (isSentence(text)) others.push(text);
    }
    if (ts.isJsxText(node)) return;
    ts.forEachChild(node, read);
  };
  ts.forEachChild(file, read);
  return { path: file.fileName, errors: unique(errors), others: unique(others) };
}

/** The texts of an error's arguments; null if it has none, as where an error is only passed on. */
function errorTextOf(node: ts.NewExpression | ts.CallExpression): ErrorText | null {
  const codes: string[] = [];
  const parts: string[] = [];
  let hint: string | null = null;
  for (const argument of node.arguments ?? []) {
    if (ts.isObjectLiteralExpression(argument)) {
      visit(argument, (member) => {
        if (!ts.isPropertyAssignment(member)) return;
        const text = textOf(member.initializer);
        if (member.name.getText() === 'hint' && hasWords(text)) hint = text;
        if (member.name.getText() === 'message' && hasWords(text)) parts.push(text);
      });
      continue;
    }
    const text = textOf(argument);
    if (/^(?:[A-Z0-9]+_)*[A-Z0-9]+$/.test(text) || /^[a-z0-9]+(?:-[a-z0-9]+)+$/.test(text)) codes.push(text);
    else if (hasWords(text)) parts.push(text);
  }
  // A single word is a name that a program reads.
  if (!parts.some((part) => part.includes(' '))) return null;
  // The second text of a function that creates errors is its hint by the convention of `usageError`.
  const [message = '', second] = parts;
  const from = node.expression.getText();
  if (second !== undefined && hint === null && /^[A-Z`]|^\[/.test(second))
    return { from, codes, message, hint: second };
  return { from, codes, message: parts.join(' … '), hint };
}

function isText(node: ts.Node): node is ts.Expression {
  return (
    ts.isStringLiteral(node) ||
    ts.isNoSubstitutionTemplateLiteral(node) ||
    ts.isTemplateExpression(node) ||
    (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken && isTextual(node))
  );
}

function isTextual(node: ts.BinaryExpression): boolean {
  return [node.left, node.right].some((side: ts.Node) =>
    isText(ts.isParenthesizedExpression(side) ? side.expression : side),
  );
}

/** An expression as a text: `{name}` for values, `[a | b]` for alternatives. */
function textOf(node: ts.Expression): string {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return node.head.text + node.templateSpans.map((span) => textOf(span.expression) + span.literal.text).join('');
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node)) return textOf(node.expression);
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken)
    return textOf(node.left) + textOf(node.right);
  if (ts.isConditionalExpression(node)) {
    const sides = [textOf(node.whenTrue), textOf(node.whenFalse)].filter((side) => side !== '{undefined}');
    return sides.length === 1 ? (sides[0] ?? '') : `[${sides.join(' | ')}]`;
  }
  if (ts.isIdentifier(node)) return `{${node.text}}`;
  if (ts.isPropertyAccessExpression(node)) return `{${node.name.text}}`;
  // `String(port)`, `path.join(', ')`, `JSON.stringify(name)`: the value counts, not its notation.
  if (ts.isCallExpression(node)) {
    const [first] = node.arguments;
    if (ts.isPropertyAccessExpression(node.expression) && ts.isIdentifier(node.expression.expression)) {
      const object = node.expression.expression.text;
      if (object !== 'JSON' && object !== 'Math') return `{${object}}`;
    }
    if (first !== undefined && (ts.isIdentifier(first) || ts.isPropertyAccessExpression(first))) return textOf(first);
  }
  return '{…}';
}

/** The text of an element and of the elements in it. */
function jsxText(node: ts.JsxElement | ts.JsxFragment): string {
  return node.children
    .map((child) => {
      if (ts.isJsxText(child)) return child.text.replace(/\s+/g, ' ');
      if (ts.isJsxElement(child) || ts.isJsxFragment(child)) return jsxText(child);
      if (ts.isJsxExpression(child) && child.expression !== undefined) {
        const { expression } = child;
        return isText(expression) || ts.isConditionalExpression(expression) ? textOf(expression) : '{…}';
      }
      return '';
    })
    .join('')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Whether a text is for people: at least three words, and neither a query, a header, a style nor a program. */
function isSentence(text: string): boolean {
  const words = text.replace(/\{[^}]*\}|`[^`]*`/g, 'X').match(/[A-Za-z’']+(?=[\s.,:;)]|$)/g) ?? [];
  return (
    words.length >= 3 &&
    text.trim().split(/\s+/).length >= 3 &&
    /[a-z]{2}/.test(text) &&
    !/^(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|max-age|public|private|default-src|no-cache|\s*<)/.test(text) &&
    !/[{;]\s*\n|=>|;\s*(?:max-age|charset|secure)/i.test(text)
  );
}

function hasWords(text: string): boolean {
  return /[A-Za-z]{2}/.test(text.replace(/\{[^}]*\}/g, ''));
}

function calleeOf({ expression }: ts.CallExpression): string {
  return ts.isPropertyAccessExpression(expression) ? expression.name.text : '';
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}
