/**
 * Cloudflare's prices in US dollars, Workers Paid plan and R2 standard storage, compared in November 2026 with copies of its pages developers.cloudflare.com/r2/pricing and
 * …/workers/platform/pricing: look there before a bill is built on them. What is included in a plan is not taken off.
 */
export const PRICES = {
  /** When they were compared. */
  date: '2026-11',
  /** A million R2 reads (class B: get, head). */
  classB: 0.36,
  /** A million R2 writes and lists (class A). */
  classA: 4.5,
  /** A million requests to a Worker. Calls from a Worker to its own entrypoints are none. */
  requests: 0.3,
  /** A million milliseconds of processor time. */
  cpu: 0.02,
} as const;
