/**
 * Reads the configuration of `gantry sync`: YAML, read strictly, because an ignored setting could cost somebody their
 * tags. Errors contain the line.
 */
import type { MissingRule } from '../../origin/caller.ts';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import picomatch from 'picomatch';
import semver from 'semver';
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import { formatPlatform, parsePlatform, type Platform } from '../../registry/platform.ts';
import { CommandError } from '../cli/errors.ts';
import type { Recompress } from '../publish/layers.ts';
import { parseRemoteRepository, type RemoteRepository } from '../sources/registry/remote-name.ts';
import { ALL_TAGS, type TagFilter } from './select.ts';

/**
 * Which tags of the bucket are deleted: `none`; `missing`: those that the source does not have any more; `unselected`:
 * those that are not selected any more as well.
 */
export type Prune = 'none' | 'missing' | 'unselected';

/** How the tags of a repository are synced. */
export interface SyncSettings {
  readonly tags: TagFilter;
  readonly platforms: readonly Platform[];
  readonly recompress: Recompress | undefined;
  readonly referrers: boolean;
  /** Whether to request a schema 1 of a moved tag as well. */
  readonly schema1: boolean;
  readonly prune: Prune;
  readonly mode: 'strict' | 'compat';
  /** The key or policy by which every tag must be signed, relative to the working directory; undefined for none. */
  readonly verifySignature: string | undefined;
}

/** Where repositories are read from. */
export type SyncSource =
  | {
      readonly kind: 'registry';
      readonly remote: RemoteRepository;
      readonly tlsVerify: boolean | undefined;
      /** Which 404 of it means that a tag is gone. */
      readonly missing: MissingRule;
    }
  /** A Pulp tree or one repository of it; `repositories` are globs over the names in a tree. */
  | { readonly kind: 'pulp2'; readonly path: string; readonly repositories: readonly string[] };

/** One entry of the configuration. */
export interface SyncEntry {
  /** The source as it is written. */
  readonly from: string;
  readonly source: SyncSource;
  /** The name in the bucket for a name at the source; null if it is not valid. */
  readonly rename: (name: RepositoryName) => RepositoryName | null;
  readonly settings: SyncSettings;
}

/** The default settings. */
const DEFAULTS: SyncSettings = {
  tags: ALL_TAGS,
  platforms: [],
  recompress: undefined,
  referrers: true,
  schema1: true,
  prune: 'none',
  mode: 'strict',
  verifySignature: undefined,
};

const SETTINGS = [
  'tags',
  'platforms',
  'recompress',
  'referrers',
  'schema1',
  'prune',
  'compat',
  'verify-signature',
] as const;

/** Reads a file. Throws {@link CommandError}. */
export async function readSyncConfig(path: string): Promise<readonly SyncEntry[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new CommandError(missing ? `there is no file ${path}` : `${path} cannot be read`, {
      hint: '`gantry sync --help` shows one.',
      cause,
    });
  }
  return parseSyncConfig(text, basename(path));
}

/** Reads a file's text; `file` is for messages. Throws {@link CommandError} (usage). */
export function parseSyncConfig(text: string, file: string): readonly SyncEntry[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const where: Where = { file, lines };
  const [fault] = document.errors;
  if (fault !== undefined) throw new CommandError(`${at(where, fault.pos[0])}: ${fault.message}`, { kind: 'usage' });
  const top = membersOf(document.contents, where, 'the file', ['defaults', 'repositories']);
  const defaults = top.get('defaults');
  const base =
    defaults === undefined
      ? DEFAULTS
      : readSettings(membersOf(defaults.node, where, 'defaults', SETTINGS), where, DEFAULTS);
  const list = top.get('repositories');
  if (list === undefined)
    throw new CommandError(`${file} has no "repositories"`, {
      kind: 'usage',
      hint: '`gantry sync --help` shows an example.',
    });
  const entries = itemsOf(list, where).map((item) => readEntry(item, where, base));
  if (entries.length === 0) throw fail(list, where, 'names no repository');
  return entries;
}

interface Where {
  readonly file: string;
  readonly lines: LineCounter;
}

/** A value, and its title for messages. */
interface Value {
  readonly title: string;
  readonly node: unknown;
}

function at({ file, lines }: Where, offset: number): string {
  return `${file}:${String(lines.linePos(offset).line)}`;
}

function fail({ node, title }: Value, where: Where, what: string, hint?: string): CommandError {
  const range = (node as Node | null)?.range;
  const place = range === undefined || range === null ? where.file : at(where, range[0]);
  return new CommandError(`${place}: ${title} ${what}`, { kind: 'usage', ...(hint === undefined ? {} : { hint }) });
}

function membersOf(node: unknown, where: Where, title: string, known: readonly string[]): ReadonlyMap<string, Value> {
  if (!isMap(node)) throw fail({ node, title }, where, `must have members: ${known.join(', ')}`);
  const members = new Map<string, Value>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : '';
    if (!known.includes(name))
      throw fail(
        { node: key, title },
        where,
        `has a member "${name}" that is not known`,
        `Known are: ${known.join(', ')}.`,
      );
    // `tags:` without a value is more likely a mistake than intended.
    if (value === null || (isScalar(value) && value.value === null))
      throw fail({ node: key, title: name }, where, 'has no value');
    members.set(name, { title: name, node: value });
  }
  return members;
}

function itemsOf(value: Value, where: Where): readonly Value[] {
  if (!isSeq(value.node)) throw fail(value, where, 'must be a list');
  return value.node.items.map((node, index) => ({ node, title: `${value.title}[${String(index)}]` }));
}

function textOf(value: Value, where: Where): string {
  const text = isScalar(value.node) ? value.node.value : undefined;
  if (typeof text !== 'string' || text === '') {
    // The tag 1.10 is a number in YAML, and has lost its zero.
    const hint = typeof text === 'number' ? 'Put it in quotes: YAML takes it for a number.' : undefined;
    throw fail(value, where, 'must be text', hint);
  }
  return text;
}

function textsOf(value: Value, where: Where): readonly Value[] {
  return isSeq(value.node) ? itemsOf(value, where) : [value];
}

function booleanOf(value: Value, where: Where): boolean {
  const found = isScalar(value.node) ? value.node.value : undefined;
  if (typeof found !== 'boolean') throw fail(value, where, 'must be true or false');
  return found;
}

function oneOf<T extends string>(value: Value, where: Where, known: readonly T[]): T {
  const text = isScalar(value.node) ? value.node.value : undefined;
  const found = known.find((one) => one === text);
  if (found === undefined) throw fail(value, where, `must be one of ${known.join(', ')}`);
  return found;
}

function readEntry(item: Value, where: Where, base: SyncSettings): SyncEntry {
  const members = membersOf(item.node, where, item.title, [
    'from',
    'to',
    'repositories',
    'tls-verify',
    'missing',
    ...SETTINGS,
  ]);
  const from = members.get('from');
  if (from === undefined)
    throw fail(item, where, 'has no "from"', 'Write from: docker://HOST/NAME, or from: pulp2:FOLDER.');
  const source = readSource(from, members, where);
  const to = members.get('to');
  return {
    from: textOf(from, where),
    source,
    rename: renamer(to, source, where),
    settings: readSettings(members, where, base),
  };
}

function readSource(from: Value, members: ReadonlyMap<string, Value>, where: Where): SyncSource {
  const text = textOf(from, where);
  const globs = members.get('repositories');
  const tls = members.get('tls-verify');
  const missing = members.get('missing');
  if (text.startsWith('docker://')) {
    if (globs !== undefined) throw fail(globs, where, 'are only chosen from a tree of Pulp 2');
    try {
      return {
        kind: 'registry',
        remote: parseRemoteRepository(text.slice('docker:'.length)),
        tlsVerify: tls === undefined ? undefined : booleanOf(tls, where),
        missing: missing === undefined ? 'registry' : oneOf(missing, where, ['registry', 'any'] as const),
      };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw fail(
        from,
        where,
        `is no repository: ${error.message}`,
        'Write docker://HOST/NAME, without a tag: tags are chosen under "tags".',
      );
    }
  }
  if (text.startsWith('pulp2:') && text !== 'pulp2:') {
    if (tls !== undefined) throw fail(tls, where, 'is for registries');
    if (missing !== undefined) throw fail(missing, where, 'is for registries');
    return {
      kind: 'pulp2',
      path: text.slice('pulp2:'.length),
      repositories: globs === undefined ? [] : readGlobs(globs, where),
    };
  }
  throw fail(
    from,
    where,
    `"${text}" is no source`,
    'Write docker://HOST/NAME, or pulp2:FOLDER (a published repository or the whole tree).',
  );
}

/** `to` is a name, or one with a `*` for the name at the source; without it names stay the same. */
function renamer(to: Value | undefined, source: SyncSource, where: Where): SyncEntry['rename'] {
  if (to === undefined) return (name) => name;
  const text = textOf(to, where);
  const parts = text.split('*');
  if (parts.length > 2) throw fail(to, where, 'has more than one *');
  const [before = '', after] = parts;
  if (after === undefined) {
    const name = parseRepositoryName(text);
    if (name === null) throw fail(to, where, `"${text}" is no repository name`);
    if (source.kind === 'pulp2' && source.repositories.length > 0)
      throw fail(to, where, 'must have a * where several repositories come', 'Write to: mirror/*.');
    return () => name;
  }
  if (parseRepositoryName(`${before}x${after}`) === null) throw fail(to, where, `"${text}" gives no repository names`);
  return (name) => parseRepositoryName(`${before}${name}${after}`);
}

function readSettings(members: ReadonlyMap<string, Value>, where: Where, base: SyncSettings): SyncSettings {
  const read = <T>(name: (typeof SETTINGS)[number], from: (value: Value) => T, otherwise: T): T => {
    const value = members.get(name);
    return value === undefined ? otherwise : from(value);
  };
  return {
    tags: read('tags', (value) => readTagFilter(value, where), base.tags),
    platforms: read(
      'platforms',
      (value) => textsOf(value, where).map((one) => readPlatform(one, where)),
      base.platforms,
    ),
    recompress: read('recompress', (value) => readRecompress(value, where), base.recompress),
    referrers: read('referrers', (value) => booleanOf(value, where), base.referrers),
    schema1: read('schema1', (value) => booleanOf(value, where), base.schema1),
    prune: read('prune', (value) => oneOf(value, where, ['none', 'missing', 'unselected']), base.prune),
    mode: read('compat', (value) => (booleanOf(value, where) ? 'compat' : 'strict'), base.mode),
    verifySignature: read('verify-signature', (value) => pathOf(value, where), base.verifySignature),
  };
}

function pathOf(value: Value, where: Where): string {
  const path = isScalar(value.node) ? value.node.value : undefined;
  if (typeof path !== 'string' || path === '') throw fail(value, where, 'must be the path of a key or a policy');
  return path;
}

function readRecompress(value: Value, where: Where): Recompress | undefined {
  const found = isScalar(value.node) ? value.node.value : undefined;
  if (typeof found === 'boolean') return found ? 'zstd' : undefined;
  return oneOf<Recompress>(value, where, ['zstd', 'all']);
}

function readPlatform(value: Value, where: Where): Platform {
  const text = textOf(value, where);
  const platform = parsePlatform(text);
  if (platform === null || formatPlatform(platform) !== text)
    throw fail(value, where, `"${text}" is no platform`, 'Write linux/arm64 or linux/arm/v7.');
  return platform;
}

/** A list of globs, or an object of conditions that must all hold. */
function readTagFilter(value: Value, where: Where): TagFilter {
  if (isSeq(value.node) || isScalar(value.node)) return { ...ALL_TAGS, glob: readGlobs(value, where) };
  const members = membersOf(value.node, where, value.title, ['glob', 'regex', 'semver', 'newest']);
  const [glob, regex, range, newest] = ['glob', 'regex', 'semver', 'newest'].map((name) => members.get(name));
  return {
    glob: glob === undefined ? [] : readGlobs(glob, where),
    regex: regex === undefined ? undefined : readRegex(regex, where),
    semver: range === undefined ? undefined : readRange(range, where),
    newest: newest === undefined ? undefined : readCount(newest, where),
  };
}

function readGlobs(value: Value, where: Where): readonly string[] {
  return textsOf(value, where).map((one) => {
    const text = textOf(one, where);
    try {
      picomatch(text);
    } catch (cause) {
      throw fail(one, where, `"${text}" is no glob: ${cause instanceof Error ? cause.message : ''}`);
    }
    return text;
  });
}

function readRegex(value: Value, where: Where): RegExp {
  const text = textOf(value, where);
  try {
    return new RegExp(text, 'u');
  } catch (cause) {
    throw fail(value, where, `is no regular expression: ${cause instanceof Error ? cause.message : ''}`);
  }
}

function readRange(value: Value, where: Where): semver.Range {
  const text = textOf(value, where);
  try {
    return new semver.Range(text);
  } catch {
    throw fail(value, where, `"${text}" is no range of versions`, 'Write e.g. ">=1.30 <2", or "^1.36".');
  }
}

function readCount(value: Value, where: Where): number {
  const count = isScalar(value.node) ? value.node.value : undefined;
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 1)
    throw fail(value, where, 'must be a whole number from 1');
  return count;
}
