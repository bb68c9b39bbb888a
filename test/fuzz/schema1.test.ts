/**
 * A short run of the fuzzer (`npm run fuzz` is the long one): always by our own rules, and against docker/distribution,
 * moby and libtrust if Go is installed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyFromRandom } from '../../src/manifest/signing/key.ts';
import { checkConfig } from './config-rules.ts';
import { schema1Input } from './configs.ts';
import { damagedDocument } from './documents.ts';
import { missingForOracle, type Oracle, startOracle } from './oracle.ts';
import { schema1Payload } from './payloads.ts';
import { checkConversion, checkSignature, checkVerification } from './schema1-rules.ts';

const key = keyFromRandom(new Uint8Array(32).fill(7));
if (key === null) throw new Error('no key');

describe('schema 1 of configs that nobody would write', () => {
  it('has the ids of its layers and config, the layers in order, and in strict mode the same bytes or a refusal', async () => {
    let payloads = 0;
    await fc.assert(
      fc.asyncProperty(schema1Input, async (input) => {
        const payload = await checkConversion(input, null);
        if (payload !== null && (payloads += 1) % 25 === 0) await checkSignature(key, payload, null, true);
      }),
      { numRuns: 1_500, seed: 1 },
    );
    // A fuzzer whose cases are all refused would prove little.
    expect(payloads).toBeGreaterThan(400);
  });
});

describe('the config of schema 1 payloads that nobody would write', () => {
  it('has as many diff IDs as layers that hold something, and no member of the v1 API, or is refused', async () => {
    let configs = 0;
    await fc.assert(
      fc.asyncProperty(schema1Payload, async (payload) => {
        if ((await checkConfig(payload, null)) !== null) configs += 1;
      }),
      { numRuns: 500, seed: 4 },
    );
    expect(configs).toBeGreaterThan(200);
  });
});

const missing = missingForOracle();

describe.skipIf(missing !== null)(
  `schema 1 against docker/distribution, moby and libtrust${missing === null ? '' : ` [skipped: ${missing} not installed]`}`,
  () => {
    let oracle: Oracle;
    beforeAll(() => {
      oracle = startOracle();
    }, 60_000);
    afterAll(() => oracle.close());

    it('is the same payload or a refusal by both, and libtrust accepts what we sign', async () => {
      let payloads = 0;
      await fc.assert(
        fc.asyncProperty(schema1Input, async (input) => {
          const payload = await checkConversion(input, oracle);
          if (payload !== null && (payloads += 1) % 25 === 0) await checkSignature(key, payload, oracle, true);
        }),
        { numRuns: 2_000, seed: 2 },
      );
      expect(payloads).toBeGreaterThan(500);
    });

    it('gives the image config that Docker makes of it, or is refused by both', async () => {
      let configs = 0;
      await fc.assert(
        fc.asyncProperty(schema1Payload, async (payload) => {
          if ((await checkConfig(payload, oracle)) !== null) configs += 1;
        }),
        { numRuns: 1_500, seed: 5 },
      );
      expect(configs).toBeGreaterThan(600);
    });

    it('gives, for each vector, the config or the refusal that is written down', async () => {
      const folder = new URL('../fixtures/schema1-config/', import.meta.url);
      for (const name of readdirSync(folder)) {
        const read = (file: string): string => readFileSync(new URL(`${name}/${file}`, folder)).toString();
        const verdict = await oracle.config(new TextEncoder().encode(read('payload.json')));
        if (verdict.kind === 'payload') expect(new TextDecoder().decode(verdict.payload)).toBe(read('config.json'));
        else expect(`${verdict.explanation}\n`).toBe(read('refused.txt'));
      }
    });

    it('signed and damaged is accepted by both or by neither', async () => {
      let accepted = 0;
      await fc.assert(
        fc.asyncProperty(damagedDocument([key]), async (document) => {
          if ((await checkVerification(document, oracle)).ours === null) accepted += 1;
        }),
        { numRuns: 400, seed: 3 },
      );
      expect(accepted).toBeGreaterThan(30);
    });
  },
);
