import type { S3Client } from './s3/client.ts';

/**
 * A store's connection to its bucket. The local store's server may stop while a command runs; other buckets keep one
 * client.
 */
export interface Connection {
  /** The current client. Throws CommandError or StorageError if it cannot connect. */
  client(signal?: AbortSignal): Promise<S3Client>;
  /** Reports that this client got no answer. */
  lost(client: S3Client): void;
  close(): Promise<void>;
}

/** A connection that is always the same client. */
export function steadyConnection(client: S3Client): Connection {
  return {
    client: () => Promise.resolve(client),
    lost: () => undefined,
    close: () => {
      client.destroy();
      return Promise.resolve();
    },
  };
}
