/**
 * Work that one request does and many wait for. An isolate serves many requests at once, and they can await a promise
 * of one of them if its value is plain data. The platform can end that request without notice, and its promises with
 * it, so waiting has a limit.
 */
export class SingleFlight<V> {
  private readonly underway = new Map<string, Promise<V>>();

  /** The work for the key; undefined if there is none. */
  of(key: string): Promise<V> | undefined {
    return this.underway.get(key);
  }

  /**
   * Does the work, or waits for the request that does it. `keep` must keep this request alive until the work is done,
   * even after the client disconnects.
   */
  once(key: string, keep: (work: Promise<unknown>) => void, work: () => Promise<V>): Promise<V> {
    const other = this.underway.get(key);
    if (other !== undefined) return other;
    const own = work().finally(() => this.end(key, own));
    this.underway.set(key, own);
    keep(own.catch(() => undefined));
    return own;
  }

  /** Forgets work that exceeded the limit, so that the next request repeats it. */
  end(key: string, which: Promise<V>): void {
    if (this.underway.get(key) === which) this.underway.delete(key);
  }
}

/** The value of a promise, or `late` after that many milliseconds. */
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
