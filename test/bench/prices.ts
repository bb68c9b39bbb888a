/**
 * Cloudflare's prices and the bill of a pull. The benchmark and docs/how-to/deploy.md take them from here. What a plan
 * includes is not taken off.
 */

/** When the pages were read. Look there before you build on a figure. */
export const PRICES_READ = 'November 2026';

const WORKERS = ['Workers pricing', 'https://developers.cloudflare.com/workers/platform/pricing/'] as const;
const LOGS = [
  'Workers Logs',
  'https://developers.cloudflare.com/workers/observability/logs/workers-logs/#pricing',
] as const;
const ANALYTICS = [
  'Workers Analytics Engine pricing',
  'https://developers.cloudflare.com/analytics/analytics-engine/pricing/',
] as const;
const R2 = ['R2 pricing', 'https://developers.cloudflare.com/r2/pricing/'] as const;

/** A price in US dollars, and the page that says it: its title and address. */
export interface Price {
  readonly of: string;
  readonly usd: number;
  /** More that belongs to the price. */
  readonly note?: string;
  readonly page: readonly [title: string, address: string];
}

/** The prices of the Workers Paid plan and of R2 standard storage. */
export const PRICES = {
  requests: { of: 'a million requests to a Worker', usd: 0.3, page: WORKERS },
  cachedCalls: {
    of: 'a million calls of the registry entrypoint behind Workers Cache, hit or miss',
    usd: 0.3,
    page: WORKERS,
  },
  cpuMs: { of: 'a million milliseconds of processor time', usd: 0.02, page: WORKERS },
  reads: { of: 'a million reads of R2 (class B)', usd: 0.36, page: R2 },
  writes: { of: 'a million writes and listings of R2 (class A)', usd: 4.5, page: R2 },
  storage: { of: 'a GB stored in R2 for a month', usd: 0.015, page: R2 },
  logs: {
    of: 'a GB of logs taken in, from 2026-12-01; 50 GB a month are included',
    usd: 0.25,
    note: 'and 0.10 for each month it is kept',
    page: LOGS,
  },
  dataPoints: {
    of: 'a million data points of pull statistics; 10 million a month are included (Free plan: 100,000 a day)',
    usd: 0.25,
    note: 'not billed yet',
    page: ANALYTICS,
  },
  statisticsQueries: {
    of: 'a million queries of pull statistics; 1 million a month are included (Free plan: 10,000 a day)',
    usd: 1,
    note: 'not billed yet',
    page: ANALYTICS,
  },
  egress: { of: 'bytes sent to clients', usd: 0, page: R2 },
} as const satisfies Readonly<Record<string, Price>>;

/** What a pull uses. */
export interface Usage {
  /** Requests of the client. */
  readonly requests: number;
  /** Calls of the registry entrypoint behind the cache. */
  readonly cachedCalls: number;
  readonly cpuMs: number;
  /** Reads of R2. */
  readonly reads: number;
}

/** US dollars for a million such pulls. */
export function billOf(usage: Usage): number {
  return (['requests', 'cachedCalls', 'cpuMs', 'reads'] as const).reduce(
    (sum, item) => sum + usage[item] * PRICES[item].usd,
    0,
  );
}

/** US dollars for the statistics of a million pulls: a data point for each. */
export function statisticsBill(): number {
  return PRICES.dataPoints.usd;
}

/** The worked example: a pull by Docker of an image with five layers. A call takes about one millisecond. */
const EXAMPLE = { other: 1, manifests: 2, blobs: 6 };

/** What the worked example uses with a setting of the cache, when everything is in it and when nothing is. */
export function exampleUsage(cached: 'none' | 'manifests' | 'all', hits: boolean): Usage {
  const { other, manifests, blobs } = EXAMPLE;
  const requests = other + manifests + blobs;
  const cachedCalls = { none: 0, manifests, all: manifests + blobs }[cached];
  return {
    requests,
    cachedCalls,
    // A hit calls no Worker behind the cache.
    cpuMs: requests + (hits ? 0 : cachedCalls),
    reads: manifests + blobs - (hits ? cachedCalls : 0),
  };
}

/** The share of hits above which a cached call costs less than the read that it saves. */
export function breakEvenHits(): number {
  const { cachedCalls, cpuMs, reads } = PRICES;
  // The call is billed always; a hit saves the read and the processor time behind the cache.
  return (cachedCalls.usd + cpuMs.usd) / (reads.usd + cpuMs.usd);
}
