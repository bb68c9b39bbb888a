/** Which fill gets a slot, and when. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Slot, Slots, type Urgency, WAITING_MAX } from '../../../src/worker/ingest/fill-slots.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const KIND = { most: 4, lease: 60_000, patience: 15_000 };

/** Takes slots, and tells in which order they were given. */
function bench(kind = KIND) {
  const slots = new Slots(kind);
  const order: string[] = [];
  return {
    order,
    take: async (title: string, urgency: Urgency = 'client'): Promise<Slot | null> => {
      const slot = await slots.take(urgency);
      order.push(slot === null ? `${title} refused` : title);
      return slot;
    },
  };
}

describe('slots', () => {
  it('are given back: by an end, and by a lease that runs out', async () => {
    const slots = new Slots({ most: 1, lease: 1_000, patience: 0 });
    const first = await slots.take();
    expect(await slots.take()).toBeNull();
    first?.end();
    expect(await slots.take()).not.toBeNull();
    expect(await slots.take()).toBeNull();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await slots.take()).not.toBeNull();
  });

  it('are given in the order in which fills came, whoever looks first', async () => {
    const { take, order } = bench({ ...KIND, most: 1 });
    const held = await take('held');
    const first = take('first');
    await vi.advanceTimersByTimeAsync(50);
    const second = take('second');
    held?.end();
    // A newcomer does not overtake those that wait.
    const third = take('third');
    await vi.advanceTimersByTimeAsync(100);
    (await first)?.end();
    await vi.advanceTimersByTimeAsync(100);
    (await second)?.end();
    await vi.advanceTimersByTimeAsync(200);
    await third;
    expect(order).toEqual(['held', 'first', 'second', 'third']);
  });

  it('are at most by half for background work, and free ones go to clients that wait', async () => {
    const { take, order } = bench();
    await take('b1', 'background');
    await take('b2', 'background');
    const b3 = take('b3', 'background');
    for (const client of ['c1', 'c2']) await take(client);
    await vi.advanceTimersByTimeAsync(KIND.patience);
    await b3;
    expect(order).toEqual(['b1', 'b2', 'c1', 'c2', 'b3 refused']);
  });

  it('are not refused to a client however many searches wait', async () => {
    const { take, order } = bench({ ...KIND, patience: 500 });
    const searches = Array.from({ length: WAITING_MAX + 3 }, (_, at) => take(`b${String(at)}`, 'background'));
    await vi.advanceTimersByTimeAsync(0);
    // The first two have slots; only the last finds too many before it.
    expect(order).toEqual(['b0', 'b1', `b${String(WAITING_MAX + 2)} refused`]);
    const clients = ['c1', 'c2', 'c3'].map((title) => take(title));
    (await clients[0])?.end();
    await vi.advanceTimersByTimeAsync(200);
    expect(order.slice(3)).toEqual(['c1', 'c2', 'c3']);
    await vi.advanceTimersByTimeAsync(500);
    await Promise.all([...searches, ...clients]);
  });

  it('do not wait for a request that the platform ended while it waited', async () => {
    const slots = new Slots({ ...KIND, most: 1 });
    const held = await slots.take();
    // What the platform ends never looks again: its timer is gone.
    const lost = vi.spyOn(globalThis, 'setTimeout').mockImplementationOnce(() => 0);
    void slots.take();
    lost.mockRestore();
    await vi.advanceTimersByTimeAsync(1_000);
    held?.end();
    expect(await slots.take()).not.toBeNull();
  });
});
