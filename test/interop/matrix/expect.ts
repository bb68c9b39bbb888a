/** What the clients of the matrix have in common when they compare. */

/** Throws, naming `what`, unless both are the same as JSON. */
export function expectEqual(what: string, actual: unknown, expected: unknown): void {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: ${left}, not ${right}`);
}

/** The values, each once. */
export function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** The first tag; throws if there is none. */
export function first(tags: readonly string[]): string {
  const [tag] = tags;
  if (tag === undefined) throw new Error('the image has no tag');
  return tag;
}

/** The version in a text such as `20.10.24+dfsg1`; parts that it does not have are 0. */
export function parseVersion(text: string): readonly [major: number, minor: number, patch: number] {
  const [major = 0, minor = 0, patch = 0] = text.split(/[.+~]/).map((part) => Number.parseInt(part) || 0);
  return [major, minor, patch];
}
