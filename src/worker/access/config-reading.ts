/** A value of `ACCESS` (or a secret beside it) that cannot be used, and what to do about it. */
export class AccessConfigError extends Error {
  override readonly name = 'AccessConfigError';
}

/** A JSON object's members; with `allowed`, no others may stand in it. Throws {@link AccessConfigError}. */
export function fields(value: unknown, where: string, allowed?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new AccessConfigError(`${where} must be an object.`);
  const extra = allowed === undefined ? undefined : Object.keys(value).find((name) => !allowed.includes(name));
  if (extra !== undefined)
    throw new AccessConfigError(
      `${where} has a member "${extra}" that is not known. Allowed: ${(allowed ?? []).join(', ')}.`,
    );
  return value as Readonly<Record<string, unknown>>;
}

/** Text that is not empty, or undefined where nothing stands. Throws {@link AccessConfigError}. */
export function optionalText(value: unknown, where: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw new AccessConfigError(`${where} must be text.`);
  return value;
}

/** Text that is not empty. Throws {@link AccessConfigError}. */
export function text(value: unknown, where: string): string {
  const found = optionalText(value, where);
  if (found === undefined) throw new AccessConfigError(`${where} is missing.`);
  return found;
}

/** A list of texts; one text alone stands for a list of one. Throws {@link AccessConfigError}. */
export function textList(value: unknown, where: string): readonly string[] {
  const list: unknown = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list)) throw new AccessConfigError(`${where} must be text or an array of texts.`);
  return list.map((item: unknown, index) => text(item, `${where}[${String(index)}]`));
}
