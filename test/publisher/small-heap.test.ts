import { constants, PerformanceObserver } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import { tellReceived } from '../../src/publisher/streams/small-heap.ts';

test('what came off the network is collected every few mebibytes, by the young generation alone', async () => {
  const kinds: number[] = [];
  let told: () => void = () => undefined;
  const collected = new Promise<void>((resolve) => {
    told = resolve;
  });
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) kinds.push((entry as unknown as { detail: { kind: number } }).detail.kind);
    if (kinds.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MINOR).length >= 8) told();
  });
  observer.observe({ entryTypes: ['gc'] });
  for (let received = 0; received < 64 * 2 ** 20; received += 64 * 1024) tellReceived(64 * 1024);
  await collected;
  observer.disconnect();
  expect(kinds.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MINOR).length).toBeGreaterThanOrEqual(8);
});
