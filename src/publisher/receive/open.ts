/** Opens the push endpoint over an open bucket, for `gantry receive` and `gantry serve --push`. */
import { createSigner } from '../../manifest/signing/jws.ts';
import type { RealmTable } from '../../registry/realms.ts';
import type { WriteStore } from '../../registry/store.ts';
import { type Edge } from '../cli/environment.ts';
import { usageError } from '../cli/errors.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { publishedDigests } from '../../registry/records.ts';
import type { Notifier } from '../notify/notifier.ts';
import { loadOrMakeKey } from '../publish/key-file.ts';
import type { PublishResult } from '../publish/request.ts';
import { pushContext, type PushContextOptions } from './context.ts';
import { isLoopback, type ReceiveOptions, startReceiver } from './server.ts';
import { openUploads } from './uploads.ts';

const GIB = 1024 ** 3;

/** The limit of a blob unless another is given, in GiB. */
export const DEFAULT_MAX_BLOB = 64;

/** How to open the endpoint. */
export interface PushEndpointOptions
  extends
    Omit<PushContextOptions, 'store' | 'realms' | 'signer' | 'uploads' | 'onPublished' | 'onRemoved'>,
    Omit<ReceiveOptions, 'onFailure'> {
  readonly store: WriteStore;
  readonly realms: RealmTable;
  readonly keyFile: string;
  /** The edge whose cache is purged after each push. */
  readonly edge?: Edge | undefined;
  /** Sends messages about tags that changed; clients do not wait for it. */
  readonly notifier?: Notifier | null;
  /** The largest blob that is taken, in GiB. */
  readonly maxBlob: number;
  /** Receives messages for the user. */
  readonly onMessage: (line: string) => void;
  readonly onPublished: (result: PublishResult) => void;
}

/** A running endpoint. */
export interface PushEndpoint {
  /** `127.0.0.1:5000`. */
  readonly address: string;
  /** Waits for requests that are being answered, and removes unfinished uploads. */
  close(): Promise<void>;
}

/** Throws {@link CommandError} where an address can be reached from other machines and no password is asked for. */
export function refuseOpenAddress(host: string, hasPassword: boolean): void {
  if (hasPassword || isLoopback(host)) return;
  throw usageError(
    `${host} can be reached from other machines, so a password is needed`,
    'Give a password with --password-stdin, or listen on 127.0.0.1.',
  );
}

/** Starts the endpoint. Throws {@link CommandError} where it cannot listen. */
export async function openPushEndpoint(options: PushEndpointOptions): Promise<PushEndpoint> {
  const {
    store,
    realms,
    keyFile,
    edge,
    notifier = null,
    maxBlob,
    host,
    port,
    login,
    signal,
    onMessage,
    onPublished,
  } = options;
  const { key, made } = await loadOrMakeKey(keyFile);
  if (made) onMessage(`created a signing key: ${keyFile}`);
  const purge = async (name: RepositoryName, tag: Tag): Promise<void> => {
    if (edge === undefined) return;
    const { purgeEdge } = await import('../publish/purge.ts');
    const trouble = await purgeEdge(edge, [{ name, tag }], signal);
    if (trouble !== undefined) onMessage(`warning: ${trouble}`);
  };
  const uploads = await openUploads({ maxSize: maxBlob * GIB });
  try {
    const context = pushContext({
      store,
      realms,
      signer: createSigner(key),
      uploads,
      allowDelete: options.allowDelete,
      recompress: options.recompress,
      signal,
      onPublished: async (result) => {
        for (const warning of result.warnings) onMessage(`warning: ${warning}`);
        const { name, tag, change } = result;
        await purge(name, tag);
        if (change !== 'unchanged') void notifier?.send([{ name, tag, change, digests: publishedDigests(result) }]);
        onPublished(result);
      },
      onRemoved: async (name, tag) => {
        await purge(name, tag);
        void notifier?.send([{ name, tag, change: 'deleted', digests: [] }]);
      },
    });
    const server = await startReceiver(context, { host, port, login, onFailure: onMessage });
    return {
      address: `${host.includes(':') ? `[${host}]` : host}:${String(server.port)}`,
      close: async () => {
        await server.close();
        await uploads.close();
        await notifier?.settled();
      },
    };
  } catch (error) {
    await uploads.close();
    throw error;
  }
}
