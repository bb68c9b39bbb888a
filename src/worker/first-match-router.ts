import type { Result, Router } from 'hono/router';

interface Route<T> {
  readonly method: string;
  readonly pattern: RegExp;
  /** In the form that Hono takes them: the handler, and where in a match its parameters stand. */
  readonly handlers: [T, Record<string, number>][];
}

const NONE: never[] = [];

/**
 * A router for tables in which one line answers: the first that fits, and no other is looked at. Hono's own look for all, since lines may be middleware; of those that
 * compile their patterns once only PatternRouter knows parameters with slashes, as names of repositories have, and it tries every line. `:x` is a segment, `:x{.+}` may be
 * several; a slash at the end of a path does not matter. No wildcards.
 */
export class FirstMatchRouter<T> implements Router<T> {
  readonly name = 'FirstMatchRouter';
  readonly #routes: Route<T>[] = [];

  add(method: string, path: string, handler: T): void {
    const names: Record<string, number> = {};
    // Between the parameters stands plain text.
    const parts = path.replace(/\/$/, '').split(/(:\w+(?:\{\.\+\})?)/);
    const pattern = parts.map((part) => {
      if (!part.startsWith(':')) return part.replace(/[.\\+*?^$|()[\]{}]/g, '\\$&');
      const several = part.endsWith('{.+}');
      names[part.slice(1, several ? -'{.+}'.length : undefined)] = Object.keys(names).length + 1;
      return several ? '(.+)' : '([^/]+)';
    });
    this.#routes.push({ method, pattern: new RegExp(`^${pattern.join('')}/?$`), handlers: [[handler, names]] });
  }

  match(method: string, path: string): Result<T> {
    for (const route of this.#routes) {
      if (route.method !== method && route.method !== 'ALL') continue;
      const match = route.pattern.exec(path);
      if (match !== null) return [route.handlers, match];
    }
    return [NONE, NONE];
  }
}
