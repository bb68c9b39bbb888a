import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildSchema1, type Schema1Result } from '../../src/manifest/schema1.ts';
import { sha256Of } from '../../src/manifest/signing/sha256.ts';

const folder = new URL('../fixtures/schema1/', import.meta.url);
const cases = readdirSync(folder).sort();

const read = (name: string, file: string): Buffer => readFileSync(new URL(`${name}/${file}`, folder));
const has = (name: string, file: string): boolean => readdirSync(new URL(`${name}/`, folder)).includes(file);

const inputOf = (name: string) => {
  const manifest = JSON.parse(read(name, 'manifest.json').toString()) as { layers: { digest: string }[] };
  const ref = JSON.parse(read(name, 'ref.json').toString()) as { name: string; tag?: string };
  return {
    config: new Uint8Array(read(name, 'config.json')),
    layers: manifest.layers.map(({ digest }) => digest),
    name: ref.name,
    tag: ref.tag ?? '',
  };
};

/** The result with its payload as a digest: quick to compare, and short where it differs. */
const hashed = (result: Schema1Result) =>
  result.kind === 'payload' ? { ...result, payload: sha256Of(result.payload) } : result;

// What distribution converts and a publisher should not: layers would be lost, or readers would not agree.
const STRICT_REFUSALS: Readonly<Record<string, string>> = {
  '22-preexisting-id-parent': 'schema1-base-has-parent',
  '26-too-few-history': 'schema1-history-mismatch',
  '32-duplicate-top-keys': 'schema1-config-ambiguous',
  '33-duplicate-history-fields': 'schema1-config-ambiguous',
  '53-created-lax-forms': 'schema1-config-ambiguous',
};

describe('schema 1 in compat mode equals docker/distribution 2.8', () => {
  it.each(cases.filter((name) => has(name, 'payload.json')))(
    '%s: the payload, byte for byte, and its digest',
    (name) => {
      const result = buildSchema1(inputOf(name), 'compat');
      if (result.kind !== 'payload') throw new Error(result.explanation);
      expect(
        Buffer.from(result.payload).equals(read(name, 'payload.json')) || Buffer.from(result.payload).toString(),
      ).toBe(true);
      expect(sha256Of(result.payload)).toBe(read(name, 'digest.txt').toString().trim());
    },
  );

  it.each(cases.filter((name) => has(name, 'error.txt')))('%s: refused', (name) => {
    expect(buildSchema1(inputOf(name), 'compat').kind).toBe('refused');
  });
});

describe('schema 1 in strict mode', () => {
  it.each(cases)('%s: the same payload, or refused where that would be a broken or ambiguous image', (name) => {
    const strict = buildSchema1(inputOf(name), 'strict');
    const expected = STRICT_REFUSALS[name];
    if (expected === undefined) expect(hashed(strict)).toEqual(hashed(buildSchema1(inputOf(name), 'compat')));
    else expect(strict).toMatchObject({ kind: 'refused', reason: expected });
  });
});
