/**
 * Carries out a plan: sends the blobs and manifests that are missing, several at once, and verifies each. Writes no
 * tag.
 */
import type { Digest } from '../../registry/digest.ts';
import { isListForm, MEDIA_TYPES } from '../../registry/media-type.ts';
import type { BodyStream, WriteStore } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';
import type { EventSink } from './events.ts';
import { createLimit, forEachLimit } from '../../bucket/concurrency.ts';
import { readObject } from '../../bucket/read-object.ts';
import { READS_AT_ONCE } from '../../bucket/survey.ts';
import { sha256Option, writeManifest } from '../../bucket/write-image.ts';
import type { PlannedBlob, PlannedManifest } from './plan.ts';
import type { SourceBlob, ImageSource } from '../../bucket/image-source.ts';
import { opaqueFolder } from './opaque-whiteouts.ts';
import { hashBlob } from '../verify/check-blobs.ts';
import { LayerScan } from '../streams/opaque-scan.ts';
import { openBlob, verifyChunks } from '../streams/verified-stream.ts';

/** The options of {@link createTransfer}. */
export interface TransferOptions {
  readonly store: WriteStore;
  /** Blobs sent at once, for all images of the run together. */
  readonly jobs: number;
  /** Read and hash what is there. */
  readonly check?: boolean;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal | undefined;
}

/** Opens copies of layers: recompressed ones by the layer, and those with explicit whiteouts by their own digest. */
export interface OpenCopy {
  readonly recompressed: (from: Digest) => Promise<SourceBlob>;
  readonly withWhiteouts: (copy: Digest) => Promise<SourceBlob>;
}

/** The opaque whiteouts of a layer that was sent. */
export interface OpaqueWhiteouts {
  readonly count: number;
  readonly first: string | null;
}

/** How many blobs and bytes were sent. */
export interface Sent {
  readonly blobs: number;
  readonly bytes: number;
}

/** Sends what is missing. One for each run: objects that were sent or found for one image are not checked again. */
export interface Transfer {
  /** The keys of the objects that are stored with the right size and type. */
  present(blobs: readonly PlannedBlob[], manifests: readonly PlannedManifest[]): Promise<ReadonlySet<string>>;
  /** Sends the blobs. Gives what was sent, and which optional ones the source does not have. */
  sendBlobs(
    blobs: readonly PlannedBlob[],
    source: ImageSource,
    copies: OpenCopy,
    /** Layers in which opaque whiteouts are looked for while they are sent. */
    scanned?: ReadonlySet<Digest>,
  ): Promise<{ readonly sent: Sent; readonly absent: ReadonlySet<string> }>;
  /** The opaque whiteouts of a layer that this run sent and scanned; undefined for any other. */
  opaqueIn(layer: Digest): OpaqueWhiteouts | undefined;
  /** Writes the manifests, children before their lists. */
  sendManifests(manifests: readonly PlannedManifest[]): Promise<void>;
  /** Forgets that these objects are stored. */
  lost(keys: readonly string[]): void;
}

/** Makes a transfer. */
export function createTransfer({ store, jobs, check = false, onEvent, signal }: TransferOptions): Transfer {
  const limit = createLimit(jobs);
  const there = new Set<string>();
  const underway = new Map<string, Promise<number | null>>();
  const opaque = new Map<Digest, OpaqueWhiteouts>();

  async function present(
    blobs: readonly PlannedBlob[],
    manifests: readonly PlannedManifest[],
  ): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    const look = async (key: string, isRight: () => Promise<boolean>): Promise<void> => {
      signal?.throwIfAborted();
      if (!there.has(key) && !(await isRight())) return;
      there.add(key);
      found.add(key);
    };
    await forEachLimit([...blobs, ...manifests], READS_AT_ONCE, (planned) =>
      look(planned.key, () =>
        'origin' in planned ? isBlobThere(store, planned, check) : isManifestThere(store, planned, check),
      ),
    );
    return found;
  }

  async function sendBlobs(
    blobs: readonly PlannedBlob[],
    source: ImageSource,
    copies: OpenCopy,
    scanned: ReadonlySet<Digest> = new Set(),
  ): Promise<{ sent: Sent; absent: ReadonlySet<string> }> {
    let [count, bytes] = [0, 0];
    const absent = new Set<string>();
    // A failure stops the other blobs at once.
    const stop = new AbortController();
    const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    await forEachLimit(blobs, jobs, async (blob) => {
      try {
        const size = await once(blob.key, () =>
          limit(() => sendBlob(blob, source, copies, either, scanned.has(blob.digest))),
        );
        if (size === null) absent.add(blob.key);
        else {
          count += 1;
          bytes += size;
        }
      } catch (error) {
        stop.abort();
        throw error;
      }
    });
    return { sent: { blobs: count, bytes }, absent };
  }

  /** Two images of one run that need the same blob send it once. */
  async function once(key: string, send: () => Promise<number | null>): Promise<number | null> {
    const other = underway.get(key);
    if (other !== undefined) {
      const size = await other.catch(() => undefined);
      if (size !== undefined && size !== null) return size;
    }
    const own = send();
    underway.set(key, own);
    try {
      const size = await own;
      if (size !== null) there.add(key);
      return size;
    } finally {
      if (underway.get(key) === own) underway.delete(key);
    }
  }

  /** Sends one blob; gives its size, or null for an optional one that the source does not have. */
  async function sendBlob(
    blob: PlannedBlob,
    source: ImageSource,
    copies: OpenCopy,
    either: AbortSignal,
    isScanned: boolean,
  ): Promise<number | null> {
    either.throwIfAborted();
    const { digest, key, origin, role } = blob;
    const options = {
      contentType: MEDIA_TYPES.octetStream,
      signal: either,
      ...sha256Option(digest),
    };
    if (origin.kind === 'bytes') {
      onEvent({ event: 'blob-started', digest, role, size: origin.bytes.length });
      await store.put(key, origin.bytes, options);
      onEvent({ event: 'blob-sent', digest, size: origin.bytes.length });
      return origin.bytes.length;
    }
    const open = async (): Promise<SourceBlob | null> => {
      if (origin.kind === 'recompressed') return copies.recompressed(origin.from);
      if (origin.kind === 'with-whiteouts') return copies.withWhiteouts(digest);
      return blob.optional ? source.blob(digest, { signal: either }) : openBlob(source, blob, either);
    };
    let opened = await open();
    if (opened === null) return null;
    let size = blob.size ?? opened.size;
    if (size === undefined) {
      // Storage needs the size beforehand: read the blob once to count.
      size = 0;
      for await (const chunk of verifyChunks(opened.chunks, blob)) size += chunk.length;
      opened = await open();
      if (opened === null) return null;
    }
    onEvent({ event: 'blob-started', digest, role, size });
    // The store may replace an error of the body by its own: the reason is kept here.
    let sourceError: { readonly error: unknown } | undefined;
    const expected = { digest, size, role };
    async function* watched(body: SourceBlob): AsyncGenerator<Uint8Array, void, undefined> {
      const scan = isScanned ? new LayerScan((path) => opaqueFolder(path) !== null) : null;
      try {
        for await (const chunk of verifyChunks(body.pooled?.chunks ?? body.chunks, expected)) {
          // zlib works in another thread while the chunk is sent.
          const scanned = scan?.write(chunk);
          yield chunk;
          await scanned;
          onEvent({ event: 'blob-progress', digest, bytes: chunk.length });
        }
        await scan?.end();
        if (scan !== null) opaque.set(digest, scan.found);
      } catch (error) {
        sourceError = { error };
        throw error;
      } finally {
        await scan?.end();
      }
    }
    async function* again(why: string): AsyncGenerator<Uint8Array, void, undefined> {
      onEvent({ event: 'blob-retried', digest, why });
      const reopened = await open();
      if (reopened === null) throw new CommandError(`the ${role} ${digest} is no longer in the source`);
      yield* watched(reopened);
    }
    // Verification withholds one chunk. Buffers that are not pooled are never reused.
    const body: BodyStream = {
      size,
      chunks: watched(opened),
      verified: true,
      validChunks: opened.pooled === undefined ? Infinity : opened.pooled.validChunks - 1,
      reread: again,
      expensiveToReread: opened.pooled === undefined,
    };
    try {
      await store.put(key, body, options);
    } catch (error) {
      either.throwIfAborted();
      if (sourceError !== undefined) throw sourceError.error;
      throw error;
    }
    onEvent({ event: 'blob-sent', digest, size });
    return size;
  }

  async function sendManifests(manifests: readonly PlannedManifest[]): Promise<void> {
    const send = async ({ key, name, manifest }: PlannedManifest): Promise<void> => {
      signal?.throwIfAborted();
      await writeManifest(store, name, manifest, signal);
      there.add(key);
    };
    const isList = ({ manifest }: PlannedManifest): boolean => isListForm(manifest.form);
    await forEachLimit(
      manifests.filter((manifest) => !isList(manifest)),
      jobs,
      send,
    );
    // Lists after their children, inner lists first.
    for (const list of manifests.filter(isList)) await send(list);
  }

  return {
    present,
    sendBlobs,
    sendManifests,
    opaqueIn: (layer) => opaque.get(layer),
    lost: (keys) => {
      for (const key of keys) there.delete(key);
    },
  };
}

/** A blob of another size than its manifest says is damaged, or the manifest is wrong. Sending it again decides. */
async function isBlobThere(store: WriteStore, blob: PlannedBlob, check: boolean): Promise<boolean> {
  const { key, size, digest } = blob;
  const info = await store.head(key);
  if (info === null || (size !== undefined && info.size !== size)) return false;
  return !check || isReadable(async () => (await hashBlob(store, key, digest, () => undefined)) === 'right');
}

/** Whether an object can be read and is right. What storage does not give is sent again. */
async function isReadable(read: () => Promise<boolean>): Promise<boolean> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw error;
    return false;
  }
}

async function isManifestThere(
  store: WriteStore,
  { key, manifest }: PlannedManifest,
  check: boolean,
): Promise<boolean> {
  const { bytes, mediaType, form, source } = manifest;
  const isSchema1 = form === 'docker-schema1';
  // A published schema 1 must be stored with its own signatures. For a derived one any signatures do: the digest is
  // of the payload alone.
  if (check && !isSchema1) {
    return isReadable(async () => {
      const object = await readObject(store, key);
      return object?.info.contentType === mediaType && Buffer.from(object.bytes).equals(bytes);
    });
  }
  if (!isSchema1 || source.kind === 'derived') {
    const info = await store.head(key);
    return info?.contentType === mediaType && (isSchema1 || info.size === bytes.length);
  }
  const object = await readObject(store, key);
  return object !== null && object.info.contentType === mediaType && Buffer.from(object.bytes).equals(bytes);
}
