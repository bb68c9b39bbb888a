import { describe, expect, it } from 'vitest';
import { decodeSignatures, encodeSignatures, SIGNATURE_LIMITS, SignaturesError } from '../../src/origin/signatures.ts';
import { type Digest, parseDigest } from '../../src/registry/digest.ts';

const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const digestOf = (digit: string): Digest => parseDigest(`sha256:${digit.repeat(64)}`) ?? expect.fail();
const SUBJECT = digestOf('a');
const signature = (name: string = SUBJECT, more: object = {}): object => ({
  schemaVersion: 2,
  type: 'atomic',
  name: `${name}@${'0'.repeat(32)}`,
  content: 'b3BlbnBncA==',
  ...more,
});

describe('a document of signatures', () => {
  it('reads back as it was encoded', () => {
    const signatures = decodeSignatures(bytesOf({ signatures: [signature()] }), SUBJECT);
    expect(signatures).toEqual([signature()]);
    expect(decodeSignatures(encodeSignatures(signatures), SUBJECT)).toEqual(signatures);
    expect(decodeSignatures(encodeSignatures([]), SUBJECT)).toEqual([]);
  });

  it.each([
    ['of another kind', signature(SUBJECT, { type: 'sigstore' })],
    ['of another version', signature(SUBJECT, { schemaVersion: 1 })],
    ['of another manifest', signature(digestOf('b'))],
    ['that is not base64', signature(SUBJECT, { content: '<svg>' })],
    ['that is none', null],
  ])('leaves out an entry %s', (_, entry) => {
    expect(decodeSignatures(bytesOf({ signatures: [entry, signature()] }), SUBJECT)).toEqual([signature()]);
  });

  it('has members that we do not know left out', () => {
    expect(decodeSignatures(bytesOf({ signatures: [signature(SUBJECT, { more: 1 })] }), SUBJECT)).toEqual([
      signature(),
    ]);
  });

  it.each([
    ['no JSON', new TextEncoder().encode('<html>')],
    ['no list', bytesOf({ errors: [] })],
    ['nothing', bytesOf(null)],
    ['too many', bytesOf({ signatures: Array.from({ length: SIGNATURE_LIMITS.count + 1 }, () => signature()) })],
    ['too long', bytesOf({ signatures: [signature(SUBJECT, { content: 'A'.repeat(SIGNATURE_LIMITS.bytes) })] })],
  ])('is refused whole where it is %s', (_, bytes) => {
    expect(() => decodeSignatures(bytes, SUBJECT)).toThrow(SignaturesError);
  });
});
