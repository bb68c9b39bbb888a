/** Patterns over repositories: a name, a prefix with `/*` for everything below it, or `*`. */
import { parseRepositoryName, type RepositoryName } from '../name.ts';

/** Whether a value is a pattern over repositories. */
export function isRepositoryPattern(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  return value === '*' || parseRepositoryName(value.endsWith('/*') ? value.slice(0, -2) : value) !== null;
}

/** Whether a pattern matches a repository. */
export function matchesRepository(pattern: string, name: RepositoryName): boolean {
  return coversPattern(pattern, name);
}

/** Whether the first pattern matches all names that the second one matches. */
export function coversPattern(wide: string, narrow: string): boolean {
  return wide === '*' || wide === narrow || (wide.endsWith('/*') && narrow.startsWith(wide.slice(0, -1)));
}
