import type { S3Client } from '@aws-sdk/client-s3';

/** How a store reaches its bucket. The local store's server may come and go while a command runs; a bucket elsewhere is one client for good. */
export interface Connection {
  /** The client to use now. Throws CommandError or StorageError where none can be had. */
  client(signal?: AbortSignal): Promise<S3Client>;
  /** Tells that this client got no answer. */
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
