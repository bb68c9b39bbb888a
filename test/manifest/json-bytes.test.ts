import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../src/manifest/json/byte-writer.ts';
import {
  checkJson,
  decodeString,
  elementsOf,
  JsonSyntaxError,
  kindOf,
  MAX_DEPTH,
  membersOf,
} from '../../src/manifest/json/json-bytes.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const accepts = (bytes: Uint8Array): boolean => {
  try {
    checkJson(bytes);
    return true;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return false;
    throw error;
  }
};
const decoded = (text: string): string => decodeString(latin1(text), { start: 0, end: text.length });

describe('the grammar', () => {
  it('is that of JSON.parse, for whatever text', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '""',
      '"\\n"',
      '"\\u00e9"',
      '1',
      '-0',
      '1.5e3',
      '01',
      '.5',
      '-',
      'true',
      'null',
      'nul',
      ' ',
      '\n',
      '\t',
      '"',
      '\\',
      '\u00a0',
      '\u000b',
      'é',
    );
    const text = fc.oneof(
      fc.json(),
      fc.array(token, { maxLength: 12 }).map((tokens) => tokens.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(text, (some) => {
        let expected = true;
        try {
          JSON.parse(some);
        } catch {
          expected = false;
        }
        expect(accepts(encode(some))).toBe(expected);
      }),
      { numRuns: 2_000, seed: 1 },
    );
  });

  it.each([
    ['bytes that are not UTF-8 inside a string', '"\xff\xc0\x80"', true],
    ['and outside', '\xff', false],
    ['DEL in a string', '"\x7f"', true],
    ['a control character in a string', '"\x1f"', false],
    ['a lone surrogate escape', '"\\ud800"', true],
    ['a number beyond any', '-1E+400', true],
    ['an escape that there is not', '"\\x41"', false],
    ['a short escape', '"\\u12"', false],
    ['an escape cut off', '"\\', false],
    ['a byte order mark', '\xef\xbb\xbf{}', false],
  ])('%s', (_, text, expected) => {
    expect(accepts(latin1(text))).toBe(expected);
  });

  it.each(['[', '{"a":'])('nesting in %s ends at the depth that Go sets, and costs no call stack', (open) => {
    const close = open === '[' ? ']' : '}';
    const nested = (depth: number): Uint8Array =>
      encode(open.repeat(depth) + (open === '[' ? '' : '1') + close.repeat(depth));
    expect(accepts(nested(MAX_DEPTH))).toBe(true);
    expect(accepts(nested(MAX_DEPTH + 1))).toBe(false);
    expect(accepts(encode(open.repeat(1_000_000)))).toBe(false);
  });

  it('says where it ends', () => {
    expect(() => checkJson(encode('{"a":1 x}'))).toThrow(expect.objectContaining({ offset: 7 }));
  });
});

describe('values as spans', () => {
  it('members and elements are those of JSON.parse, in order, repeats included', () => {
    const bytes = encode(' { "a" : 1 , "b":[ 2,{ } ] , "\\u0061":null } ');
    const cut = ({ start, end }: { start: number; end: number }): string =>
      new TextDecoder().decode(bytes.subarray(start, end));
    const members = membersOf(bytes, checkJson(bytes));
    expect(members.map(({ key, value }) => [key, kindOf(bytes, value), cut(value)])).toEqual([
      ['a', 'number', '1'],
      ['b', 'array', '[ 2,{ } ]'],
      ['a', 'null', 'null'],
    ]);
    const list = members[1];
    expect(list === undefined ? [] : elementsOf(bytes, list.value).map(cut)).toEqual(['2', '{ }']);
  });

  it('strings of UTF-8 are decoded as JSON.parse does, but for lone surrogates, which become U+FFFD', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = encode(JSON.stringify(text));
        expect(decodeString(json, checkJson(json))).toBe(text.toWellFormed());
      }),
    );
  });

  it.each([
    ['one U+FFFD for each bad byte: cut short', '"\xe2\x82"', '\ufffd\ufffd'],
    ['overlong', '"\xc0\x80"', '\ufffd\ufffd'],
    ['a surrogate in UTF-8', '"\xed\xa0\x80"', '\ufffd\ufffd\ufffd'],
    ['above U+10FFFF', '"\xf4\x90\x80\x80"', '\ufffd\ufffd\ufffd\ufffd'],
    ['and reading goes on at the next byte', '"\xe2\x82\xe2\x82\xac"', '\ufffd\ufffd€'],
    ['a byte order mark stays', '"\xef\xbb\xbfa"', '\ufeffa'],
    ['a pair of escapes', '"\\ud83d\\ude00"', '😀'],
    ['a high one before something else uses up only itself', '"\\ud83d\\u0041"', '\ufffdA'],
    ['two high ones and a low one', '"\\ud800\\ud83d\\ude00"', '\ufffd😀'],
    ['a low one alone', '"\\udc00"', '\ufffd'],
    ['the short escapes', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'],
  ])('%s', (_, text, expected) => {
    expect(decoded(text)).toBe(expected);
  });
});

describe('writing', () => {
  const text = (write: (writer: ByteWriter) => ByteWriter): string =>
    Buffer.from(write(new ByteWriter()).bytes()).toString();

  it('a string reads back by JSON.parse, with what Go escapes escaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (some) => {
        const written = text((writer) => writer.string(some));
        expect(JSON.parse(written)).toBe(some.toWellFormed());

        expect(written).not.toMatch(/[<>&\u2028\u2029\u0000-\u001f]/);
      }),
    );
  });

  it.each([
    ['\b\f\n\r\t\u0001', '"\\u0008\\u000c\\n\\r\\t\\u0001"'],
    ['<>&"\\/\u007fé\u2028\u2029', '"\\u003c\\u003e\\u0026\\"\\\\/\u007fé\\u2028\\u2029"'],
  ])('%j is written %s', (some, expected) => {
    expect(text((writer) => writer.string(some))).toBe(expected);
  });

  it('bytes that are not UTF-8 are six characters each; a real U+FFFD stays', () => {
    expect(text((writer) => writer.stringOfBytes(latin1('\xff\xe2\x82\xef\xbf\xbd')))).toBe(
      '"\\ufffd\\ufffd\\ufffd\ufffd"',
    );
  });

  it('a raw value is compacted, its spelling kept', () => {
    const raw = ' { "b" : 1.0 , "a":[ 1e400 , "< \\u003C \\/ \u2028 " ] , "b":-0 } ';
    expect(text((writer) => writer.compact(encode(raw)))).toBe(
      '{"b":1.0,"a":[1e400,"\\u003c \\u003C \\/ \\u2028 "],"b":-0}',
    );
  });

  it('compacted it still means the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const written = text((writer) => writer.compact(encode(JSON.stringify(value, null, 2))));
        expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('grows with what is written', () => {
    const long = 'é'.repeat(50_000);
    expect(text((writer) => writer.text('[').string(long).raw(encode(',')).compact(encode('"<"')).byte(0x5d))).toBe(
      `["${long}","\\u003c"]`,
    );
  });

  // Long values are written in stretches: what needs several bytes, or is longer written, may lie across the end of
  // one.
  it.each([0, 1, 2, 3, 4, 5])('nothing is lost or doubled wherever a stretch ends (%i bytes in front)', (front) => {
    const long = 'x'.repeat(front) + 'é€😀\u2028<\\"\n'.repeat(3_000);
    const escaped = (json: string): string =>
      json.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
    expect(text((writer) => writer.string(long))).toBe(escaped(JSON.stringify(long)));
    expect(text((writer) => writer.compact(encode(JSON.stringify(long))))).toBe(escaped(JSON.stringify(long)));
  });

  it('a cleared writer begins anew', () => {
    const writer = new ByteWriter(1).text('first, and longer');
    expect(Buffer.from(writer.clear().string('two').view()).toString()).toBe('"two"');
  });
});
