import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Tells V8 to favour memory over speed from here on: what moves lies in buffers outside the heap, and hashing and copying are not V8's. Without it a publish keeps some 60 MB,
 * and a server some 90 MB, of garbage that nobody comes back for. To be called when code is loaded and bytes begin to flow: what was compiled before and kept (Node's own modules,
 * the compile cache) is not taken by a V8 with other flags.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--optimize-for-size');
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Bytes that come between two collections. */
const BETWEEN = 4 * 2 ** 20;

let came = 0;
let collectYoung: (() => void) | undefined;

/**
 * To be told how many bytes came off the network. Node puts each read into a buffer of its own (and HTTP copies it into another), outside the heap and garbage a moment later; left to
 * itself V8 marks the whole heap each time these come to some 64 MB, on two threads, which takes a quarter of a copy's time. Collecting the young generation frees them at a tenth
 * of that, and earlier.
 */
export function tellReceived(bytes: number): void {
  came += bytes;
  if (came < BETWEEN) return;
  came = 0;
  collectYoung ??= youngCollector();
  collectYoung();
}

/** V8 shows its collector only to contexts that are made when this flag is set. */
function youngCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('globalThis.gc');
  return typeof collect === 'function'
    ? () => void (collect as (options: { type: 'minor' }) => unknown)({ type: 'minor' })
    : () => undefined;
}
