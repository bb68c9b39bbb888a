import { describe, expect, it } from 'vitest';
import { isObject, listOf, objectOf, parseJson, textOf } from '../../../src/registry/values/json.ts';

describe('JSON of other programs', () => {
  it('is parsed from text and from bytes, and is undefined where it is not valid', () => {
    expect(parseJson('{"a":1}')).toEqual({ a: 1 });
    expect(parseJson(new TextEncoder().encode('[1]'))).toEqual([1]);
    expect(parseJson('{')).toBeUndefined();
    expect(parseJson('null')).toBeNull();
  });

  it('counts a value of another type as absent', () => {
    for (const value of [undefined, null, 1, 'text', [{ a: 1 }]]) {
      expect(isObject(value)).toBe(false);
      expect(objectOf(value)).toEqual({});
    }
    expect(objectOf({ a: 1 })).toEqual({ a: 1 });
    expect(listOf({ 0: 'a' })).toEqual([]);
    expect(listOf(['a'])).toEqual(['a']);
    expect([textOf(''), textOf(1), textOf('a')]).toEqual([null, null, 'a']);
  });
});
