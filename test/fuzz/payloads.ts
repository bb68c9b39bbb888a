/**
 * Schema 1 payloads as nobody writes them, and as somebody might: what Docker's own structs make of the
 * `v1Compatibility` texts. Made from nothing, or from the vectors by changing trees and bytes.
 *
 * Text is binary text, one character a byte (json-tree.ts).
 */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import {
  anyValue,
  byteChange,
  changeBytes,
  changeTree,
  goodNumber,
  HEX,
  layerDigest,
  nameText,
  objectOf,
  often,
  space,
  stringText,
  timeText,
  toBytes,
  treeChange,
} from './configs.ts';
import { copyTree, parseTree, printTree } from './json-tree.ts';

/** A member that nearly always has a value of its type: a text has dozens of them. */
const typed = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(often(fc.constant(`"${name}"`), 20, nameText(name)), space, often(value, 400, fc.constant('null'), anyValue))
    .map(([key, gap, text]) => `${key}${gap}:${gap}${text}`);

const listOf = (item: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(often(item, 30, fc.constant('null')), { maxLength: 5 }).map((items) => `[${items.join(',')}]`);
const mapOf = (item: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(stringText, item), { maxLength: 4 })
    .map((members) => `{${members.map((one) => one.join(':')).join(',')}}`);

const bool = fc.constantFrom('true', 'false');
const integer = often(
  fc.integer().map(String),
  20,
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  fc.constantFrom('0', '-0', '9223372036854775808', '-9223372036854775809', '1.0', '1e3', '30000000000'),
  goodNumber,
);
const strings = listOf(stringText);
const words = fc.oneof({ arbitrary: strings, weight: 4 }, { arbitrary: stringText, weight: 1 });
const set = mapOf(often(fc.constant('{}'), 20, fc.constantFrom('null', '{"a":1}')));

const healthcheck = objectOf([
  typed('Test', strings),
  ...['Interval', 'Timeout', 'StartPeriod', 'Retries', 'StartInterval'].map((name) => typed(name, integer)),
]);
const containerConfig = objectOf([
  ...['Hostname', 'Domainname', 'User', 'Image', 'WorkingDir', 'MacAddress', 'StopSignal'].map((name) =>
    typed(name, stringText),
  ),
  ...[
    'AttachStdin',
    'AttachStdout',
    'AttachStderr',
    'Tty',
    'OpenStdin',
    'StdinOnce',
    'ArgsEscaped',
    'NetworkDisabled',
  ].map((name) => typed(name, bool)),
  ...['Cmd', 'Entrypoint', 'Shell'].map((name) => typed(name, words)),
  ...['Env', 'OnBuild'].map((name) => typed(name, strings)),
  ...['ExposedPorts', 'Volumes'].map((name) => typed(name, set)),
  typed('Labels', mapOf(often(stringText, 20, fc.constant('null')))),
  typed('StopTimeout', integer),
  typed('Healthcheck', healthcheck),
  fc.tuple(stringText, anyValue).map((pair) => pair.join(':')),
]);

const VERSIONS = [
  ...[
    '',
    '0.6.4',
    '1.8.2',
    '1.8.3',
    '1.8.3-rc1',
    '1.8.10',
    '1.9-rc1',
    '1.9.0',
    '1',
    '1..9',
    'v1.9',
    '2',
    '20.10.24+dfsg1',
  ],
  ...[
    '17.06.0-ce',
    '99999999999999999999.1',
    '-1.9',
    '+2',
    '-99999999999999999999',
    '1.8',
    '1.08.03',
    '1.8.3.0',
    ' 2',
    '1_0',
  ],
];
const version = fc.constantFrom(...VERSIONS).map((text) => `"${text}"`);

// A bucket has no place for a sha384, so only Docker would take one.
const blobSum = layerDigest.filter((digest) => !digest.startsWith('sha384'));

const digests = fc.array(stringText, { maxLength: 3 }).map((items) => `[${items.join(',')}]`);
const rare = [
  fc
    .constantFrom('"throwaway"', '"Throwaway"')
    .chain((key) => often(bool, 40, anyValue).map((value) => `${key}:${value}`)),
  often(integer, 10, anyValue).map((value) => `"Size":${value}`),
  integer.map((value) => `"size":${value}`),
  ...['os.version', 'parent_id', 'layer_id'].map((name) => typed(name, stringText)),
  typed('os.features', strings),
  // What folds to a member that the config gets.
  fc
    .tuple(fc.constantFrom('"rootfs"', '"RootFS"', '"rootf\xc5\xbf"', '"ROOTFS"'), often(digests, 20, anyValue))
    .map(([key, ids]) => `${key}:{"type":"layers","diff_ids":${ids}}`),
  fc
    .tuple(
      fc.constantFrom('"history"', '"History"', '"hi\xc5\xbftory"'),
      listOf(fc.constantFrom('{}', '{"empty_layer":true}')),
    )
    .map((pair) => pair.join(':')),
  fc.tuple(stringText, anyValue).map((pair) => pair.join(':')),
];

const text = ({ id, parent, whole }: { id: string; parent: string; whole: boolean }): fc.Arbitrary<string> =>
  objectOf(
    [
      ...['comment', 'container', 'author', 'architecture', 'variant', 'os'].map((name) => typed(name, stringText)),
      typed('created', timeText),
      ...(whole
        ? [
            typed('container_config', containerConfig),
            typed('config', containerConfig),
            typed('docker_version', version),
          ]
        : [
            typed(
              'container_config',
              words.map((list) => `{"Cmd":${list}}`),
            ),
          ]),
      fc.oneof(...rare),
    ],
    [
      often(fc.constant(`"id":"${id}"`), 60, typed('id', fc.constant(`"${id}"`))),
      ...(parent === ''
        ? []
        : [often(fc.constant(`"parent":"${parent}"`), 60, typed('parent', fc.constant(`"${parent}"`)))]),
    ],
  );

/** Binary text as a JSON string of the same bytes. */
const quoted = (inside: string): string =>
  `"${inside.replace(/["\\]/g, '\\$&').replace(/[\x00-\x1f]/g, (unit) => `\\u00${unit.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;

/** A whole payload, its chain of ids right but for a few, newest entry first. */
const made: fc.Arbitrary<string> = fc
  .array(fc.tuple(HEX(64), often(fc.constant('fresh'), 25, fc.constantFrom('repeated', 'wrong parent'))), {
    minLength: 1,
    maxLength: 5,
  })
  .chain((chain) => {
    let below = '';
    let parent = '';
    const entries = chain.map(([hex, what], index) => {
      const id = what === 'repeated' && below !== '' ? below : hex;
      if (id !== below) parent = below;
      below = id;
      return {
        id,
        parent: what === 'wrong parent' ? hex.replace(/^./, '0') : parent,
        whole: index === chain.length - 1,
      };
    });
    return fc.record({
      texts: fc.tuple(...entries.map(text)),
      sums: fc.array(often(blobSum, 60, fc.constant('sha256:x')), {
        minLength: chain.length,
        maxLength: chain.length,
      }),
    });
  })
  .chain(({ texts, sums }) =>
    objectOf(
      [],
      [
        fc.constant('"schemaVersion":1'),
        typed('name', fc.constantFrom('"library/app"', '""')),
        typed('tag', fc.constant('"1"')),
        typed('architecture', fc.constant('"amd64"')),
        often(fc.constant('"fsLayers"'), 60, nameText('fsLayers')).map(
          (key) =>
            `${key}:[${[...sums]
              .reverse()
              .map((sum) => `{"blobSum":"${sum}"}`)
              .join(',')}]`,
        ),
        often(fc.constant('"history"'), 60, nameText('history')).map(
          (key) =>
            `${key}:[${[...texts]
              .reverse()
              .map((one) => `{"v1Compatibility":${quoted(one)}}`)
              .join(',')}]`,
        ),
      ],
    ),
  );

const fixtures = new URL('../fixtures/schema1/', import.meta.url);
const VECTORS: readonly string[] = readdirSync(fixtures)
  .sort()
  .filter((name) => readdirSync(new URL(`${name}/`, fixtures)).includes('payload.json'))
  .map((name) => readFileSync(new URL(`${name}/payload.json`, fixtures)).toString('latin1'))
  .filter((payload) => payload.length < 10_000);

/** The vectors' payloads, with changes in the JSON of one of their texts. */
const changed: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...VECTORS), fc.nat({ max: 100 }), fc.array(treeChange, { minLength: 1, maxLength: 3 }))
  .map(([payload, which, changes]) => {
    const texts = [...payload.matchAll(/"v1Compatibility": ("(?:[^"\\]|\\.)*")/g)];
    const match = texts[which % texts.length];
    if (match?.[1] === undefined) return payload;
    const inside = Buffer.from(JSON.parse(Buffer.from(match[1], 'latin1').toString()) as string).toString('latin1');
    const tree = copyTree(parseTree(inside));
    for (const change of changes) changeTree(tree, change);
    const at = match.index + match[0].length - match[1].length;
    return payload.slice(0, at) + quoted(printTree(tree)) + payload.slice(at + match[1].length);
  });

const damaged: fc.Arbitrary<string> = fc
  .tuple(fc.oneof(made, changed), fc.array(byteChange, { minLength: 1, maxLength: 2 }))
  .map(([payload, changes]) => changes.reduce(changeBytes, payload));

/** A payload of a schema 1, of which Docker makes an image config. */
export const schema1Payload: fc.Arbitrary<Uint8Array> = fc
  .oneof({ arbitrary: made, weight: 12 }, { arbitrary: changed, weight: 4 }, { arbitrary: damaged, weight: 1 })
  .map(toBytes);
