import { CorruptRecordError, NewerVersionError } from '../../src/registry/unreadable-record.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REASONS, type Reason } from '../../src/registry/errors.ts';
import { FORMS, MEDIA_TYPE_OF_FORM, type NonstandardLayers } from '../../src/registry/media-type.ts';
import {
  decodeTagIndex,
  decodeTagMetadata,
  encodeTag,
  INDEX_METADATA,
  INDEX_METADATA_MAX,
  type MissingForm,
  type TagForm,
  type TagRecord,
} from '../../src/registry/records.ts';
import { digest, platform } from './arbitraries.ts';

const source: fc.Arbitrary<TagForm['source']> = fc.oneof(
  fc.constant({ kind: 'published' as const }),
  digest.map((from) => ({ kind: 'derived' as const, from })),
);

/** A record and its manifests' bytes: `scale` makes the index outgrow the metadata. */
const tagObject = fc
  .tuple(
    fc.array(
      fc.record({
        form: fc.constantFrom(...FORMS),
        digest,
        source,
        platform: fc.option(platform),
        zstd: fc.boolean(),
        nonstandard: fc.option(fc.subarray<NonstandardLayers>(['docker-zstd', 'oci-in-docker'], { minLength: 1 }), {
          nil: undefined,
        }),
        bytes: fc.uint8Array({ maxLength: 40 }),
      }),
      { maxLength: 60, size: 'max' },
    ),
    fc.array(
      fc.record({
        form: fc.constantFrom(...FORMS),
        reason: fc.constantFrom(...(Object.keys(REASONS) as Reason[])),
        platform: fc.option(platform),
      }),
      { maxLength: 8 },
    ),
    fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }),
  )
  .map(([rows, lacks, updated]) => {
    let offset = 0;
    const forms = rows.map((row): TagForm => {
      const form = {
        form: row.form,
        mediaType: MEDIA_TYPE_OF_FORM[row.form],
        digest: row.digest,
        offset,
        length: row.bytes.length,
        source: row.source,
        ...(row.platform === null ? {} : { platform: row.platform }),
        ...(row.zstd ? { zstd: true as const } : {}),
        ...(row.nonstandard === undefined ? {} : { nonstandard: row.nonstandard }),
      };
      offset += row.bytes.length;
      return form;
    });
    const missing = lacks.map(({ form, reason, platform: one }): MissingForm => ({
      form,
      reason,
      ...(one === null ? {} : { platform: one }),
    }));
    return {
      record: { updated: updated.toISOString(), forms, missing } satisfies TagRecord,
      manifests: rows.map(({ bytes }) => bytes),
    };
  });

const read = (body: Uint8Array, metadata: Readonly<Record<string, string>>) => {
  const index = decodeTagMetadata(metadata);
  return index.kind === 'record'
    ? { record: index.record, base: 0 }
    : { record: decodeTagIndex(body.subarray(0, index.length)), base: index.length };
};

describe('a tag object', () => {
  it('reads back as the record and the manifests that it was made from, wherever its index stands', () => {
    const places = new Set<boolean>();
    fc.assert(
      fc.property(tagObject, ({ record, manifests }) => {
        const { body, metadata } = encodeTag(record, manifests);
        const back = read(body, metadata);
        expect(back.record).toEqual(record);
        record.forms.forEach(({ offset, length }, at) => {
          expect(body.slice(back.base + offset, back.base + offset + length)).toEqual(manifests[at]);
        });
        places.add(back.base > 0);
        // R2 keeps 8,192 bytes of metadata, and S3 sends them as header lines.
        const text = metadata[INDEX_METADATA] ?? '';
        expect(text).toMatch(/^[\x20-\x7e]+$/);
        expect(text.length).toBeLessThanOrEqual(INDEX_METADATA_MAX);
      }),
      { seed: 1, numRuns: 200 },
    );
    expect(places).toEqual(new Set([true, false]));
  });

  const one = { updated: '2026-11-24T00:00:00Z', forms: [], missing: [] } satisfies TagRecord;
  const { metadata } = encodeTag(one, []);
  const index = metadata[INDEX_METADATA] ?? '';
  const digestText = `sha256:${'a'.repeat(64)}`;

  it.each([
    ['no index', {}],
    ['an index that is not JSON', { [INDEX_METADATA]: '{' }],
    ['an index that is no object', { [INDEX_METADATA]: '[]' }],
    ['null', { [INDEX_METADATA]: 'null' }],
    ['an older version than the first', { [INDEX_METADATA]: index.replace('"v":1', '"v":0') }],
    ['no version', { [INDEX_METADATA]: index.replace('"v":1,', '') }],
    ['no forms', { [INDEX_METADATA]: '{"v":1,"t":"x","m":[]}' }],
    ['an unknown form', { [INDEX_METADATA]: `{"v":1,"t":"x","f":[["zz","${digestText}",0,1,"p"]],"m":[]}` }],
    [
      'a form named as an inherited member',
      { [INDEX_METADATA]: `{"v":1,"t":"x","f":[["constructor","${digestText}",0,1,"p"]],"m":[]}` },
    ],
    ['a bad digest', { [INDEX_METADATA]: '{"v":1,"t":"x","f":[["s2","sha256:a",0,1,"p"]],"m":[]}' }],
    ['a negative offset', { [INDEX_METADATA]: `{"v":1,"t":"x","f":[["s2","${digestText}",-1,1,"p"]],"m":[]}` }],
    [
      'a length that is no whole number',
      { [INDEX_METADATA]: `{"v":1,"t":"x","f":[["s2","${digestText}",0,1.5,"p"]],"m":[]}` },
    ],
    ['a source that is no digest', { [INDEX_METADATA]: `{"v":1,"t":"x","f":[["s2","${digestText}",0,1,"q"]],"m":[]}` }],
    [
      'a platform that is none',
      { [INDEX_METADATA]: `{"v":1,"t":"x","f":[["s2","${digestText}",0,1,"p","linux"]],"m":[]}` },
    ],
    ['a row that is none', { [INDEX_METADATA]: '{"v":1,"t":"x","f":[{}],"m":[]}' }],
    ['an index in the body of no length', { [INDEX_METADATA]: '{"v":1,"h":0}' }],
    ['an index in the body of a broken length', { [INDEX_METADATA]: '{"v":1,"h":1.5}' }],
  ])('with %s is reported as damaged', (_, damaged) => {
    expect(() => decodeTagMetadata(damaged)).toThrow(CorruptRecordError);
  });

  it('whose index in the body is cut short is reported as damaged', () => {
    expect(() => decodeTagIndex(new TextEncoder().encode(index.slice(0, -1)))).toThrow(CorruptRecordError);
  });

  it('from before zstd was marked reads without marks, and marks that mean nothing are passed over', () => {
    const row = `["om","${digestText}",0,1,"p"]`;
    const zstdOf = (more: string): (true | undefined)[] => {
      const read = decodeTagMetadata({ [INDEX_METADATA]: `{"v":1,"t":"x","f":[${row},${row}],"m":[]${more}}` });
      return read.kind === 'record' ? read.record.forms.map(({ zstd }) => zstd) : [];
    };
    expect(zstdOf('')).toEqual([undefined, undefined]);
    expect(zstdOf(',"z":[1]')).toEqual([undefined, true]);
    expect(zstdOf(',"z":[2,-1,"0",null]')).toEqual([undefined, undefined]);
    expect(zstdOf(',"z":"0"')).toEqual([undefined, undefined]);
  });

  it('marks of layer types that mean nothing are passed over', () => {
    const row = `["s2","${digestText}",0,1,"p"]`;
    const kindsOf = (more: string): unknown[] => {
      const read = decodeTagMetadata({ [INDEX_METADATA]: `{"v":1,"t":"x","f":[${row},${row}],"m":[]${more}}` });
      return read.kind === 'record' ? read.record.forms.map(({ nonstandard }) => nonstandard) : [];
    };
    expect(kindsOf('')).toEqual([undefined, undefined]);
    expect(kindsOf(',"n":[[1,"oz?"]]')).toEqual([undefined, ['docker-zstd', 'oci-in-docker']]);
    expect(kindsOf(',"n":[[0,"?"],[0],[1,1],null,"z",[7,"z"]]')).toEqual([undefined, undefined]);
    expect(kindsOf(',"n":"z"')).toEqual([undefined, undefined]);
  });

  it('without zstd has no word of it', () => {
    expect(index).not.toContain('"z"');
  });

  it('with a reason that only a newer publisher knows still serves', () => {
    expect(
      decodeTagMetadata({ [INDEX_METADATA]: '{"v":1,"t":"x","f":[],"m":[["s1","schema1-of-tomorrow"]]}' }),
    ).toMatchObject({
      record: { missing: [{ form: 'docker-schema1', reason: 'form-not-published' }] },
    });
  });
});

it('takes a newer version for what it is, and not for damage', () => {
  expect(() => decodeTagMetadata({ [INDEX_METADATA]: '{"v":2}' })).toThrow(NewerVersionError);
});
