/** A short run of each surface's fuzzer; `npm run fuzz -- --surface …` is the long one. */
import { expect, test } from 'vitest';
import { titleOf } from '../attacks.ts';
import { SURFACES } from './surfaces/run.ts';

test.each([
  ['tar', 400],
  ['json', 400],
  ['layout', 400],
  ['http', 300],
] as const)(`${titleOf('surface-fuzzed')} (%s, %i inputs)`, async (name, runs) => {
  const result = await SURFACES[name]?.({ seed: 1, from: 0, runs });
  expect(result?.fault, result?.summary).toBeNull();
});
