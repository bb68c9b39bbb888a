/**
 * Work that many requests wait for and one does. An isolate serves many requests at once, and a promise of one can be awaited by others as long as its value is plain
 * data; but the request that does the work can be ended by the platform without a word, and its promises with it. So nobody waits for another longer than a limit.
 */
export class SingleFlight<V> {
  private readonly underway = new Map<string, Promise<V>>();

  /** What is being done for the key; undefined if nothing is. */
  of(key: string): Promise<V> | undefined {
    return this.underway.get(key);
  }

  /** Does the work, or waits for the request that does it; `keep` must keep this request alive until the work is done, even where the client leaves. */
  once(key: string, keep: (work: Promise<unknown>) => void, work: () => Promise<V>): Promise<V> {
    const other = this.underway.get(key);
    if (other !== undefined) return other;
    const own = work().finally(() => this.end(key, own));
    this.underway.set(key, own);
    keep(own.catch(() => undefined));
    return own;
  }

  /** Forgets work that was waited for too long: the next to come does it anew. */
  end(key: string, which: Promise<V>): void {
    if (this.underway.get(key) === which) this.underway.delete(key);
  }
}

/** The value of a promise, or `late` if it takes longer than that many milliseconds. */
export async function within<T, L>(milliseconds: number, work: Promise<T>, late: L): Promise<T | L> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const lateness = new Promise<L>((resolve) => {
    timer = setTimeout(() => resolve(late), milliseconds);
  });
  try {
    return await Promise.race([work, lateness]);
  } finally {
    clearTimeout(timer);
  }
}
