/**
 * Opens the local store. Only one process at a time can run the simulator over a folder, since two collide on SQLite's
 * lock. Other processes connect to its server, and if that ends, one of them runs the simulator itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createFormat, readFormat, refuseNewerFormat, withPreparedWrites } from '../../bucket/format.ts';
import { CommandError } from '../cli/errors.ts';
import type { Connection } from '../stores/connection.ts';
import type { RetryPolicy } from '../../http/retry.ts';
import { S3_RETRY } from '../stores/retrying.ts';
import { S3Store } from '../stores/s3-store.ts';
import { S3Client } from '../stores/s3/client.ts';
import type { Target } from '../stores/target.ts';
import { PART_SIZE } from '../streams/buffer-sizes.ts';
import { type Announcement, announce, readAnnouncement, withdraw } from './announcement.ts';
import { guardDiskSpace } from './disk-space.ts';
import { makeStateFolder, type StateFolder } from './folder.ts';
import { type Lock, tryLock } from './lock.ts';
import { claimObjects } from './other-programs.ts';
import { startSimulator } from './simulator.ts';
import { notedUploads } from './upload-notes.ts';
import { readLocalBucket } from './wrangler-config.ts';

/** How often to check whether the store is free or reachable, in milliseconds. */
const LOOK_EVERY_MS = 100;
/** A process that holds the store and does not answer in this time has failed, in milliseconds. */
const WAIT_MS = 60_000;

/**
 * The longest body that is written whole, in bytes. The simulator keeps each part in a file of its own, and copies them
 * one after the other, in JavaScript, into an answer: a blob of 100 MiB in parts is read at a tenth of the rate. But its
 * memory grows with a body: up to 512 MiB it is what parts take (230 MiB), and at 2.5 GiB it is 430.
 */
const WHOLE_MAX = 512 * 2 ** 20;

// The simulator runs on this machine: the waits are short, but long enough for a restart of the server.
const LOCAL_RETRY: RetryPolicy = { ...S3_RETRY, attempts: 10, backoff: 50, maxBackoff: 2_000 };

/**
 * Opens the local store of a state folder, through the server if it runs. With `mustExist` no folder is created.
 * `onMessage` receives messages for the user. Throws {@link CommandError}.
 */
export async function openLocal(
  state: string,
  {
    mustExist = false,
    onMessage = () => undefined,
  }: { readonly mustExist?: boolean; readonly onMessage?: (message: string) => void } = {},
): Promise<Target> {
  const folder = await makeStateFolder(state, { mustExist });
  const connection = localConnection(folder, await readLocalBucket(), onMessage);
  await connection.client();
  return localTarget(folder, connection);
}

/** Creates a target over an open connection. */
export function localTarget(folder: StateFolder, connection: Connection & { readonly bucket: () => string }): Target {
  const title = `local store (${folder.title})`;
  const store = new S3Store({
    connection,
    bucket: connection.bucket(),
    title,
    uploads: notedUploads(folder.uploads),
    // The simulator buffers a whole body to check a signed hash. Over loopback, comparing the ETag is enough.
    checks: 'none',
    retry: LOCAL_RETRY,
    streamedMax: WHOLE_MAX,
    staysWhole: true,
    guard: guardDiskSpace(folder.persist, title),
    // The simulator accepts one body at a time; more buffers would only wait.
    poolSize: 3 * PART_SIZE,
  });
  const prepared = withPreparedWrites(store, async () => {
    refuseNewerFormat((await readFormat(store)) ?? (await createFormat(store)), title);
    return store;
  });
  return { store: prepared, title, close: () => connection.close() };
}

function localConnection(
  folder: StateFolder,
  bucket: string,
  onMessage: (message: string) => void,
): Connection & { readonly bucket: () => string } {
  let current: Promise<Reached> | undefined;
  let name = bucket;
  const reach = async (): Promise<Reached> => {
    const reached = await reachStore(folder, bucket, onMessage);
    name = reached.bucket;
    return reached;
  };
  return {
    bucket: () => name,
    client: async () => {
      current ??= reach();
      try {
        return (await current).client;
      } catch (error) {
        current = undefined;
        throw error;
      }
    },
    lost: (client) => {
      const lost = current;
      void lost?.then(
        (reached) => {
          // The simulator in this process cannot disappear; that of another process can.
          if (reached.client !== client || reached.own || current !== lost) return;
          current = undefined;
          client.destroy();
        },
        () => undefined,
      );
    },
    close: async () => {
      const last = current;
      current = undefined;
      await (await last?.catch(() => undefined))?.close();
    },
  };
}

interface Reached {
  readonly client: S3Client;
  readonly bucket: string;
  readonly own: boolean;
  close(): Promise<void>;
}

/** Connects to the process that has the store open, or opens the store. */
async function reachStore(folder: StateFolder, bucket: string, onMessage: (message: string) => void): Promise<Reached> {
  const began = performance.now();
  let notified = false;
  for (;;) {
    const lock = tryLock(folder.lock);
    if (lock !== null) return openOurselves(folder, bucket, lock);
    const announcement = await readAnnouncement(folder.announcement);
    if (announcement !== null) {
      const client = clientOf(announcement);
      if (await answers(announcement)) {
        const close = (): Promise<void> => {
          client.destroy();
          return Promise.resolve();
        };
        return { client, bucket: announcement.bucket, own: false, close };
      }
      client.destroy();
    }
    const waited = performance.now() - began;
    if (waited > WAIT_MS) {
      throw new CommandError(
        `the local store (${folder.title}) is held by process ${String(announcement?.pid ?? 'unknown')}, which does not answer`,
        {
          hint: 'End that process, or name another folder with --state.',
        },
      );
    }
    if (waited > 2_000 && !notified) {
      notified = true;
      onMessage(
        `waiting for the local store (${folder.title}), which process ${String(announcement?.pid ?? 'unknown')} has open`,
      );
    }
    await sleep(LOOK_EVERY_MS);
  }
}

async function openOurselves(folder: StateFolder, bucket: string, lock: Lock): Promise<Reached> {
  try {
    await claimObjects(folder);
    // Remove the announcement of a killed process.
    await withdraw(folder.announcement);
    const simulator = await startSimulator({ persist: folder.persist, bucket });
    const announcement: Announcement = {
      pid: process.pid,
      kind: 'command',
      url: null,
      endpoint: simulator.endpoint,
      bucket,
      accessKeyId: simulator.accessKeyId,
      secretAccessKey: simulator.secretAccessKey,
      simulators: simulator.pids,
    };
    await announce(folder.announcement, announcement);
    const client = clientOf(announcement);
    return {
      client,
      bucket,
      own: true,
      close: async () => {
        await withdraw(folder.announcement);
        client.destroy();
        await simulator.stop();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** A client of the simulator. */
export function clientOf({
  endpoint,
  accessKeyId,
  secretAccessKey,
}: Pick<Announcement, 'endpoint' | 'accessKeyId' | 'secretAccessKey'>): S3Client {
  return new S3Client({ endpoint, region: 'auto', keys: { accessKeyId, secretAccessKey } });
}

/** Whether the endpoint answers: an announcement may be left over from a killed process. */
export async function answers({ endpoint }: Announcement): Promise<boolean> {
  try {
    // The request is unsigned and refused, but it is answered.
    const answer = await fetch(endpoint, { signal: AbortSignal.timeout(5_000) });
    await answer.body?.cancel();
    return true;
  } catch {
    return false;
  }
}
