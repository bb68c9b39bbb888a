/** A map whose entries end by themselves, and that never grows beyond a bound: what one isolate remembers between requests. */
export class ExpiringMap<V> {
  private readonly entries = new Map<string, { readonly value: V; readonly until: number }>();
  private readonly most: number;

  /** `most`: entries kept; beyond that the oldest go. */
  constructor(most: number) {
    this.most = most;
  }

  /** What was set and has not ended; `now` in milliseconds. */
  get(key: string, now: number): V | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until > now) return entry.value;
    this.entries.delete(key);
    return undefined;
  }

  /** Keeps `value` until then, in milliseconds. */
  set(key: string, value: V, until: number): void {
    // Set anew, so that the order of the map is that of setting.
    this.entries.delete(key);
    this.entries.set(key, { value, until });
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.most) break;
      this.entries.delete(oldest);
    }
  }

  /** Forgets an entry. */
  delete(key: string): void {
    this.entries.delete(key);
  }
}
