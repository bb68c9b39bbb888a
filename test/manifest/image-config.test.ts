import { describe, expect, it } from 'vitest';
import { ImageConfigError, readImageConfig } from '../../src/manifest/image-config.ts';

const read = (text: string | Uint8Array) =>
  readImageConfig(typeof text === 'string' ? new TextEncoder().encode(text) : text);
const created = (text: string) => read(`{"history":[${text}]}`).history;

/** An entry with everything absent. */
const NOTHING = { created: '0001-01-01T00:00:00Z', author: '', createdBy: '', comment: '', emptyLayer: false };

describe('an image config is read as Go reads it', () => {
  it('null and absent members are the defaults', () => {
    expect(read('{}')).toMatchObject({ architecture: '', rootfs: null, history: [] });
    expect(read('null')).toMatchObject({ architecture: '', rootfs: null, history: [] });
    expect(read('{"architecture":null,"rootfs":null,"history":null}')).toMatchObject({
      architecture: '',
      rootfs: null,
      history: [],
    });
    expect(created('null,{},{"created":null,"author":null,"empty_layer":null}')).toEqual([NOTHING, NOTHING, NOTHING]);
  });

  it('names match in any case, in escapes, and with ſ for s', () => {
    expect(read('{"ARCHITECTURE":"a"}').architecture).toBe('a');
    expect(read('{"Hi\\u0073tory":[{}]}').history).toHaveLength(1);
    expect(read('{"hiſtory":[{}]}').history).toHaveLength(1);
    expect(read('{"rootfſ":{"DIFF_IDſ":["x"]}}').rootfs).toEqual({ layers: 1, baseLayer: '' });
    // U+0130 folds to i in some languages, and not here; nor does a name with more in it.
    expect(read('{"hİstory":[{}],"history ":[{}]}').history).toEqual([]);
  });

  it('of repeated members the last counts, but null changes nothing', () => {
    expect(read('{"architecture":"a","architecture":"b","architecture":null}').architecture).toBe('b');
    expect(created('{"comment":"a","Comment":"b"}')).toEqual([{ ...NOTHING, comment: 'b' }]);
  });

  it('null forgets a list or an object before it; an object is merged into the one before', () => {
    expect(read('{"rootfs":{"diff_ids":["a"]},"rootfs":null}').rootfs).toBeNull();
    expect(read('{"rootfs":{"diff_ids":["a"]},"rootfs":{"base_layer":"x"}}').rootfs).toEqual({
      layers: 1,
      baseLayer: 'x',
    });
    expect(read('{"rootfs":{"diff_ids":["a"],"diff_ids":null}}').rootfs).toEqual({ layers: 0, baseLayer: '' });
    expect(read('{"history":[{}],"history":null}').history).toEqual([]);
  });

  it('a repeated history is decoded on top of the one before, unless a list in between was empty', () => {
    const first = '"history":[{"comment":"a","author":"x"},{"comment":"b"}]';
    expect(read(`{${first},"history":[{"comment":"c"}]}`).history).toEqual([{ ...NOTHING, comment: 'c', author: 'x' }]);
    expect(read(`{${first},"history":[],"history":[{"comment":"c"}]}`).history).toEqual([{ ...NOTHING, comment: 'c' }]);
    // Go had room for four: what the third list grows into was there before.
    expect(read(`{${first},"history":[{}],"history":[{},{}]}`).history.map(({ comment }) => comment)).toEqual([
      'a',
      'b',
    ]);
  });

  it('says what other readers would read differently', () => {
    const ambiguities = (text: string): number => read(text).ambiguities.length;
    expect(ambiguities('{"history":[{"created":"2023-01-01T00:00:00Z"}],"rootfs":{"diff_ids":[]}}')).toBe(0);
    expect(ambiguities('{"os":1,"os":2}')).toBe(1);
    expect(ambiguities('{"history":[],"History":[]}')).toBe(1);
    expect(ambiguities('{"rootfs":{"type":"a","TYPE":"b"}}')).toBe(1);
    expect(ambiguities('{"history":[{"comment":"a","comment":"b"}]}')).toBe(1);
    expect(ambiguities('{"history":[{"created":"2023-01-01T00:00:00,5Z"}]}')).toBe(1);
  });

  it.each([
    ['an array', '[]', 'TYPE'],
    ['a text', '"x"', 'TYPE'],
    ['nothing', '', 'SYNTAX'],
    ['a byte order mark', '\ufeff{}', 'SYNTAX'],
    ['two values', '{}{}', 'SYNTAX'],
    ['a comma too many', '{"a":1,}', 'SYNTAX'],
    ['a history that is no list', '{"history":{}}', 'TYPE'],
    ['an entry that is none', '{"history":[1]}', 'TYPE'],
    ['an architecture that is no text', '{"architecture":1}', 'TYPE'],
    ['a bad value that a later one replaces', '{"architecture":1,"architecture":"a"}', 'TYPE'],
    ['a rootfs that is no object', '{"rootfs":[]}', 'TYPE'],
    ['a type that is no text, though it is not used', '{"rootfs":{"type":1}}', 'TYPE'],
    ['a diff ID that is no text', '{"rootfs":{"diff_ids":[1]}}', 'TYPE'],
    ['an empty_layer that is no boolean', '{"history":[{"empty_layer":"true"}]}', 'TYPE'],
    ['a time that is a number', '{"history":[{"created":0}]}', 'TYPE'],
    ['a time with a byte order mark', '{"history":[{"created":"\ufeff2023-01-01T00:00:00Z"}]}', 'TYPE'],
    ['a time with an escape', '{"history":[{"created":"2023\\u002d01-01T00:00:00Z"}]}', 'TYPE'],
  ])('%s is refused', (_, text, code) => {
    expect(() => read(text)).toThrow(ImageConfigError);
    expect(() => read(text)).toThrow(expect.objectContaining({ code }));
  });
});
