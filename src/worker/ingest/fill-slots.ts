/**
 * How many fills run at once in an isolate, whoever requests them. Each has a lease: the platform can end a request
 * without notice, and its slot must not be lost with it.
 */

/** A kind of fill: its slots, and how long a slot stays taken without a sign of life, in milliseconds. */
export interface SlotKind {
  readonly most: number;
  readonly lease: number;
  /** Milliseconds to wait for a slot. */
  readonly patience: number;
}

/** A taken slot. */
export interface Slot {
  /** A sign of life. */
  readonly renew: () => void;
  end(): void;
}

/** Fills that wait for a slot of one kind, at most. */
export const WAITING_MAX = 64;

/** Milliseconds between two looks for a free slot. */
const LOOK_EVERY = 100;

/** The slots of one kind. */
export class Slots {
  private readonly kind: SlotKind;
  private readonly taken = new Set<{ until: number }>();
  private waiting = 0;

  constructor(kind: SlotKind) {
    this.kind = kind;
  }

  /** A slot; null if none becomes free in time, or too many wait already. */
  async take(): Promise<Slot | null> {
    const at = this.tryTake();
    if (at !== null || this.waiting >= WAITING_MAX) return at;
    this.waiting += 1;
    try {
      // A promise that the other request resolves would not settle if the platform ends that request.
      for (let waited = 0; waited < this.kind.patience; waited += LOOK_EVERY) {
        await new Promise<void>((resolve) => setTimeout(resolve, LOOK_EVERY));
        const slot = this.tryTake();
        if (slot !== null) return slot;
      }
      return null;
    } finally {
      this.waiting -= 1;
    }
  }

  private tryTake(): Slot | null {
    const now = Date.now();
    for (const one of this.taken) if (one.until <= now) this.taken.delete(one);
    if (this.taken.size >= this.kind.most) return null;
    const slot = { until: now + this.kind.lease };
    this.taken.add(slot);
    return {
      renew: () => {
        slot.until = Date.now() + this.kind.lease;
      },
      end: () => {
        this.taken.delete(slot);
      },
    };
  }
}
