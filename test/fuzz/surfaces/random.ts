/** Reproducible chance: an input is made from a seed and its number alone. */

/** Chooses; every call takes the next number. */
export interface Chance {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number;
  pick<T>(items: readonly [T, ...T[]]): T;
  /** True once in `of` times. */
  once(of: number): boolean;
}

/** Makes the chance of one input (mulberry32). */
export function chanceOf(seed: number, input: number): Chance {
  let state = (seed ^ Math.imul(input + 1, 0x9e3779b1)) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return { below, pick: (items) => items[below(items.length)] ?? items[0], once: (of) => below(of) === 0 };
}

const TEXTS = [
  '',
  ' ',
  '\0',
  '..',
  '../../etc/passwd',
  '/',
  '%00',
  '%2e%2e%2f',
  '__proto__',
  'constructor',
  '\u202e',
  '\ud800',
  '💥',
  '-1',
  '1e999',
  'NaN',
  'a'.repeat(300),
  'A/B',
  'a//b',
  'sha256:',
  `sha256:${'0'.repeat(64)}`,
  `sha512:${'f'.repeat(128)}`,
  'linux',
  'application/json',
  '*/*',
  '<script>',
  '\r\nx: y',
  '{"a":1}',
  '2026-13-45T99:99:99Z',
  '0001-01-01T00:00:00Z',
] as const;

/** A text that nobody would write. */
export function strangeText(chance: Chance): string {
  return chance.pick(TEXTS);
}

/** A JSON value that nobody would write. */
export function strangeValue(chance: Chance): unknown {
  switch (chance.below(12)) {
    case 0:
      return null;
    case 1:
      return chance.pick([-1, 0, 0.5, 1e308, -0, 2 ** 53, 2 ** 31]);
    case 2:
      return chance.once(2);
    case 3:
      return [];
    case 4:
      return {};
    case 5:
      return Array.from({ length: chance.pick([2, 200, 2000]) }, () => strangeText(chance));
    case 6:
      return JSON.parse(`${'['.repeat(2000)}${']'.repeat(2000)}`);
    case 7:
      return JSON.parse(`{"__proto__":{"digest":${JSON.stringify(strangeText(chance))}},"constructor":null}`);
    case 8:
      return 'x'.repeat(chance.pick([1000, 100_000]));
    default:
      return strangeText(chance);
  }
}

/** Changes one place of a JSON value: replaces, removes, repeats or adds a member. The value is changed in place. */
export function damageJson(value: unknown, chance: Chance): void {
  const places: { parent: Record<string, unknown> | unknown[]; key: string }[] = [];
  const walk = (parent: unknown): void => {
    if (typeof parent !== 'object' || parent === null || places.length > 1000) return;
    for (const key of Object.keys(parent)) {
      places.push({ parent: parent as Record<string, unknown>, key });
      walk((parent as Record<string, unknown>)[key]);
    }
  };
  walk(value);
  const place = places[chance.below(places.length)];
  if (place === undefined) return;
  const { key } = place;
  const parent = place.parent as Record<string, unknown>;
  if (chance.once(6)) Reflect.deleteProperty(parent, key);
  else if (chance.once(6)) parent[strangeText(chance)] = parent[key];
  else if (Array.isArray(place.parent) && chance.once(2)) {
    const one: unknown = place.parent[Number(key)];
    for (let times = chance.pick([1, 10, 300]); times > 0; times -= 1) place.parent.push(one);
  } else parent[key] = strangeValue(chance);
}

/** Changes bytes: flips, cuts, repeats or overwrites. */
export function damageBytes(bytes: Buffer, chance: Chance): Buffer {
  const copy = Buffer.from(bytes);
  const at = chance.below(Math.max(1, copy.length));
  switch (chance.below(5)) {
    case 0:
      return copy.subarray(0, at);
    case 1:
      return Buffer.concat([copy.subarray(0, at), copy]);
    case 2:
      return Buffer.concat([copy.subarray(0, at), Buffer.from(strangeText(chance)), copy.subarray(at)]);
    default:
      for (let times = 1 + chance.below(8); times > 0 && copy.length > 0; times -= 1)
        copy[chance.below(copy.length)] = chance.below(256);
      return copy;
  }
}
