/** What the memory of an isolate keeps, and what it lets go. */
import { expect, it } from 'vitest';
import { MEMORY_SIZE, objectMemory, type Remembered, REMEMBERED_MAX } from '../../src/worker/storage/object-cache.ts';

const remembered = (length: number, etag = 'x'): Remembered => ({
  etag,
  range: { offset: 0, length },
  bytes: new Uint8Array(length),
});
const kept = (memory: ReturnType<typeof objectMemory>, names: readonly string[]): readonly string[] =>
  names.filter((name) => memory.recall(name) !== undefined);

it('what was not asked for the longest goes first', () => {
  const memory = objectMemory(3 * 1_500);
  for (const name of ['a', 'b', 'c']) memory.keep(name, remembered(1_000));
  memory.recall('a');
  memory.keep('d', remembered(1_000));
  expect(kept(memory, ['a', 'b', 'c', 'd'])).toEqual(['a', 'c', 'd']);
});

it('one object has one place, that of its latest version', () => {
  const memory = objectMemory(2 * 1_500);
  memory.keep('b', remembered(1_000));
  for (const etag of ['1', '2', '3']) memory.keep('a', remembered(1_000, etag));
  expect(memory.recall('a')?.etag).toBe('3');
  expect(kept(memory, ['b'])).toEqual(['b']);
});

it('what is forgotten makes room', () => {
  const memory = objectMemory(2 * 1_500);
  for (const name of ['a', 'b']) memory.keep(name, remembered(1_000));
  memory.forget('a');
  memory.forget('a');
  memory.keep('c', remembered(1_000));
  expect(kept(memory, ['a', 'b', 'c'])).toEqual(['b', 'c']);
});

it('what is too long is not kept, nor what it was before', () => {
  const memory = objectMemory();
  memory.keep('a', remembered(REMEMBERED_MAX));
  expect(memory.recall('a')).toBeDefined();
  memory.keep('a', remembered(REMEMBERED_MAX + 1));
  expect(memory.recall('a')).toBeUndefined();
});

it('objects of no bytes are bounded too: names cost', () => {
  const memory = objectMemory(10_000);
  const names = Array.from({ length: 1_000 }, (_, index) => `name ${String(index)}`);
  for (const name of names) memory.keep(name, remembered(0));
  expect(kept(memory, names).length).toBeLessThan(40);
});

it('all of them together stay within the bound', () => {
  const memory = objectMemory();
  const names = Array.from({ length: 100 }, (_, index) => `name ${String(index)}`);
  for (const name of names) memory.keep(name, remembered(REMEMBERED_MAX));
  expect(kept(memory, names).length * REMEMBERED_MAX).toBeLessThanOrEqual(MEMORY_SIZE);
});
