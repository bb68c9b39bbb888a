import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Descriptor } from '../../src/registry/descriptor.ts';
import { decodeReferrers, encodeReferrers } from '../../src/registry/referrers.ts';
import { digest } from './arbitraries.ts';
import { CorruptRecordError } from '../../src/registry/unreadable-record.ts';

const descriptor: fc.Arbitrary<Descriptor> = fc.record(
  {
    mediaType: fc.constantFrom('application/vnd.oci.image.manifest.v1+json'),
    digest,
    size: fc.nat(),
    artifactType: fc.constantFrom('application/x'),
    annotations: fc.constant({ a: 'é<>' }),
  },
  { requiredKeys: ['mediaType', 'digest', 'size'] },
);

describe('a referrers record', () => {
  it('is an OCI index that reads back as its descriptors, sorted by digest, each once, in whatever order they came', () => {
    fc.assert(
      fc.property(fc.uniqueArray(descriptor, { selector: (one) => one.digest, maxLength: 10 }), (list) => {
        const record = encodeReferrers(list);
        expect(decodeReferrers(record)).toEqual([...list].sort((a, b) => (a.digest < b.digest ? -1 : 1)));
        expect(encodeReferrers([...list].reverse())).toEqual(record);
        expect(JSON.parse(new TextDecoder().decode(record))).toMatchObject({
          schemaVersion: 2,
          mediaType: 'application/vnd.oci.image.index.v1+json',
        });
      }),
    );
  });

  it.each(['', '{', 'null', '[]', '{"manifests":1}', '{"manifests":[1]}', '{"manifests":[{"digest":"sha256:x"}]}'])(
    '%j is reported as damaged',
    (text) => {
      expect(() => decodeReferrers(new TextEncoder().encode(text))).toThrow(CorruptRecordError);
    },
  );
});
