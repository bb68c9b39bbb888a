/**
 * The progress of a publish: the sum of its events, and lines of text for it. Pure; progress-bars.ts draws the lines.
 */
import type { Digest } from '../../registry/digest.ts';
import type { PublishEvent } from '../publish/events.ts';
import { formatBytes } from '../../registry/values/byte-size.ts';

/** The rate is measured over the last seconds, since an older rate does not predict the time that remains. */
const RATE_WINDOW_MS = 5_000;

/** At most this many blobs are shown; more would fill the screen. */
const BLOBS_SHOWN = 8;

interface BlobProgress {
  readonly role: string;
  readonly size: number | undefined;
  readonly done: number;
}

/** The progress of a run so far. */
export interface Progress {
  /** Bytes to send, by image; a new plan replaces the previous one. */
  readonly planned: ReadonlyMap<string, number>;
  /** Blobs being sent, in the order in which they started. */
  readonly blobs: ReadonlyMap<Digest, BlobProgress>;
  /** Bytes of blobs that have been sent completely. */
  readonly arrived: number;
  /** Bytes sent at several times within the last seconds; times in milliseconds of one clock. */
  readonly samples: readonly { readonly at: number; readonly bytes: number }[];
  /** Other work in progress. */
  readonly working: string | undefined;
}

/** The progress before the first event. */
export const NO_PROGRESS: Progress = {
  planned: new Map(),
  blobs: new Map(),
  arrived: 0,
  samples: [],
  working: undefined,
};

/** Adds an event. `now` is in milliseconds of a monotonic clock. */
export function advance(progress: Progress, event: PublishEvent, now: number): Progress {
  switch (event.event) {
    case 'plan':
      return {
        ...progress,
        planned: new Map(progress.planned).set(`${event.name}:${event.tag}`, event.bytesToSend),
        working: undefined,
      };
    case 'blob-started': {
      // A blob that is sent again starts from zero.
      const { digest, role, size } = event;
      return { ...progress, blobs: new Map(progress.blobs).set(digest, { role, size, done: 0 }), working: undefined };
    }
    case 'blob-progress': {
      const blob = progress.blobs.get(event.digest);
      if (blob === undefined) return progress;
      const next = {
        ...progress,
        blobs: new Map(progress.blobs).set(event.digest, { ...blob, done: blob.done + event.bytes }),
      };
      return { ...next, samples: sampled(next, now) };
    }
    case 'blob-sent': {
      const blobs = new Map(progress.blobs);
      blobs.delete(event.digest);
      const next = { ...progress, blobs, arrived: progress.arrived + event.size };
      return { ...next, samples: sampled(next, now) };
    }
    case 'blob-retried': {
      const blob = progress.blobs.get(event.digest);
      // The bytes sent so far no longer count; old samples would give a negative rate.
      return blob === undefined
        ? progress
        : { ...progress, blobs: new Map(progress.blobs).set(event.digest, { ...blob, done: 0 }), samples: [] };
    }
    case 'working':
      return { ...progress, working: event.what };
    case 'warning':
      return progress;
  }
}

function sampled(progress: Progress, now: number): Progress['samples'] {
  const kept = progress.samples.filter(({ at }) => at >= now - RATE_WINDOW_MS);
  const last = kept.at(-1);
  const sample = { at: now, bytes: sentBytes(progress) };
  // There are thousands of events a second; ten samples are enough.
  return last !== undefined && kept.length > 1 && now - last.at < 100
    ? [...kept.slice(0, -1), { ...sample, at: last.at }]
    : [...kept, sample];
}

/** Bytes sent so far. */
export function sentBytes({ arrived, blobs }: Progress): number {
  return [...blobs.values()].reduce((sum, { done }) => sum + done, arrived);
}

/**
 * The recent rate in bytes a second, and the time that the rest takes at that rate; null while there are too few
 * samples.
 */
export function rateOf(
  progress: Progress,
  now: number,
): { readonly bytesPerSecond: number; readonly secondsLeft: number } | null {
  const [first] = progress.samples;
  if (first === undefined || now - first.at < 500) return null;
  const sent = sentBytes(progress);
  const bytesPerSecond = ((sent - first.bytes) * 1000) / (now - first.at);
  if (bytesPerSecond <= 0) return null;
  return { bytesPerSecond, secondsLeft: Math.max(0, totalBytes(progress) - sent) / bytesPerSecond };
}

/** All bytes to send, at least those already sent. A blob that two images share is planned twice and sent once. */
function totalBytes(progress: Progress): number {
  const planned = [...progress.planned.values()].reduce((sum, bytes) => sum + bytes, 0);
  return Math.max(planned, sentBytes(progress));
}

/** The lines: the total, then each blob being sent; none longer than `width`. Empty if there is nothing to show. */
export function progressLines(progress: Progress, now: number, width: number): string[] {
  const { blobs, working } = progress;
  const total = totalBytes(progress);
  const lines: string[] = [];
  if (total > 0) {
    const sent = sentBytes(progress);
    const rate = rateOf(progress, now);
    const facts = [
      `${formatBytes(sent)} of ${formatBytes(total)}`,
      ...(rate === null ? [] : [`${formatBytes(rate.bytesPerSecond)}/s`, `${formatSeconds(rate.secondsLeft)} left`]),
    ].join(', ');
    lines.push(line('total', sent / total, facts, width));
  }
  const shown = [...blobs]
    .filter(([, { done, size }]) => size !== undefined && size > 0 && done <= size)
    .slice(0, BLOBS_SHOWN);
  for (const [digest, { role, size = 0, done }] of shown) {
    lines.push(
      line(
        `${role} ${shortDigest(digest)}`,
        size === 0 ? 1 : done / size,
        `${formatBytes(done)} of ${formatBytes(size)}`,
        width,
      ),
    );
  }
  if (blobs.size > shown.length) lines.push(`and ${String(blobs.size - shown.length)} more`.slice(0, width));
  if (working !== undefined) lines.push(`${working} …`.slice(0, width));
  return lines;
}

const LABEL = 19;

function line(label: string, share: number, facts: string, width: number): string {
  const room = Math.min(40, width - LABEL - facts.length - 9);
  const percent = `${String(Math.floor(Math.min(1, share) * 100)).padStart(3)}%`;
  const bar = room < 8 ? '' : `${barOf(share, room)} `;
  return `${label.padEnd(LABEL)} ${bar}${percent}  ${facts}`.slice(0, width);
}

function barOf(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return `${'█'.repeat(full)}${'░'.repeat(width - full)}`;
}

function shortDigest(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}

/** `8 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${String(whole)} s`;
  if (whole < 3600) return `${String(Math.floor(whole / 60))} min ${String(whole % 60)} s`;
  return `${String(Math.floor(whole / 3600))} h ${String(Math.floor((whole % 3600) / 60))} min`;
}
