import { describe, expect, it } from 'vitest';
import type { PublishEvent } from '../../src/publisher/publish/events.ts';
import {
  advance,
  formatSeconds,
  NO_PROGRESS,
  type Progress,
  progressLines,
  rateOf,
  sentBytes,
} from '../../src/publisher/cli/progress.ts';
import { digestOf, nameOf, tagOf } from './gc-bucket.ts';

const A = digestOf(new Uint8Array([1]));
const B = digestOf(new Uint8Array([2]));
const plan = (bytesToSend: number, tag = 'v1'): PublishEvent => ({
  event: 'plan',
  name: nameOf('app'),
  tag: tagOf(tag),
  blobs: 2,
  present: 0,
  toSend: 2,
  bytesToSend,
});

/** Adds events, one every `step` milliseconds. Gives the time of the last one too. */
function after(
  events: readonly PublishEvent[],
  step = 1_000,
  from: Progress = NO_PROGRESS,
): { progress: Progress; now: number } {
  let progress = from;
  let now = 0;
  for (const event of events) {
    now += step;
    progress = advance(progress, event, now);
  }
  return { progress, now };
}

describe('the progress of a publish', () => {
  it('adds up what arrived and what is on its way', () => {
    const { progress } = after([
      plan(3_000),
      { event: 'blob-started', digest: A, role: 'layer', size: 1_000 },
      { event: 'blob-started', digest: B, role: 'layer', size: 2_000 },
      { event: 'blob-progress', digest: A, bytes: 1_000 },
      { event: 'blob-sent', digest: A, size: 1_000 },
      { event: 'blob-progress', digest: B, bytes: 500 },
    ]);
    expect(sentBytes(progress)).toBe(1_500);
    expect([...progress.blobs.keys()]).toEqual([B]);
  });

  it('tells the rate and the time left, once it can be told', () => {
    const started: PublishEvent[] = [
      plan(10_000_000),
      { event: 'blob-started', digest: A, role: 'layer', size: 10_000_000 },
    ];
    const one = after([...started, { event: 'blob-progress', digest: A, bytes: 1_000_000 }]);
    expect(rateOf(one.progress, one.now)).toBeNull();
    const four = after([
      ...started,
      ...Array.from({ length: 4 }, (): PublishEvent => ({ event: 'blob-progress', digest: A, bytes: 1_000_000 })),
    ]);
    expect(rateOf(four.progress, four.now)).toEqual({ bytesPerSecond: 1_000_000, secondsLeft: 6 });
    expect(progressLines(four.progress, four.now, 100)[0]).toMatch(
      /^total .* 40% {2}4\.0 MB of 10\.0 MB, 1\.0 MB\/s, 6 s left$/,
    );
  });

  it('takes back what a blob had sent when it is sent again', () => {
    const { progress, now } = after([
      plan(1_000),
      { event: 'blob-started', digest: A, role: 'layer', size: 1_000 },
      { event: 'blob-progress', digest: A, bytes: 900 },
      { event: 'blob-retried', digest: A, why: 'it was cut off' },
    ]);
    expect(sentBytes(progress)).toBe(0);
    expect(rateOf(progress, now)).toBeNull();
  });

  it('counts a plan that is made anew once, and plans of several images together', () => {
    const { progress, now } = after([
      plan(1_000),
      plan(1_000),
      plan(500, 'v2'),
      { event: 'blob-started', digest: A, role: 'layer', size: 1_000 },
    ]);
    expect(progressLines(progress, now, 80)[0]).toMatch(/0 B of 1\.5 kB/);
  });

  it.each([20, 40, 60, 80, 200])('never makes a line longer than %d columns', (width) => {
    const { progress, now } = after([
      plan(3_000_000_000),
      { event: 'blob-started', digest: A, role: 'layer', size: 3_000_000_000 },
      { event: 'blob-progress', digest: A, bytes: 1_000_000 },
      { event: 'blob-progress', digest: A, bytes: 1_000_000 },
      {
        event: 'working',
        what: 'waiting for garbage collection, which may take a while where there is much to collect',
      },
    ]);
    const lines = progressLines(progress, now, width);
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
  });

  it('writes times as people say them', () => {
    expect([0.2, 59, 61, 3_661].map(formatSeconds)).toEqual(['1 s', '59 s', '1 min 1 s', '1 h 1 min']);
  });
});
