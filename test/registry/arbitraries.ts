/** What the registry's grammars allow, drawn at random. */
import fc from 'fast-check';
import { type Digest, parseDigest } from '../../src/registry/digest.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../src/registry/name.ts';
import type { Platform } from '../../src/registry/platform.ts';
import { parseRealmTable, type RealmName } from '../../src/registry/realms.ts';

const known = <T>(value: T | null, text: string): T => {
  if (value === null) throw new Error(`the grammar refuses ${text}`);
  return value;
};

const LOWER = [
  ...Array.from({ length: 26 }, (_, index) => String.fromCharCode(97 + index)),
  ...Array.from({ length: 10 }, (_, index) => String(index)),
];
const word = fc.string({ unit: fc.constantFrom(...LOWER), minLength: 1, maxLength: 6 });
const component = fc
  .tuple(word, fc.array(fc.tuple(fc.constantFrom('.', '_', '__', '-', '---'), word), { maxLength: 2 }))
  .map(([first, more]) => first + more.flat().join(''));

/** Repository names of one to four components. */
export const repositoryName: fc.Arbitrary<RepositoryName> = fc
  .array(component, { minLength: 1, maxLength: 4 })
  .map((parts) => known(parseRepositoryName(parts.join('/')), parts.join('/')));

const UPPER = LOWER.slice(0, 26).map((letter) => letter.toUpperCase());

/** Tags, up to the longest. */
export const tag: fc.Arbitrary<Tag> = fc
  .tuple(
    fc.constantFrom('_', ...UPPER, ...LOWER),
    fc.oneof(
      fc.string({ unit: fc.constantFrom('.', '-', '_', ...UPPER, ...LOWER), maxLength: 10 }),
      fc.constantFrom('x'.repeat(127), '.json', '-', '_tags.json', '_manifests'),
    ),
  )
  .map((parts) => known(parseTag(parts.join('')), parts.join('')));

const hex = (digits: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.nat({ max: 15 }).map((digit) => digit.toString(16)), minLength: digits, maxLength: digits });

/** Digests of both algorithms. */
export const digest: fc.Arbitrary<Digest> = fc
  .oneof(
    hex(64).map((text) => `sha256:${text}`),
    hex(128).map((text) => `sha512:${text}`),
  )
  .map((text) => known(parseDigest(text), text));

/** Realms, the public one among them. */
export const realm: fc.Arbitrary<RealmName> = fc
  .constantFrom('public', 'team-a', 'x', 'a.b_c')
  .map((text) => known(parseRealmTable([{ pattern: '*', realm: text }])[0] ?? null, text).realm);

/** Platforms, those of Windows and odd ones among them. */
export const platform: fc.Arbitrary<Platform> = fc.record(
  {
    os: fc.constantFrom('linux', 'windows', 'wasip1', 'a/b', 'é', ''),
    architecture: fc.constantFrom('amd64', 'arm', 'arm64', 'x:y', ''),
    variant: fc.constantFrom('v5', 'v7', 'v8', '', 'a/b', 'c:d'),
    'os.version': fc.constantFrom('10.0.17763.5329', '', 'a:b', 'é\u2028'),
    'os.features': fc.array(fc.constantFrom('win32k', '<&>'), { maxLength: 2 }),
  },
  { requiredKeys: ['os', 'architecture'] },
);
