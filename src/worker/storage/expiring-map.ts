/** A map of limited size whose entries expire: the state of an isolate between requests. */
export class ExpiringMap<V> {
  private readonly entries = new Map<string, { readonly value: V; readonly until: number }>();
  private readonly most: number;

  /** `most`: entries at most; beyond that the oldest are removed. */
  constructor(most: number) {
    this.most = most;
  }

  /** The value, unless it has expired; `now` in milliseconds. */
  get(key: string, now: number): V | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until > now) return entry.value;
    this.entries.delete(key);
    return undefined;
  }

  /** Stores `value` until a time in milliseconds. */
  set(key: string, value: V, until: number): void {
    // Deleted first, so that the map is in the order of setting.
    this.entries.delete(key);
    this.entries.set(key, { value, until });
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.most) break;
      this.entries.delete(oldest);
    }
  }

  /** Removes an entry. */
  delete(key: string): void {
    this.entries.delete(key);
  }
}
