import type { ByteWriter } from './byte-writer.ts';

/** Writes an object as Go's `encoding/json` writes a `map[string]json.RawMessage`: values compacted. */
export function writeGoObject(writer: ByteWriter, values: ReadonlyMap<string, Uint8Array>): void {
  writeGoMap(writer, values, (value) => writer.compact(value));
}

/** Writes an object as Go writes a map: members sorted by the UTF-8 bytes of their keys. */
export function writeGoMap<T>(
  writer: ByteWriter,
  values: ReadonlyMap<string, T>,
  writeValue: (value: T) => void,
): void {
  const encoder = new TextEncoder();
  const sorted = [...values]
    .map(([key, value]) => ({ key, order: encoder.encode(key), value }))
    .sort((a, b) => compareBytes(a.order, b.order));
  writer.text('{');
  sorted.forEach(({ key, value }, index) => {
    if (index > 0) writer.text(',');
    writer.string(key).text(':');
    writeValue(value);
  });
  writer.text('}');
}

/** Go's `json.Marshal`, which skopeo uses: compact, with `<`, `>`, `&`, U+2028 and U+2029 escaped. */
export function goJson(value: object): Uint8Array {
  const text = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return new TextEncoder().encode(text);
}

/** JavaScript compares UTF-16 code units, which sorts characters above U+FFFF before U+E000–U+FFFF. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
