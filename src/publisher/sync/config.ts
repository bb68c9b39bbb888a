/**
 * Reads the configuration of `gantry sync`: YAML, read strictly, because an ignored setting could cost somebody their
 * tags. Errors contain the line.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import type { MissingRule } from '../../origin/caller.ts';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { isLoopback, parseRemoteRepository, type RemoteRepository } from '../sources/registry/remote-name.ts';
import { DEFAULTS, readGlobs, readSettings, SETTINGS, type SyncSettings } from './settings.ts';
import { at, booleanOf, fail, itemsOf, membersOf, oneOf, textOf, type Value, type Where } from './yaml-values.ts';

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
  | { readonly kind: 'pulp2'; readonly path: string; readonly repositories: readonly string[] }
  | Pulp3Source;

/** A Pulp 3; `repositories` are globs over the names that it distributes. */
export interface Pulp3Source {
  readonly kind: 'pulp3';
  /** Scheme and host. */
  readonly url: URL;
  readonly repositories: readonly string[];
  /** The environment variable with `USER:PASSWORD`; undefined: the login for the host. */
  readonly credentials: string | undefined;
  /** The realm that private repositories must be in; undefined: any but the public one. */
  readonly privateRealm: string | undefined;
  readonly tlsVerify: boolean | undefined;
}

/** One entry of the configuration. */
export interface SyncEntry {
  /** The source as it is written. */
  readonly from: string;
  readonly source: SyncSource;
  /** `to` as it is written; `*` if it is not there. */
  readonly to: string;
  /** The name in the bucket for a name at the source; null if it is not valid. */
  readonly rename: (name: RepositoryName) => RepositoryName | null;
  readonly settings: SyncSettings;
}

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
  if (fault !== undefined) throw usageError(`${at(where, fault.pos[0])}: ${fault.message}`);
  const top = membersOf(document.contents, where, 'the file', ['defaults', 'repositories']);
  const defaults = top.get('defaults');
  const base =
    defaults === undefined
      ? DEFAULTS
      : readSettings(membersOf(defaults.node, where, 'defaults', SETTINGS), where, DEFAULTS);
  const list = top.get('repositories');
  if (list === undefined) throw usageError(`${file} has no "repositories"`, '`gantry sync --help` shows an example.');
  const entries = itemsOf(list, where).map((item) => readEntry(item, where, base));
  if (entries.length === 0) throw fail(list, where, 'names no repository');
  for (const [index, { source }] of entries.entries()) {
    const same = entries.slice(0, index).flatMap((other) => (isSamePulp(other.source, source) ? [other.source] : []));
    if (same.some((other) => isPulp3(other) && isPulp3(source) && other.credentials !== source.credentials))
      throw fail(
        { node: list.node, title: `${list.title}[${String(index)}]` },
        where,
        'reads a Pulp with another account than an entry before it',
        'Give both the same "credentials": with two accounts, missing repositories cannot be detected.',
      );
  }
  return entries;
}

function isPulp3(source: SyncSource): source is Pulp3Source {
  return source.kind === 'pulp3';
}

function isSamePulp(a: SyncSource, b: SyncSource): boolean {
  return isPulp3(a) && isPulp3(b) && a.url.href === b.url.href;
}

const SOURCE_MEMBERS = ['from', 'to', 'repositories', 'tls-verify', 'missing', 'credentials', 'private-realm'] as const;

function readEntry(item: Value, where: Where, base: SyncSettings): SyncEntry {
  const members = membersOf(item.node, where, item.title, [...SOURCE_MEMBERS, ...SETTINGS]);
  const from = members.get('from');
  if (from === undefined)
    throw fail(item, where, 'has no "from"', 'Write from: docker://HOST/NAME, pulp3+https://HOST, or pulp2:FOLDER.');
  const source = readSource(from, members, where);
  const to = members.get('to');
  return {
    from: textOf(from, where),
    source,
    to: to === undefined ? '*' : textOf(to, where),
    rename: renamer(to, source, where),
    settings: readSettings(members, where, base),
  };
}

function readSource(from: Value, members: ReadonlyMap<string, Value>, where: Where): SyncSource {
  const text = textOf(from, where);
  const globs = members.get('repositories');
  const tls = members.get('tls-verify');
  const missing = members.get('missing');
  if (missing !== undefined && !text.startsWith('docker://')) throw fail(missing, where, 'is only for registries');
  if (text.startsWith('pulp3+')) return readPulp3(from, members, where);
  for (const name of ['credentials', 'private-realm'] as const) {
    const value = members.get(name);
    if (value !== undefined) throw fail(value, where, 'is only for a Pulp 3 (from: pulp3+https://HOST)');
  }
  if (text.startsWith('docker://')) {
    if (globs !== undefined) throw fail(globs, where, 'are only for a Pulp 2 tree or a Pulp 3');
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
        `is not a valid repository: ${error.message}`,
        'Write docker://HOST/NAME, without a tag: tags are chosen under "tags".',
      );
    }
  }
  if (text.startsWith('pulp2:') && text !== 'pulp2:') {
    if (tls !== undefined) throw fail(tls, where, 'is only for registries');
    return {
      kind: 'pulp2',
      path: text.slice('pulp2:'.length),
      repositories: globs === undefined ? [] : readGlobs(globs, where),
    };
  }
  throw fail(
    from,
    where,
    `"${text}" is not a valid source`,
    'Write docker://HOST/NAME, pulp3+https://HOST, or pulp2:FOLDER (a published repository or the whole tree).',
  );
}

function readPulp3(from: Value, members: ReadonlyMap<string, Value>, where: Where): Pulp3Source {
  const text = textOf(from, where).slice('pulp3+'.length);
  const url = URL.canParse(text) ? new URL(text) : null;
  const isBare = url !== null && /^https?:\/\/[^/?#@]+\/?$/.test(text);
  if (!isBare)
    throw fail(
      from,
      where,
      `"pulp3+${text}" is not a valid address of a Pulp 3`,
      'Write pulp3+https://HOST[:PORT], without a path.',
    );
  if (url.protocol === 'http:' && !isLoopback(url.host))
    throw fail(
      from,
      where,
      'would send the password unencrypted',
      'Write pulp3+https://; http is only for this machine.',
    );
  const [globs, tls, credentials, realm] = ['repositories', 'tls-verify', 'credentials', 'private-realm'].map((name) =>
    members.get(name),
  );
  return {
    kind: 'pulp3',
    url,
    repositories: globs === undefined ? [] : readGlobs(globs, where),
    credentials: credentials === undefined ? undefined : variableOf(credentials, where),
    privateRealm: realm === undefined ? undefined : textOf(realm, where),
    tlsVerify: tls === undefined ? undefined : booleanOf(tls, where),
  };
}

function variableOf(value: Value, where: Where): string {
  const name = textOf(value, where);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw fail(
      value,
      where,
      'must be the name of an environment variable',
      'Write credentials: PULP_CREDENTIALS, and set that variable to USER:PASSWORD.',
    );
  return name;
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
    if (name === null) throw fail(to, where, `"${text}" is not a valid repository name`);
    if (source.kind === 'pulp3' || (source.kind === 'pulp2' && source.repositories.length > 0))
      throw fail(to, where, 'must have a *, because the entry has several repositories', 'Write to: mirror/*.');
    return () => name;
  }
  if (parseRepositoryName(`${before}x${after}`) === null)
    throw fail(to, where, `"${text}" does not give valid repository names`);
  return (name) => parseRepositoryName(`${before}${name}${after}`);
}
