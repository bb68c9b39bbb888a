/** The SQL API of Analytics Engine over fetch. Each question is one read query of the plan. */
import { type PullCount, pullQuery, type PullQuestion, readPullCounts } from './pull-query.ts';
import { parseJson } from '../registry/values/json.ts';

/** Where the statistics of pulls are read. */
export interface PullDataset {
  /** The name of the dataset. */
  readonly dataset: string;
  /** The address of the SQL API. */
  readonly url: string;
  /** A token with the permission Account Analytics: Read. */
  readonly token: string;
  /** Sends the request. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** The statistics could not be read. The message says why and what to do. */
export class StatisticsError extends Error {
  override readonly name = 'StatisticsError';
}

/** Cloudflare's API. */
export const CLOUDFLARE_API = 'https://api.cloudflare.com/client/v4';

/** The address of an account's SQL API. */
export function sqlApiUrl(accountId: string, base: string = CLOUDFLARE_API): string {
  return `${base.replace(/\/+$/, '')}/accounts/${encodeURIComponent(accountId)}/analytics_engine/sql`;
}

/** Reads the answer to a question. Throws {@link StatisticsError}. */
export async function readPulls(
  source: PullDataset,
  question: PullQuestion,
  { now, signal }: { readonly now: Date; readonly signal: AbortSignal },
): Promise<readonly PullCount[]> {
  let text: string;
  let status: number;
  try {
    const response = await source.fetch(source.url, {
      method: 'POST',
      headers: { authorization: `Bearer ${source.token}`, 'content-type': 'text/plain' },
      body: pullQuery(question, source.dataset, now),
      signal,
    });
    status = response.status;
    text = await response.text();
  } catch (cause) {
    throw new StatisticsError('The SQL API of Analytics Engine does not answer. Try again later.', { cause });
  }
  if (status === 401 || status === 403) {
    throw new StatisticsError(
      `The SQL API refuses the token (status ${String(status)}). It needs the permission "Account Analytics: Read".`,
    );
  }
  // The table of a dataset is created with its first data point.
  if (status !== 200 && /unable to find type of column|unknown table|does not exist|table .*not found/i.test(text))
    return [];
  const counts = status === 200 ? readPullCounts(parseJson(text), question.by) : null;
  if (counts !== null) return counts;
  throw new StatisticsError(
    `The SQL API answered with status ${String(status)}: ${text.slice(0, 200)}. Check the dataset's name and the account.`,
  );
}
