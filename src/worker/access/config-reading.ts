/** A value of `ACCESS`, or of a related secret, that cannot be used. The message says what to do. */
export class AccessConfigError extends Error {
  override readonly name = 'AccessConfigError';
}

/** The members of a JSON object; with `allowed`, other members are an error. Throws {@link AccessConfigError}. */
export function fields(value: unknown, where: string, allowed?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new AccessConfigError(`${where} must be an object.`);
  const extra = allowed === undefined ? undefined : Object.keys(value).find((name) => !allowed.includes(name));
  if (extra !== undefined)
    throw new AccessConfigError(`${where} has the unknown member "${extra}". Allowed: ${(allowed ?? []).join(', ')}.`);
  return value as Readonly<Record<string, unknown>>;
}

/** Non-empty text, or undefined without a value. Throws {@link AccessConfigError}. */
export function optionalText(value: unknown, where: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw new AccessConfigError(`${where} must be text.`);
  return value;
}

/** Non-empty text. Throws {@link AccessConfigError}. */
export function text(value: unknown, where: string): string {
  const found = optionalText(value, where);
  if (found === undefined) throw new AccessConfigError(`${where} is missing.`);
  return found;
}

/** A list of texts; a single text is a list of one. Throws {@link AccessConfigError}. */
export function textList(value: unknown, where: string): readonly string[] {
  const list: unknown = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list)) throw new AccessConfigError(`${where} must be text or an array of texts.`);
  return list.map((item: unknown, index) => text(item, `${where}[${String(index)}]`));
}
