/**
 * Slots for fills of one kind. They have a lease: the platform can end a request without notice, and its slot must not
 * be lost with it.
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
  readonly end: () => void;
}

/** Fills that wait for a slot of one kind, at most; for those of clients and for background work apart. */
export const WAITING_MAX = 64;

/** Milliseconds between two looks for a free slot. */
const LOOK_EVERY = 100;

/** Milliseconds without a look after which a waiting request counts as ended by the platform. */
const LOST_AFTER = 1_000;

/**
 * Who a fill is for. `background`: no client waits for it. It takes at most half of the slots, and only those that no
 * client's fill waits for.
 */
export type Urgency = 'client' | 'background';

/** A fill that waits, and when it last looked for a slot. */
interface Waiting {
  looked: number;
}

/** The slots of one kind. Waiting fills get them in the order in which they came, those of clients first. */
export class Slots {
  private readonly kind: SlotKind;
  private readonly taken = new Set<{ until: number }>();
  private readonly waiting: Readonly<Record<Urgency, Set<Waiting>>> = { client: new Set(), background: new Set() };

  constructor(kind: SlotKind) {
    this.kind = kind;
  }

  /** A slot; null if none becomes free in time, or too many wait already. */
  async take(urgency: Urgency = 'client'): Promise<Slot | null> {
    const queue = this.waiting[urgency];
    this.dropLost();
    const at = this.tryTake(urgency, queue.size);
    if (at !== null || queue.size >= WAITING_MAX) return at;
    const own: Waiting = { looked: Date.now() };
    queue.add(own);
    try {
      // A promise that the other request resolves would not settle if the platform ends that request.
      for (let waited = 0; waited < this.kind.patience; waited += LOOK_EVERY) {
        await new Promise<void>((resolve) => setTimeout(resolve, LOOK_EVERY));
        own.looked = Date.now();
        this.dropLost();
        const slot = this.tryTake(urgency, [...queue].indexOf(own));
        if (slot !== null) return slot;
      }
      return null;
    } finally {
      queue.delete(own);
    }
  }

  /** Forgets waiting requests that the platform ended: they would hold up all behind them. */
  private dropLost(): void {
    const now = Date.now();
    for (const queue of Object.values(this.waiting))
      for (const one of queue) if (one.looked + LOST_AFTER <= now) queue.delete(one);
  }

  /** A slot if one is free for a fill behind `ahead` others of its urgency. */
  private tryTake(urgency: Urgency, ahead: number): Slot | null {
    const now = Date.now();
    for (const one of this.taken) if (one.until <= now) this.taken.delete(one);
    const isBackground = urgency === 'background';
    const most = isBackground ? Math.floor(this.kind.most / 2) : this.kind.most;
    const before = Math.max(0, ahead) + (isBackground ? this.waiting.client.size : 0);
    if (this.taken.size + before >= most) return null;
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
