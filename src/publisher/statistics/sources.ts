/** Where `gantry stats` reads: the local registry's file, or the account's dataset at Cloudflare. */
import { type PullCount, type PullQuestion, pullQuery, readPullCounts } from '../../statistics/pull-query.ts';
import { CLOUDFLARE_API, readPulls, sqlApiUrl, StatisticsError } from '../../statistics/sql-api.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { readDeployConfig } from '../deploy/deploy-config.ts';
import { stateFolderAt } from '../local/folder.ts';
import { OWN_CONFIG } from '../local/wrangler-config.ts';
import { LOCAL_DATASET, queryLocalEvents } from './local-events.ts';

/** Time for the SQL API to answer, in milliseconds. */
const TIMEOUT_MS = 30_000;

/** Answers questions about pulls. */
export type ReadCounts = (question: PullQuestion, now: Date) => Promise<readonly PullCount[]>;

/** The local registry's pulls. */
export function localCounts(state: string): ReadCounts {
  return (question, now) => {
    const counts = readPullCounts(
      queryLocalEvents(stateFolderAt(state).pulls, pullQuery(question, LOCAL_DATASET, now)),
      question.by,
    );
    if (counts === null) throw new Error('SQLite returned columns that were not asked for');
    return Promise.resolve(counts);
  };
}

/**
 * The pulls of the Worker that a wrangler.toml describes. `CLOUDFLARE_API_TOKEN` needs the permission Account Analytics:
 * Read. Throws {@link CommandError}.
 */
export async function cloudflareCounts(
  config: string = OWN_CONFIG,
  variables: Readonly<NodeJS.ProcessEnv>,
): Promise<ReadCounts> {
  const { pullDataset: dataset, accountId } = await readDeployConfig(config);
  if (dataset === null)
    throw new CommandError(`${config} does not switch pull statistics on`, {
      hint: 'Add [[analytics_engine_datasets]] with binding = "PULLS", and deploy: docs/how-to/statistics.md.',
    });
  const account = accountId ?? variables.CLOUDFLARE_ACCOUNT_ID;
  const { CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_API_BASE_URL: base } = variables;
  if (account === undefined || account === '')
    throw usageError('no account is named', 'Set CLOUDFLARE_ACCOUNT_ID, or write account_id into wrangler.toml.');
  if (token === undefined || token === '')
    throw usageError(
      'CLOUDFLARE_API_TOKEN is not set',
      'Make an API token with the permission "Account Analytics: Read", and set the variable to it.',
    );
  const url = sqlApiUrl(account, base === undefined || base === '' ? CLOUDFLARE_API : base);
  return async (question, now) => {
    try {
      return await readPulls({ dataset, url, token, fetch }, question, {
        now,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (cause) {
      if (!(cause instanceof StatisticsError)) throw cause;
      throw new CommandError(cause.message, { cause });
    }
  };
}
