/** `s3://bucket[/prefix]`: a remote bucket, configured as all S3 tools are. */
import { CommandError, usageError } from '../cli/errors.ts';
import { StorageError } from '../../registry/store.ts';
import {
  createFormat,
  type IfMatchStyle,
  readFormat,
  refuseNewerFormat,
  withPreparedWrites,
} from '../../bucket/format.ts';
import { steadyConnection } from './connection.ts';
import { probeStorage, withProbedDeadlines } from './probe.ts';
import { S3Client } from './s3/client.ts';
import { readS3Server, type S3Overrides } from './s3/server.ts';
import { S3Store, type S3StoreOptions } from './s3-store.ts';
import type { Target } from './target.ts';
import { listedUploads } from './unfinished-uploads.ts';

/** What `s3://…` names. */
export interface S3Address {
  readonly bucket: string;
  /** Empty, or ending in `/`. */
  readonly prefix: string;
}

// Bucket names of S3 and R2. Other characters would change the meaning of the path.
const ADDRESS = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/;

/** Parses `s3://bucket[/prefix]`. Throws {@link CommandError}. */
export function parseS3Address(to: string): S3Address {
  const match = ADDRESS.exec(to);
  const path = (match?.[2] ?? '').replace(/^\/+|\/+$/g, '');
  // URLs resolve such parts, so that the request would go to another key or bucket.
  const isResolved = path.split('/').some((part) => part === '.' || part === '..');
  if (match === null || isResolved)
    throw usageError(`${JSON.stringify(to)} is not a valid bucket`, 'Write --to s3://BUCKET, or --to local.');
  return { bucket: match[1] ?? '', prefix: path === '' ? '' : `${path}/` };
}

/** Opens the bucket and checks that it exists. Throws {@link CommandError}. */
export async function openS3(
  to: string,
  env: Readonly<NodeJS.ProcessEnv>,
  overrides: S3Overrides = {},
  options: Partial<S3StoreOptions> = {},
): Promise<Target> {
  const address = parseS3Address(to);
  const server = await readS3Server(env, overrides);
  const title = `s3://${address.bucket}${address.prefix === '' ? '' : `/${address.prefix.slice(0, -1)}`}`;
  const connection = steadyConnection(new S3Client(server));
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
  const endpoint = server.endpoint ?? 'not set: Amazon S3';
  const store = open('quoted');
  try {
    await store.check();
  } catch (error) {
    await connection.close();
    if (!(error instanceof StorageError)) throw error;
    const hint =
      error.code === 'STORAGE_DENIED'
        ? `Check the bucket name, ${server.origin.keys} and ${server.origin.endpoint} (${endpoint}).`
        : `Check ${server.origin.endpoint} (${endpoint}) and the network.`;
    throw new CommandError(error.message, { hint, cause: error });
  }
  const prepared = withPreparedWrites(store, () => openForWriting(open, title, server.endpoint ?? 'Amazon S3'));
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
