/** Longest header that is remembered, and how many: clients of one kind send the same one again and again. */
const REMEMBERED_LENGTH = 1_024;
const REMEMBERED_COUNT = 512;

/** What `read` makes of a header, made once for each of the latest values of it. */
export function remembering<T>(read: (header: string | null) => T): (header: string | null) => T {
  const known = new Map<string | null, T>();
  return (header) => {
    const before = known.get(header);
    if (before !== undefined) return before;
    const result = read(header);
    if (known.size >= REMEMBERED_COUNT) known.clear();
    if ((header?.length ?? 0) <= REMEMBERED_LENGTH) known.set(header, result);
    return result;
  };
}
