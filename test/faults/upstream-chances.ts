/**
 * What happens between Gantry and a registry that it reads from: each kind of failure that is not the registry's own
 * word that something is absent.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Chance, html, pick, registryError, STATUSES } from './random.ts';

export const UPSTREAM_CHANCES: readonly Chance[] = [
  ...[500, 502, 503, 504].map((status): Chance => ({ weight: 2, fault: () => registryError(status, 'UNAVAILABLE') })),
  { weight: 2, fault: () => registryError(401, 'UNAUTHORIZED') },
  { weight: 2, fault: () => registryError(403, 'DENIED') },
  { weight: 1, fault: () => registryError(429, 'TOOMANYREQUESTS', { 'retry-after': '1' }) },
  { weight: 3, fault: () => html(200) },
  { weight: 3, fault: () => html(404) },
  { weight: 2, fault: (random) => html(pick(random, STATUSES)) },
  { weight: 2, fault: () => ({ kind: 'corrupt' }) },
  { weight: 2, fault: (random) => ({ kind: 'cut', after: Math.floor(random() * 200) }) },
  { weight: 2, fault: () => ({ kind: 'drop', when: 'before' }) },
  { weight: 1, fault: () => ({ kind: 'drop', when: 'after' }) },
  { weight: 2, fault: (random) => ({ kind: 'slow', milliseconds: Math.floor(random() * 300) }) },
  { weight: 1, fault: (random) => ({ kind: 'hold', until: sleep(Math.floor(random() * 2_000)) }) },
  { weight: 1, fault: () => ({ kind: 'duplicate', times: 1 }) },
  { weight: 0.3, fault: () => ({ kind: 'hang' }) },
];
