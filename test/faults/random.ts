/** Chance that a seed decides, so that a run can be repeated. */
import { createHash } from 'node:crypto';
import type { Chooser, Fault, Seen } from './proxy.ts';

/** Gives numbers from 0 to below 1. */
export type Random = () => number;

/** A generator: mulberry32, seeded by any text. */
export function randomFrom(seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readInt32LE(0);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One of them. Throws if there is none. */
export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('nothing to pick from');
  return item;
}

/** What may happen to a request, and how often beside the others. */
export interface Chance {
  readonly weight: number;
  /** Which requests it may happen to; all unless told. */
  readonly when?: (seen: Seen) => boolean;
  readonly fault: (random: Random, seen: Seen) => Fault;
}

/**
 * Spoils the given share of all requests, each in one of the ways that fit it. What happens to a request hangs on the
 * seed, its method and path, and how often it came before: not on the order in which different requests come, which
 * differs from run to run.
 */
export function byChance(seed: string, share: number, chances: readonly Chance[]): Chooser {
  const times = new Map<string, number>();
  return (seen) => {
    const what = `${seen.method} ${seen.path}`;
    const before = times.get(what) ?? 0;
    times.set(what, before + 1);
    const random = randomFrom(`${seed} ${what} ${String(before)}`);
    if (random() >= share) return undefined;
    const fitting = chances.filter(({ when }) => when?.(seen) ?? true);
    let left = random() * fitting.reduce((sum, { weight }) => sum + weight, 0);
    for (const chance of fitting) {
      left -= chance.weight;
      if (left < 0) return chance.fault(random, seen);
    }
    return undefined;
  };
}

/** A fault for the requests of a method whose path fits; the first `times` of them, or all. */
export interface Rule {
  readonly method?: string;
  readonly path: RegExp;
  readonly times?: number;
  /** What else the request must be like. */
  readonly when?: (seen: Seen) => boolean;
  readonly fault: Fault | ((seen: Seen) => Fault | undefined);
}

/** Spoils what the rules say; the first that fits counts. */
export function byRules(rules: readonly Rule[]): Chooser {
  const used = new Map<Rule, number>();
  return (seen) => {
    for (const rule of rules) {
      const { method, path, times = Infinity, when, fault } = rule;
      if ((method !== undefined && method !== seen.method) || !path.test(seen.path) || when?.(seen) === false) continue;
      const count = used.get(rule) ?? 0;
      if (count >= times) continue;
      used.set(rule, count + 1);
      return typeof fault === 'function' ? fault(seen) : fault;
    }
    return undefined;
  };
}

/** What a broken proxy, a captive portal or a load balancer says instead of the registry. */
export const HTML = '<!DOCTYPE html><html><head><title>Error</title></head><body><h1>It works!</h1></body></html>\n';

/** A page of HTML with any status. */
export function html(status: number): Fault {
  return { kind: 'answer', status, headers: { 'content-type': 'text/html; charset=utf-8' }, body: HTML };
}

/** A registry's own error (OCI distribution spec, "Error Codes"). */
export function registryError(status: number, code: string, headers: Readonly<Record<string, string>> = {}): Fault {
  return {
    kind: 'answer',
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ errors: [{ code, message: 'on request' }] }),
  };
}

/** S3's own error. */
export function s3Error(status: number, code: string, headers: Readonly<Record<string, string>> = {}): Fault {
  return {
    kind: 'answer',
    status,
    headers: { 'content-type': 'application/xml', ...headers },
    body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>on request</Message></Error>`,
  };
}

/**
 * Every final status that HTTP registers (IANA, "HTTP Status Code Registry") but 200 and 404, which have faults of
 * their own, and 304, which nobody asked for who gave no condition.
 */
export const STATUSES: readonly number[] = [
  ...[201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 305, 307, 308],
  ...[
    400, 401, 402, 403, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 425, 426,
  ],
  ...[428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511],
];
