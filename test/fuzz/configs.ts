/**
 * Image configs as nobody writes them, and as somebody might: made from nothing, or from the vectors by changing trees
 * and bytes. What is looked for is where Go's `encoding/json` and ours part: names in other case, repeats, null,
 * escapes, bytes that are not UTF-8, times, numbers, nesting.
 *
 * Text is binary text, one character a byte (json-tree.ts).
 */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { Schema1Input } from '../../src/manifest/schema1.ts';
import { containersOf, copyTree, type Node, parseTree, printTree } from './json-tree.ts';

/** UTF-8 as binary text. */
const utf8 = (text: string): string => Buffer.from(text).toString('latin1');

/** The bytes of binary text. */
export const toBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** Mostly the usual, else one of the others. */
export const often = <T>(
  usual: fc.Arbitrary<T>,
  weight: number,
  ...others: readonly fc.Arbitrary<T>[]
): fc.Arbitrary<T> => fc.oneof({ arbitrary: usual, weight }, ...others.map((arbitrary) => ({ arbitrary, weight: 1 })));

/** White space, mostly none. */
export const space = often(fc.constant(''), 20, fc.constantFrom(' ', '\n', '\t', '\r', '  \n\t', '   '));

const piece = often(
  fc.constantFrom('a', 'sh -c', '/bin', ' ', '#(nop)', '0', 'ADD file:'),
  3,
  fc.constantFrom('<', '>', '&', '&&', '\x7f', "'", '`'),
  fc.constantFrom('\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t'),
  fc.constantFrom(
    '\\u003c',
    '\\u003C',
    '\\u0026',
    '\\u00e9',
    '\\u00E9',
    '\\u0000',
    '\\u001f',
    '\\u2028',
    '\\u2029',
    '\\ufffd',
    '\\ufeff',
    '\\u0008',
  ),
  fc.constantFrom(
    '\\ud83d\\ude00',
    '\\ud800',
    '\\udc00',
    '\\ud800\\ud800\\udc00',
    '\\ud800\\n',
    '\\ud83d\\u0041',
    '\\uDBFF\\uDFFF',
    '\\udfff\\ud800',
  ),
  fc.constantFrom('é', '\u2028', '\u2029', '😀', '\ufffd', '\ufeff', '\uffff', '\u{10ffff}', 'ſ', '\u212a').map(utf8),
  fc.constantFrom(
    '\xff',
    '\x80',
    '\xc0\x80',
    '\xc3',
    '\xe2\x82',
    '\xe2\x80',
    '\xe2\x80\xe2\x80\xa8',
    '\xed\xa0\x80',
    '\xed\xbf\xbf',
    '\xf0\x9f\x98',
    '\xf4\x90\x80\x80',
  ),
  fc.integer({ min: 0x80, max: 0xff }).map((byte) => String.fromCharCode(byte)),
);

/** A JSON string. */
export const stringText = fc.array(piece, { maxLength: 6 }).map((pieces) => `"${pieces.join('')}"`);

/** A JSON number that nothing refuses. */
export const goodNumber = often(
  fc.integer().map(String),
  1,
  fc.constantFrom(
    '0',
    '-0',
    '1.0',
    '1E5',
    '1e+5',
    '1e400',
    '-1e-400',
    '9007199254740993',
    '123456789012345678901234567890',
    '0.1',
    '1.10',
  ),
);
const numberText = often(
  goodNumber,
  150,
  fc.constantFrom('1.', '.5', '01', '+1', '-', '1e', '0x10', 'NaN', 'Infinity'),
);

const scalarText = fc.oneof(stringText, numberText, fc.constantFrom('true', 'false', 'null'));

const deepText = fc
  .tuple(
    fc.constantFrom(50, 9_990, 9_997, 9_998, 9_999, 10_000, 10_001),
    fc.constantFrom(['[', ']'] as const, ['{"a":', '}'] as const),
  )
  .map(([depth, [open, close]]) => `${open.repeat(depth)}${open === '[' ? '' : '1'}${close.repeat(depth)}`);

const valueText: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalarText,
    fc
      .array(fc.tuple(space, tie('value')), { maxLength: 3 })
      .map((items) => `[${items.map(([gap, item]) => `${gap}${item}`).join(',')}]`),
    fc
      .array(fc.tuple(stringText, space, tie('value')), { maxLength: 3 })
      .map((members) => `{${members.map(([key, gap, item]) => `${key}${gap}:${item}`).join(',')}}`),
  ),
})).value;

/** Any JSON value. */
export const anyValue = fc.oneof({ arbitrary: valueText, weight: 200 }, { arbitrary: deepText, weight: 1 });

const two = (value: number): string => String(value).padStart(2, '0');
const year = often(fc.integer({ min: 1970, max: 2030 }), 4, fc.constantFrom(0, 1, 4, 100, 1900, 2000, 9999)).map(
  (value) => String(value).padStart(4, '0'),
);
const fraction = often(
  fc.constant(''),
  2,
  fc.bigInt({ min: 0n, max: 999_999_999_999n }).map((digits) => `.${String(digits)}`),
  fc.constantFrom(
    '.0',
    '.5',
    '.500000000',
    '.123456789',
    '.1234567891',
    '.000000000',
    '.0000000001',
    ',5',
    '.',
    '.5a',
    '.1 ',
  ),
);
const zone = often(
  fc.constant('Z'),
  3,
  fc
    .tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 25 }), fc.integer({ min: 0, max: 61 }))
    .map(([sign, hour, minute]) => `${sign}${two(hour)}:${two(minute)}`),
  fc.constantFrom(
    '+00:00',
    '-00:00',
    '+99:99',
    '+24:00',
    '-23:60',
    '+0100',
    '+01',
    'z',
    ' Z',
    'UTC',
    '',
    'Z0',
    '+1:00',
  ),
);
const timeOfDay = often(
  fc
    .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 59 }))
    .map((parts) => parts.map(two).join(':')),
  6,
  fc.constantFrom(
    '24:00:00',
    '23:60:00',
    '23:59:60',
    '1:02:03',
    '01:2:03',
    '01:02:3',
    '01:02:',
    '01:02',
    '001:02:03',
    '+1:02:03',
    '',
  ),
);
const dayOfYear = often(
  fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 })),
  6,
  fc.tuple(fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 32 })),
).map(([month, day]) => `${two(month)}-${two(day)}`);
const separator = often(fc.constant('T'), 30, fc.constantFrom('t', ' ', '\\u0054', ''));

/** A time's text between its quotes: mostly one, else nearly. */
const timeInside = fc
  .tuple(
    often(fc.constant(''), 30, fc.constantFrom('\xef\xbb\xbf', ' ', '+')),
    year,
    dayOfYear,
    separator,
    timeOfDay,
    fraction,
    zone,
  )
  .map((parts) => `${parts[0]}${parts[1]}-${parts.slice(2).join('')}`);
const plainTime = fc.tuple(
  year,
  fc.constantFrom('01-02', '02-28', '12-31'),
  fc.integer({ min: 0, max: 999_999_999 }),
  fc.constantFrom('Z', '+05:30', '-00:00', '+00:00', '-11:00'),
);
/** A time as JSON has it, mostly one that Go reads. */
export const timeText = often(
  plainTime.map(([y, md, nanos, z]) => `"${y}-${md}T03:04:05.${String(nanos).padStart(9, '0')}${z}"`),
  6,
  timeInside.map((inside) => `"${inside}"`),
);

/** A known name as it stands, in other case, with ſ for s and U+212A for k, or in escapes. */
export const nameText = (name: string): fc.Arbitrary<string> =>
  fc.oneof(
    { arbitrary: fc.constant(`"${name}"`), weight: 40 },
    { arbitrary: fc.mixedCase(fc.constant(name)).map((text) => `"${text}"`), weight: 3 },
    { arbitrary: fc.constant(`"${utf8(name.replaceAll('s', 'ſ').replaceAll('k', '\u212a'))}"`), weight: 1 },
    { arbitrary: fc.constant(`"\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}"`), weight: 1 },
    {
      arbitrary: fc.constantFrom(
        `"${name} "`,
        `"${name}s"`,
        `"${name.replaceAll('_', '')}"`,
        `"${utf8(name.replaceAll('e', 'é'))}"`,
      ),
      weight: 1,
    },
  );

const member = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(nameText(name), space, often(value, 100, fc.constant('null'), anyValue))
    .map(([key, gap, text]) => `${key}${gap}:${gap}${text}`);

/** Some of the members, in any order, now and then one of them again. */
export const objectOf = (
  choices: readonly fc.Arbitrary<string>[],
  needed: readonly fc.Arbitrary<string>[] = [],
): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.tuple(...needed),
      fc.tuple(...choices.map((choice) => fc.option(choice, { freq: 2, nil: null }))),
      often(fc.constant([] as string[]), 12, fc.array(fc.oneof(...choices, ...needed), { minLength: 1, maxLength: 2 })),
      space,
    )
    .chain(([all, some, repeats, gap]) => {
      const members = [...all, ...some.filter((text) => text !== null), ...repeats];
      return fc
        .shuffledSubarray(members, { minLength: members.length })
        .map((shuffled) => `{${gap}${shuffled.join(`${gap},`)}${gap}}`);
    });

const entryText = (empty: boolean): fc.Arbitrary<string> =>
  often(
    objectOf(
      [
        member('created', timeText),
        member('author', stringText),
        member('created_by', stringText),
        member('comment', stringText),
        fc.tuple(stringText, anyValue).map((pair) => pair.join(':')),
      ],
      empty ? [member('empty_layer', fc.constant('true'))] : [],
    ),
    60,
    fc.constantFrom('null', '{}', '{"empty_layer":false}', '{"empty_layer":true,"EMPTY_LAYER":false}'),
    anyValue,
  );

/** Hexadecimal digits. */
export const HEX = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.nat({ max: 15 }).map((digit) => digit.toString(16)), minLength: length, maxLength: length });
const EMPTY_SUM = 'sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4';
/** A layer's digest, mostly a good one. */
export const layerDigest = fc.oneof(
  { arbitrary: HEX(64).map((hex) => `sha256:${hex}`), weight: 120 },
  { arbitrary: HEX(96).map((hex) => `sha384:${hex}`), weight: 2 },
  { arbitrary: HEX(128).map((hex) => `sha512:${hex}`), weight: 4 },
  { arbitrary: fc.constant(EMPTY_SUM), weight: 4 },
  {
    arbitrary: fc.constantFrom(
      '',
      'sha256:',
      `sha256:${'A'.repeat(64)}`,
      `sha256:${'a'.repeat(63)}`,
      `md5:${'a'.repeat(32)}`,
      `SHA256:${'a'.repeat(64)}`,
      `sha256:${'a'.repeat(64)}\n`,
    ),
    weight: 1,
  },
);

const otherTop = [
  ...[
    'os',
    'os.version',
    'variant',
    'created',
    'author',
    'id',
    'parent',
    'throwaway',
    'container',
    'docker_version',
    'comment',
    '',
    '10',
    '9',
    '__proto__',
    'constructor',
    'toString',
  ].map((name) =>
    fc.tuple(nameText(name === '' ? 'x' : name), anyValue).map(([key, text]) => `${name === '' ? '""' : key}:${text}`),
  ),
  ...['config', 'container_config', 'moby.buildkit.buildinfo.v1'].map((name) =>
    fc.tuple(space, anyValue).map(([gap, text]) => `"${name}":{${gap}"Env":[${text}],"Labels":null}`),
  ),
  ...[1, 2].map(() => fc.tuple(stringText, anyValue).map(([key, text]) => `${key}:${text}`)),
];

/** A whole config with as many real entries as layers, but for a few. */
const madeText: fc.Arbitrary<{ config: string; layers: number }> = fc
  .tuple(
    fc.array(fc.boolean(), { maxLength: 5 }),
    often(fc.constant(0), 25, fc.constantFrom(-1, 1)),
    often(fc.constant(0), 25, fc.constantFrom(-1, 1)),
  )
  .chain(([empties, moreIds, moreLayers]) => {
    const layers = Math.max(0, empties.filter((empty) => !empty).length + moreLayers);
    const ids = Math.max(0, layers + moreIds);
    const diffIds = fc
      .array(often(fc.constant('"sha256:x"'), 40, scalarText), { minLength: ids, maxLength: ids })
      .map((texts) => `[${texts.join(',')}]`);
    const rootfs = objectOf(
      [member('type', fc.constantFrom('"layers"', '"layers+base"')), member('base_layer', stringText)],
      [member('diff_ids', diffIds)],
    );
    const history = fc.tuple(...empties.map(entryText)).map((texts) => `[${texts.join(', ')}]`);
    const top = objectOf(
      [member('architecture', often(fc.constantFrom('"amd64"', '"arm64"'), 2, stringText)), ...otherTop],
      [member('rootfs', rootfs), member('history', history)],
    );
    return fc.record({
      config: fc.tuple(space, top, space).map((parts) => parts.join('')),
      layers: fc.constant(layers),
    });
  });

const fixtures = new URL('../fixtures/schema1/', import.meta.url);

/** The vectors' configs that are of ordinary size, with their layers. */
const VECTORS: readonly { readonly config: string; readonly layers: readonly string[] }[] = readdirSync(fixtures)
  .sort()
  .map((name) => ({
    config: readFileSync(new URL(`${name}/config.json`, fixtures)).toString('latin1'),
    layers: (
      JSON.parse(readFileSync(new URL(`${name}/manifest.json`, fixtures)).toString()) as {
        layers: { digest: string }[];
      }
    ).layers.map(({ digest }) => digest),
  }))
  .filter(({ config }) => config.length < 10_000);

const KNOWN = [
  'architecture',
  'history',
  'rootfs',
  'type',
  'diff_ids',
  'base_layer',
  'created',
  'author',
  'created_by',
  'comment',
  'empty_layer',
  'parent',
  'id',
  'throwaway',
] as const;
const keyText = often(fc.constantFrom(...KNOWN).chain(nameText), 3, stringText);
/** One change of a tree: where, and what is put there. */
export const treeChange = fc.record({
  change: fc.constantFrom('replace', 'repeat', 'rename', 'remove', 'swap', 'insert'),
  container: fc.nat({ max: 1_000 }),
  child: fc.nat({ max: 1_000 }),
  other: fc.nat({ max: 1_000 }),
  key: keyText,
  value: fc.oneof(anyValue, timeText, fc.constantFrom('null', '[]', '{}', 'true', '""')),
});
/** A drawn {@link treeChange}. */
export type TreeChange = typeof treeChange extends fc.Arbitrary<infer T> ? T : never;

type Member = [key: string, value: Node];

/** Changes a tree in place. */
export function changeTree(tree: Node, { change, container: which, child, other, key, value }: TreeChange): void {
  const containers = containersOf(tree);
  const container = containers[which % containers.length];
  if (container === undefined) return;
  const scalar: Node = { kind: 'scalar', text: value };
  if (container.kind === 'array') changeList(container.items, scalar, (item) => item);
  else changeList<Member>(container.members, [key, scalar], ([, old], [fresh]) => [fresh, old]);

  function changeList<T>(list: T[], fresh: T, rename: (item: T, fresh: T) => T): void {
    const at = list.length === 0 ? 0 : child % list.length;
    const to = list.length === 0 ? 0 : other % list.length;
    const item = list[at];
    const target = list[to];
    if (item === undefined || target === undefined || change === 'insert') list.splice(at, 0, fresh);
    else if (change === 'replace') list[at] = container?.kind === 'object' ? rename(fresh, item) : fresh;
    else if (change === 'repeat') list.splice(to, 0, item);
    else if (change === 'rename') list[at] = rename(item, fresh);
    else if (change === 'remove') list.splice(at, 1);
    else [list[at], list[to]] = [target, item];
  }
}

const treeText = fc
  .tuple(fc.constantFrom(...VECTORS), fc.array(treeChange, { minLength: 1, maxLength: 4 }), fc.infiniteStream(space))
  .map(([vector, changes, spaces]) => {
    let tree: Node;
    try {
      tree = copyTree(parseTree(vector.config));
    } catch {
      return vector;
    }
    for (const change of changes) changeTree(tree, change);
    return { config: printTree(tree, () => String(spaces.next().value)), layers: vector.layers };
  });

/** One change of bytes: where, and what is put there. Places are taken modulo the length. */
export const byteChange = fc.record({
  change: fc.constantFrom('set', 'insert', 'remove', 'copy', 'cut'),
  at: fc.nat({ max: 1 << 20 }),
  from: fc.nat({ max: 1 << 20 }),
  length: fc.integer({ min: 1, max: 24 }),
  text: fc.oneof(
    piece,
    fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      'null',
      '\x00',
      '\x1f',
      '\xef\xbb\xbf',
      '"history":',
      '"created":"',
    ),
    fc.nat({ max: 255 }).map((byte) => String.fromCharCode(byte)),
  ),
});

/** Binary text with one change made. */
export function changeBytes(
  config: string,
  { change, at: place, from, length, text }: typeof byteChange extends fc.Arbitrary<infer T> ? T : never,
): string {
  const at = place % (config.length + 1);
  switch (change) {
    case 'set':
      return config.slice(0, at) + text + config.slice(at + text.length);
    case 'insert':
      return config.slice(0, at) + text + config.slice(at);
    case 'remove':
      return config.slice(0, at) + config.slice(at + length);
    case 'copy':
      return config.slice(0, at) + config.slice(from % (config.length + 1)).slice(0, length) + config.slice(at);
    case 'cut':
      return config.slice(0, at);
  }
}

const REFERENCES = [
  { name: 'library/busybox', tag: '1.36' },
  { name: 'a', tag: '' },
  { name: 'example.com/deep/er/na-me__x', tag: 'V1.0_-' },
] as const;

const asMade = madeText.chain(({ config, layers }) =>
  fc.record({ config: fc.constant(config), layers: fc.array(layerDigest, { minLength: layers, maxLength: layers }) }),
);
const whole: fc.Arbitrary<{ readonly config: string; readonly layers: readonly string[] }> = fc.oneof(
  { arbitrary: asMade, weight: 5 },
  { arbitrary: treeText, weight: 4 },
);
const damaged = fc
  .tuple(fc.oneof(whole, fc.constantFrom(...VECTORS)), fc.array(byteChange, { minLength: 1, maxLength: 3 }))
  .map(([{ config, layers }, changes]) => ({ config: changes.reduce(changeBytes, config), layers }));

/** Something to convert: a config, its layers and where it is published. */
export const schema1Input: fc.Arbitrary<Schema1Input> = fc
  .tuple(fc.oneof({ arbitrary: whole, weight: 6 }, { arbitrary: damaged, weight: 1 }), fc.constantFrom(...REFERENCES))
  .map(([{ config, layers }, reference]) => ({ config: toBytes(config), layers, ...reference }));
