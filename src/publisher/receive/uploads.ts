/**
 * Upload sessions of the push endpoint. The bytes of a session lie in a file of its own until the client names their
 * digest; memory stays bounded whatever the size. A session outlives a cut connection: the client asks how much has
 * arrived and continues there (OCI distribution spec, "Pushing a blob in chunks").
 */
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { algorithmOf, type Digest, hexOf } from '../../registry/digest.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { isAlive } from '../local/process.ts';
import { freeNetworkBuffers } from '../streams/network-buffers.ts';
import { PushError } from './push-error.ts';

/** Most sessions at once: each holds an open file. */
const SESSIONS_MAX = 256;

/**
 * Bytes that are written at once, while the next ones arrive: a write for each chunk of the network costs a turn of the
 * event loop.
 */
const BATCH = 512 * 1024;

/** A session that nothing was sent to for so long is removed, in milliseconds. */
const IDLE_MS = 60 * 60 * 1_000;

/** One session. */
export interface Upload {
  readonly id: string;
  readonly name: RepositoryName;
  readonly path: string;
  /** Bytes that have arrived. */
  readonly size: number;
}

interface Session extends Upload {
  size: number;
  readonly file: FileHandle;
  /** Sha256 of the bytes so far. */
  readonly hash: Hash;
  busy: boolean;
  usedAt: number;
}

/** All sessions of one endpoint. */
export interface Uploads {
  /** Opens a session. Throws {@link PushError} if too many are open. */
  begin(name: RepositoryName): Promise<Upload>;
  /** Finds a session of that repository. Throws {@link PushError}. */
  find(name: RepositoryName, id: string): Upload;
  /** Appends a body. `at`: the offset that the client names; it must be the current size. Throws {@link PushError}. */
  append(upload: Upload, body: AsyncIterable<Uint8Array>, at?: number): Promise<void>;
  /** Checks that what has arrived has the digest. Throws {@link PushError}; the session is then gone. */
  verify(upload: Upload, digest: Digest): Promise<void>;
  /** Ends a session and removes its file; does nothing where it has ended. */
  end(upload: Upload): Promise<void>;
  /** Ends all sessions. */
  close(): Promise<void>;
}

const FOLDER = 'gantry-receive-';

/** Makes the sessions' folder below the system's folder for temporary files. `maxSize`: most bytes of one blob. */
export async function openUploads(options: {
  readonly maxSize: number;
  readonly folder?: string;
  readonly now?: () => number;
}): Promise<Uploads> {
  const { maxSize, folder: parent = tmpdir(), now = Date.now } = options;
  await removeAbandoned(parent);
  const folder = await mkdtemp(join(parent, `${FOLDER}${String(process.pid)}-`));
  const sessions = new Map<string, Session>();

  async function end(session: Session): Promise<void> {
    sessions.delete(session.id);
    await session.file.close();
    await rm(session.path, { force: true });
  }

  async function endIdle(): Promise<void> {
    for (const session of sessions.values()) {
      if (!session.busy && now() - session.usedAt > IDLE_MS) await end(session);
    }
  }

  function sessionOf({ id, name }: Pick<Upload, 'id' | 'name'>): Session {
    const session = sessions.get(id);
    if (session?.name !== name) {
      throw new PushError('BLOB_UPLOAD_UNKNOWN', `there is no upload ${id} for ${name}: begin a new one`);
    }
    return session;
  }

  return {
    begin: async (name) => {
      await endIdle();
      if (sessions.size >= SESSIONS_MAX) {
        throw new PushError(
          'TOOMANYREQUESTS',
          `${String(SESSIONS_MAX)} uploads are open, which is the limit: try again in a minute`,
          { headers: { 'retry-after': '60' } },
        );
      }
      const id = randomUUID();
      const path = join(folder, id);
      const file = await open(path, 'wx+', 0o600);
      const session: Session = {
        id,
        name,
        path,
        file,
        size: 0,
        hash: createHash('sha256'),
        busy: false,
        usedAt: now(),
      };
      sessions.set(id, session);
      return session;
    },
    find: (name, id) => sessionOf({ name, id }),
    append: async (upload, body, at) => {
      const session = sessionOf(upload);
      if (session.busy) {
        throw new PushError('BLOB_UPLOAD_INVALID', `another request is writing to the upload ${session.id}`);
      }
      if (at !== undefined && at !== session.size) {
        throw new PushError(
          'RANGE_INVALID',
          `the upload ${session.id} has ${String(session.size)} bytes, and the chunk begins at ${String(at)}: ` +
            'ask for its state and continue there',
          { headers: rangeHeaders(session) },
        );
      }
      session.busy = true;
      try {
        await write(session, body, maxSize);
      } finally {
        session.busy = false;
        session.usedAt = now();
      }
    },
    verify: async (upload, digest) => {
      const session = sessionOf(upload);
      const hex = await hashOf(session, algorithmOf(digest));
      if (hex === hexOf(digest)) return;
      await end(session);
      throw new PushError(
        'DIGEST_INVALID',
        `the bytes that arrived have the digest ${algorithmOf(digest)}:${hex}, not ${digest}: send the blob again`,
      );
    },
    end: async ({ id }) => {
      const session = sessions.get(id);
      if (session !== undefined) await end(session);
    },
    close: async () => {
      for (const session of [...sessions.values()]) await end(session);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** `Range: 0-N` of a session, N included; `0-0` where nothing has arrived, as docker/distribution answers. */
export function rangeHeaders({ size, id }: Upload): Readonly<Record<string, string>> {
  return { range: `0-${String(Math.max(0, size - 1))}`, 'docker-upload-uuid': id };
}

async function write(session: Session, body: AsyncIterable<Uint8Array>, maxSize: number): Promise<void> {
  let received = session.size;
  let batch: Uint8Array[] = [];
  let bytes = 0;
  let writing = Promise.resolve();
  const flush = (): void => {
    const now = batch;
    [batch, bytes] = [[], 0];
    writing = appendAll(session, now);
    // It is awaited later.
    writing.catch(() => undefined);
  };
  try {
    try {
      for await (const chunk of body) {
        received += chunk.length;
        if (received > maxSize)
          throw new PushError('SIZE_INVALID', `a blob may have ${String(maxSize)} bytes at most (--max-blob)`);
        freeNetworkBuffers(chunk.length);
        batch.push(chunk);
        bytes += chunk.length;
        if (bytes < BATCH) continue;
        await writing;
        flush();
      }
    } finally {
      // What arrived before a connection broke counts.
      await writing;
      flush();
      await writing;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
      throw new PushError('UNAVAILABLE', `the folder for uploads is full (${session.path}): free some space`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** Appends chunks. The session's size and hash are those of what is in the file, whatever fails. */
async function appendAll(session: Session, chunks: readonly Uint8Array[]): Promise<void> {
  const { file, hash } = session;
  if (chunks.length === 0) return;
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  let { bytesWritten } = await file.writev(chunks, session.size);
  if (bytesWritten < length) {
    const all = Buffer.concat(chunks);
    while (bytesWritten < length) {
      bytesWritten += (await file.write(all, bytesWritten, length - bytesWritten, session.size + bytesWritten))
        .bytesWritten;
    }
  }
  for (const chunk of chunks) hash.update(chunk);
  session.size += length;
}

async function hashOf({ hash, path }: Session, algorithm: 'sha256' | 'sha512'): Promise<string> {
  if (algorithm === 'sha256') return hash.copy().digest('hex');
  const again = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) again.update(chunk as Uint8Array);
  return again.digest('hex');
}

/** Removes folders of endpoints that were killed. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const entry of await readdir(parent)) {
    const pid = new RegExp(`^${FOLDER}(\\d+)-`).exec(entry)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(parent, entry), { recursive: true, force: true });
  }
}
