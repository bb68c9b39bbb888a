/** `s3://bucket[/prefix]`: a remote bucket, configured by the variables that all S3 tools read. */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { CommandError } from '../cli/errors.ts';
import { StorageError } from '../../registry/store.ts';
import {
  createFormat,
  type IfMatchStyle,
  readFormat,
  refuseNewerFormat,
  withPreparedWrites,
} from '../../bucket/format.ts';
import { steadyConnection } from './connection.ts';
import { refuseForeignAnswers } from './foreign-answers.ts';
import { probeStorage, withProbedDeadlines } from './probe.ts';
import { S3Store, type S3StoreOptions } from './s3-store.ts';
import type { Target } from './target.ts';
import { listedUploads } from './unfinished-uploads.ts';

/** The bucket and credentials, from `s3://…` and the environment. */
export interface S3Address {
  readonly bucket: string;
  /** Empty, or ending in `/`. */
  readonly prefix: string;
  /** Undefined: Amazon S3. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

// Bucket names of S3 and R2. Other characters would change the meaning of the path.
const ADDRESS = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/;

/**
 * Reads `--to s3://…` and AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN. Throws {@link CommandError}.
 */
export function readS3Address(to: string, env: Readonly<NodeJS.ProcessEnv>): S3Address {
  const match = ADDRESS.exec(to);
  if (match === null)
    throw new CommandError(`${JSON.stringify(to)} is not a valid bucket`, {
      kind: 'usage',
      hint: 'Write --to s3://BUCKET, or --to local.',
    });
  const endpoint = set(env.AWS_ENDPOINT_URL_S3) ?? set(env.AWS_ENDPOINT_URL);
  if (
    (endpoint !== undefined && !/^https?:\/\//.test(endpoint)) ||
    (endpoint !== undefined && !URL.canParse(endpoint))
  ) {
    throw new CommandError(`AWS_ENDPOINT_URL is not a valid URL: ${JSON.stringify(endpoint)}`, {
      kind: 'usage',
      hint: 'For R2 it is https://ACCOUNT.r2.cloudflarestorage.com.',
    });
  }
  const accessKeyId = set(env.AWS_ACCESS_KEY_ID);
  const secretAccessKey = set(env.AWS_SECRET_ACCESS_KEY);
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new CommandError(`${accessKeyId === undefined ? 'AWS_ACCESS_KEY_ID' : 'AWS_SECRET_ACCESS_KEY'} is not set`, {
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to an R2 API token with "Object Read & Write" on the bucket.',
    });
  }
  const path = (match[2] ?? '').replace(/^\/+|\/+$/g, '');
  return {
    bucket: match[1] ?? '',
    prefix: path === '' ? '' : `${path}/`,
    endpoint,
    region: set(env.AWS_REGION) ?? set(env.AWS_DEFAULT_REGION) ?? (endpoint === undefined ? 'us-east-1' : 'auto'),
    accessKeyId,
    secretAccessKey,
    sessionToken: set(env.AWS_SESSION_TOKEN),
  };
}

function set(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}

const nothing = (): void => undefined;
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

/**
 * Creates a client that sends each request once, since the store retries. It hashes no bodies by itself, and times out
 * if the server is silent.
 */
export function createClient(
  address: Pick<S3Address, 'region' | 'accessKeyId' | 'secretAccessKey'> & Partial<S3Address>,
  silentMs = 60_000,
): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey, sessionToken } = address;
  const config: S3ClientConfig = {
    region,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    maxAttempts: 1,
    // Other servers do not support the checksums that newer clients send by default. The signature covers the body's
    // sha256 anyway.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // The client would log to the console that it does not retry.
    logger: SILENT,
    requestHandler: { connectionTimeout: Math.min(10_000, silentMs), socketTimeout: silentMs },
    // R2 does not answer `Expect: 100-continue` (its S3 documentation), and the wait for it costs seconds.
    expectContinueHeader: false,
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
  };
  const client = new S3Client(config);
  refuseForeignAnswers(client);
  return client;
}

/** Opens the bucket and checks that it exists. Throws {@link CommandError}. */
export async function openS3(
  to: string,
  env: Readonly<NodeJS.ProcessEnv>,
  options: Partial<S3StoreOptions> = {},
): Promise<Target> {
  const address = readS3Address(to, env);
  const title = `s3://${address.bucket}${address.prefix === '' ? '' : `/${address.prefix.slice(0, -1)}`}`;
  const connection = steadyConnection(createClient(address));
  const open = (ifMatch: IfMatchStyle): S3Store =>
    new S3Store({
      connection,
      bucket: address.bucket,
      prefix: address.prefix,
      title,
      uploads: listedUploads(address.bucket),
      ifMatch,
      ...options,
    });
  const store = open('quoted');
  try {
    await store.check();
  } catch (error) {
    await connection.close();
    if (!(error instanceof StorageError)) throw error;
    const hint =
      error.code === 'STORAGE_DENIED'
        ? 'Check the bucket name, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL.'
        : `Check AWS_ENDPOINT_URL (${address.endpoint ?? 'not set: Amazon S3'}) and the network.`;
    throw new CommandError(error.message, { hint, cause: error });
  }
  const prepared = withPreparedWrites(store, () => openForWriting(open, title, address.endpoint ?? 'Amazon S3'));
  return { store: withProbedDeadlines(prepared, title), title, close: () => connection.close() };
}

/** The store that writes: checks the bucket's format, and probes storage that it does not name. Throws StorageError. */
async function openForWriting(
  open: (style: IfMatchStyle) => S3Store,
  title: string,
  endpoint: string,
): Promise<S3Store> {
  const format = await readFormat(open('quoted'));
  if (format !== null) refuseNewerFormat(format, title);
  if (format?.storage?.endpoint === endpoint) return open(format.storage.ifMatch);
  const ifMatch = await probeStorage(open, title);
  const store = open(ifMatch);
  if (format === null) refuseNewerFormat(await createFormat(store, { endpoint, ifMatch }), title);
  return store;
}
