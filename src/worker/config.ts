/**
 * The only reader of bindings, variables and secrets, which it parses. An invalid value is an error and has no default,
 * because a default could expose what is meant to be protected.
 */
import type { RealmTable } from '../registry/realms.ts';
import { ConfigError, oneOf } from './config-reading.ts';
import type { RateLimiter } from './access/login-limit.ts';
import { type AccessPolicy, parseAccess } from './access/policy.ts';
import { type BlobDelivery, parseBlobDelivery } from './storage/blob-delivery.ts';
import { type OriginRules, parseOrigins } from './ingest/origins.ts';
import { R2_RETRY, type StorageRetryPolicy } from '../bucket/retry.ts';
import type { DataPoint } from '../statistics/pull-event.ts';
import { DatasetNameError, parseDatasetName } from '../statistics/pull-query.ts';
import { type PullDataset, sqlApiUrl } from '../statistics/sql-api.ts';

/** An Analytics Engine dataset. Cloudflare's returns nothing; the local one is another Worker, and returns a promise. */
export interface PullSink {
  writeDataPoint(point: DataPoint): unknown;
}

/** Bindings, variables and secrets as the platform provides them. */
export interface Env {
  readonly BUCKET: R2Bucket;
  /** Optional: receives a data point for each pull. */
  readonly PULLS?: PullSink;
  /** Optional: answers in place of Cloudflare's SQL API, as in local development. */
  readonly PULLS_SQL?: Pick<Fetcher, 'fetch'>;
  /** Name of the dataset behind `PULLS`, and the account that has it: pages show statistics where both are set. */
  readonly PULLS_DATASET?: unknown;
  readonly PULLS_ACCOUNT?: unknown;
  /** Secret: a token that may read the account's analytics. */
  readonly ANALYTICS_TOKEN?: unknown;
  /** Optional: which version of the Worker this is. Needed where Workers Cache is shared by all versions. */
  readonly VERSION?: Pick<WorkerVersionMetadata, 'id'>;
  /** Optional: counts failed logins. */
  readonly LOGIN_LIMITER?: RateLimiter;
  /** Optional: counts what clients make the Worker fetch from upstreams. */
  readonly FILL_LIMITER?: RateLimiter;
  readonly REALMS?: unknown;
  readonly DEFAULT_ACCESS?: unknown;
  readonly ACCESS?: unknown;
  readonly TOKENS?: unknown;
  readonly TOKEN_SIGNING_KEY?: unknown;
  readonly PUBLIC_URL?: unknown;
  readonly PURGE_TOKEN?: unknown;
  readonly BLOB_DELIVERY?: unknown;
  readonly R2_ACCESS_KEY_ID?: unknown;
  readonly R2_SECRET_ACCESS_KEY?: unknown;
  readonly BLOB_AUTH_SECRET?: unknown;
  readonly LOG?: unknown;
  readonly BLOB_CACHE?: unknown;
  readonly ORIGINS?: unknown;
  readonly ORIGIN_CREDENTIALS?: unknown;
  readonly SIGNING_KEY?: unknown;
}

/** The parsed configuration. */
export interface Config {
  readonly bucket: R2Bucket;
  readonly retry: StorageRetryPolicy;
  readonly access: AccessPolicy;
  readonly realms: RealmTable;
  readonly limiter: RateLimiter | null;
  readonly fillLimiter: RateLimiter | null;
  readonly pulls: PullSink | null;
  /** Where pages read the statistics of pulls; null: they show none. */
  readonly pullDataset: PullDataset | null;
  /** Scheme and host of links to help pages; null: those of the client's request. */
  readonly publicUrl: string | null;
  /** The secret that `/-/purge` requires; null: purging is disabled. */
  readonly purgeToken: string | null;
  readonly delivery: BlobDelivery;
  /** Whether all requests are logged, or only failures (5xx). */
  readonly log: 'all' | 'failures';
  /** Whether whole blobs go through the cache in front of the registry. */
  readonly blobCache: boolean;
  /** Id of this version of the Worker, as the platform gives it; null without the binding. */
  readonly version: string | null;
  /** Which repositories are filled from an upstream registry. */
  readonly origins: OriginRules;
  /** PEM or JWK of the key that signs derived schema 1 manifests; null: none are derived. Parsed when first needed. */
  readonly signingKey: string | null;
}

/** Minimum length of `PURGE_TOKEN`, in characters: the endpoint is public, so the secret must resist guessing. */
const PURGE_TOKEN_MIN_LENGTH = 16;

/** Reads the configuration. Throws {@link ConfigError}, or the error of a part; each message says what to do. */
export function readConfig(env: Env): Config {
  const access = parseAccess({
    realms: env.REALMS,
    defaultAccess: env.DEFAULT_ACCESS,
    access: env.ACCESS,
    tokens: tokensOf(env),
    signingKeys: textOf(env.TOKEN_SIGNING_KEY, 'TOKEN_SIGNING_KEY'),
  });
  const publicUrl = publicUrlOf(env.PUBLIC_URL);
  if (access.signingKeys !== null && publicUrl === null && access.service === null) {
    throw new ConfigError(
      'TOKEN_SIGNING_KEY needs PUBLIC_URL, or else the client’s Host header would choose the audience of tokens. ' +
        'Set PUBLIC_URL to scheme and host as clients know them, or ACCESS.service to the name of the registry.',
    );
  }
  const purgeToken = textOf(env.PURGE_TOKEN, 'PURGE_TOKEN') ?? null;
  if (purgeToken !== null && purgeToken.length < PURGE_TOKEN_MIN_LENGTH) {
    throw new ConfigError(`The secret PURGE_TOKEN must have at least ${String(PURGE_TOKEN_MIN_LENGTH)} characters.`);
  }
  return Object.freeze({
    bucket: env.BUCKET,
    retry: R2_RETRY,
    access,
    realms: access.realms,
    limiter: env.LOGIN_LIMITER ?? null,
    fillLimiter: env.FILL_LIMITER ?? null,
    pulls: env.PULLS ?? null,
    pullDataset: pullDatasetOf(env),
    publicUrl,
    purgeToken,
    delivery: parseBlobDelivery(env.BLOB_DELIVERY, {
      accessKeyId: textOf(env.R2_ACCESS_KEY_ID, 'R2_ACCESS_KEY_ID'),
      secretAccessKey: textOf(env.R2_SECRET_ACCESS_KEY, 'R2_SECRET_ACCESS_KEY'),
      authSecret: textOf(env.BLOB_AUTH_SECRET, 'BLOB_AUTH_SECRET'),
    }),
    log: oneOf(textOf(env.LOG, 'LOG'), 'LOG', ['all', 'failures']),
    blobCache: oneOf(textOf(env.BLOB_CACHE, 'BLOB_CACHE'), 'BLOB_CACHE', ['off', 'on']) === 'on',
    version: env.VERSION?.id ?? null,
    origins: parseOrigins(env.ORIGINS, env.ORIGIN_CREDENTIALS, env as unknown as Record<string, unknown>),
    signingKey: textOf(env.SIGNING_KEY, 'SIGNING_KEY') ?? null,
  });
}

/** Statistics are shown where everything that reading them needs is set. */
function pullDatasetOf({ PULLS_SQL, PULLS_DATASET, PULLS_ACCOUNT, ANALYTICS_TOKEN }: Env): PullDataset | null {
  const name = textOf(PULLS_DATASET, 'PULLS_DATASET');
  const account = textOf(PULLS_ACCOUNT, 'PULLS_ACCOUNT');
  const token = textOf(ANALYTICS_TOKEN, 'ANALYTICS_TOKEN');
  if (name === undefined || account === undefined || token === undefined) return null;
  try {
    return {
      dataset: parseDatasetName(name),
      url: sqlApiUrl(account),
      token,
      fetch: (url, init) => (PULLS_SQL === undefined ? fetch(url, init) : PULLS_SQL.fetch(url, init)),
    };
  } catch (cause) {
    if (!(cause instanceof DatasetNameError)) throw cause;
    throw new ConfigError(`PULLS_DATASET: ${cause.message}`, { cause });
  }
}

function tokenNames(env: Env): readonly string[] {
  return Object.keys(env).filter((name) => name === 'TOKENS' || name.startsWith('TOKENS_'));
}

function tokensOf(env: Env): Record<string, string> {
  const names = tokenNames(env);
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = textOf((env as unknown as Record<string, unknown>)[name], name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function textOf(value: unknown, name: string): string | undefined {
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') throw new ConfigError(`${name} must be text.`);
  return value;
}

function publicUrlOf(value: unknown): string | null {
  const text = textOf(value, 'PUBLIC_URL');
  if (text === undefined) return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '') {
    throw new ConfigError(
      'PUBLIC_URL must be scheme and host as clients know them, such as "https://registry.example.com".',
    );
  }
  return url.origin;
}
