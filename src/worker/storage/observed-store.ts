import type { ObjectInfo, ReadStore } from '../../registry/store.ts';

/** A store that reports what it returned for one object. */
export function observe(
  store: ReadStore,
  key: string,
): { readonly store: ReadStore; readonly info: () => ObjectInfo | null } {
  let seen: ObjectInfo | null = null;
  const note = <T extends ObjectInfo | null | 'changed'>(asked: string, found: T): T => {
    if (asked === key && found !== null && found !== 'changed') seen = found;
    return found;
  };
  return {
    info: () => seen,
    store: {
      head: async (asked) => note(asked, await store.head(asked)),
      get: async (asked, options) => note(asked, await store.get(asked, options)),
    },
  };
}
