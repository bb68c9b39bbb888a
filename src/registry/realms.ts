import type { RepositoryName } from './name.ts';
import { coversPattern, matchesRepository } from './values/name-pattern.ts';

declare const brand: unique symbol;

/**
 * A realm: repositories that share blobs and readers. Everybody may read the realm `public`. Only
 * {@link parseRealmTable} and {@link PUBLIC_REALM} make one.
 */
export type RealmName = string & { readonly [brand]: 'RealmName' };

/** The realm of unmatched repositories where `DEFAULT_ACCESS` is `private`. */
export const PRIVATE_REALM = 'private' as RealmName;

/** The realm of every repository that no rule matches. Everybody may read it. */
export const PUBLIC_REALM = 'public' as RealmName;

/** One rule: repositories whose name matches belong to the realm. */
export interface RealmRule {
  /** A repository name, a prefix with `/*` for everything below it, or `*`. */
  readonly pattern: string;
  readonly realm: RealmName;
}

/** The rules. The first match wins; without a match the realm is {@link PUBLIC_REALM}. */
export type RealmTable = readonly RealmRule[];

/** An invalid realm table. The message says how to fix it. */
export class RealmTableError extends Error {
  override readonly name = 'RealmTableError';
}

const REALM = /^[a-z0-9]+(?:[-_.][a-z0-9]+)*$/;
const PATTERN = /^(?:\*|[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?:\/\*)?)$/;

/**
 * Reads the realm table of `wrangler.toml` (`[vars] REALMS`): an array of `{ pattern, realm }`, also as JSON text.
 * Undefined gives the empty table. `defaultAccess` is `DEFAULT_ACCESS`: with `private`, repositories that no rule
 * matches are in {@link PRIVATE_REALM}. Throws {@link RealmTableError} on anything else: ignoring a rule could make a
 * protected repository public.
 */
export function parseRealmTable(value: unknown, defaultAccess?: unknown): RealmTable {
  const table = parseRules(value);
  if (defaultAccess === undefined || defaultAccess === '' || defaultAccess === 'public') return table;
  if (defaultAccess !== 'private') throw new RealmTableError('DEFAULT_ACCESS must be "public" or "private".');
  return table.some(({ pattern }) => pattern === '*') ? table : [...table, { pattern: '*', realm: PRIVATE_REALM }];
}

function parseRules(value: unknown): RealmTable {
  if (value === undefined || value === '') return [];
  let rules: unknown = value;
  if (typeof value === 'string') {
    try {
      rules = JSON.parse(value);
    } catch (cause) {
      throw new RealmTableError('REALMS is not JSON. Write an array of {"pattern": …, "realm": …}.', { cause });
    }
  }
  if (!Array.isArray(rules)) throw new RealmTableError('REALMS must be an array of { pattern, realm }.');
  const table = rules.map((rule: unknown, index): RealmRule => {
    const where = `REALMS[${String(index)}]`;
    if (typeof rule !== 'object' || rule === null)
      throw new RealmTableError(`${where} must be an object { pattern, realm }.`);
    const { pattern, realm, ...rest } = rule as Record<string, unknown>;
    const extra = Object.keys(rest)[0];
    if (extra !== undefined)
      throw new RealmTableError(`${where} has the unknown member "${extra}". Allowed: pattern, realm.`);
    if (typeof pattern !== 'string' || !PATTERN.test(pattern)) {
      throw new RealmTableError(`${where}.pattern must be a repository name, a prefix ending in "/*", or "*".`);
    }
    if (typeof realm !== 'string' || realm.length > 64 || !REALM.test(realm)) {
      throw new RealmTableError(
        `${where}.realm must be lower-case letters, digits and inner "-", "_" or ".", at most 64 characters.`,
      );
    }
    return { pattern, realm: realm as RealmName };
  });
  for (const [index, { pattern }] of table.entries()) {
    const first = table.slice(0, index).find((earlier) => coversPattern(earlier.pattern, pattern));
    if (first !== undefined)
      throw new RealmTableError(
        `REALMS[${String(index)}] ("${pattern}") never applies: "${first.pattern}" is before it and matches all of it. ` +
          'Put the narrower rule first.',
      );
  }
  return table;
}

/** The protected realms of a table, sorted. */
export function protectedRealmsOf(table: RealmTable): readonly RealmName[] {
  return [...new Set(table.map(({ realm }) => realm))].filter((realm) => realm !== PUBLIC_REALM).sort();
}

/** The realm of a repository. It depends on the name only, so that a blob costs one read. */
export function realmOf(table: RealmTable, name: RepositoryName): RealmName {
  return table.find(({ pattern }) => matchesRepository(pattern, name))?.realm ?? PUBLIC_REALM;
}
