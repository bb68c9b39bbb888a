import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  configFromSchema1,
  fromSchema1,
  isNameless,
  isUnreadable,
  layersOfSchema1,
  platformOfSchema1,
} from '../../src/manifest/from-schema1.ts';
import { sha256Of } from '../../src/manifest/signing/sha256.ts';
import type { Digest } from '../../src/registry/digest.ts';
import { options } from './images.ts';

/** Payloads with what moby 20.10's own functions make of them (`npm run fuzz -- --oracle` compares many more). */
const fixtures = new URL('../fixtures/schema1-config/', import.meta.url);
const names = readdirSync(fixtures).sort();
const read = (name: string, file: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`${name}/${file}`, fixtures)));
const isRefused = (name: string): boolean => readdirSync(new URL(`${name}/`, fixtures)).includes('refused.txt');
const diffIdOf = (blob: Digest): Digest => sha256Of(new TextEncoder().encode(blob));
const signed = (payload: Uint8Array): Uint8Array => options.signer.sign(payload, '2026-11-24T00:00:00Z');

describe('the image config of a schema 1', () => {
  it.each(names.filter((name) => !isRefused(name)))('%s: the bytes are those that Docker makes', (name) => {
    const config = configFromSchema1(read(name, 'payload.json'), diffIdOf);
    expect(new TextDecoder().decode(config)).toBe(new TextDecoder().decode(read(name, 'config.json')));
  });

  it.each(names.filter(isRefused))('%s: is refused, as Docker refuses it', (name) => {
    let thrown: unknown;
    try {
      configFromSchema1(read(name, 'payload.json'), diffIdOf);
    } catch (error) {
      thrown = error;
    }
    expect(isUnreadable(thrown)).toBe(true);
    expect(fromSchema1({ bytes: signed(read(name, 'payload.json')) }, new Map())).toMatchObject({
      reason: expect.stringMatching(/^schema2-(history-mismatch|layers-unreadable)$/) as string,
    });
  });
});

describe('what a schema 1 says', () => {
  it('a repeated entry names no layer that must be unpacked', () => {
    const bytes = signed(read('07-entry-repeated', 'payload.json'));
    expect(layersOfSchema1(bytes)).toEqual([`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`]);
  });

  it('of a schema 1 that Docker refuses no layer needs unpacking', () => {
    expect(layersOfSchema1(signed(read('25-chain-broken', 'payload.json')))).toEqual([]);
  });

  it.each([
    ['{"os":"linux","architecture":"arm"}', { os: 'linux', architecture: 'arm' }],
    ['{"OS":"linux","Architecture":"arm","Env":5}', { os: 'linux', architecture: 'arm' }],
    ['{"os":"linux"}', null],
    ['{"os":1,"architecture":"arm"}', null],
    ['[', null],
  ])('its platform is that of the newest entry: %s', (text, expected) => {
    expect(platformOfSchema1(signed(payloadOf('library/app', text)))).toEqual(expected);
  });

  it.each([
    ['library/app', false],
    ['', true],
  ])('the name %j is empty: %s', (name, expected) => {
    expect(isNameless(signed(payloadOf(name, '{}')))).toBe(expected);
  });

  function payloadOf(name: string, text: string): Uint8Array {
    const fsLayers = [{ blobSum: `sha256:${'a'.repeat(64)}` }];
    const history = [{ v1Compatibility: text }];
    return new TextEncoder().encode(JSON.stringify({ schemaVersion: 1, name, tag: '1', fsLayers, history }));
  }
});
