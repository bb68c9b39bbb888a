/** Blobs read to their end: cut connections are taken up again where they broke, silence has a limit, and bytes can be checked as they pass. */
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { retryDelay } from '../http/retry.ts';
import { algorithmOf, type Digest } from '../registry/digest.ts';
import type { RepositoryName } from '../registry/name.ts';
import type { RegistryClient, RemoteBlob } from './client.ts';
import { type NotFound, OriginError } from './errors.ts';
import { reasonOf, unreachable } from './transport.ts';

/** A blob that can be read once. `size` in bytes where the upstream tells. */
export interface OpenBlob {
  readonly kind: 'blob';
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Opens a blob. Its chunks go on after a cut connection by asking for the rest, as often as the policy allows without progress. Not verified: see {@link verified}.
 * Throws {@link OriginError}, or the signal's reason.
 */
export async function openBlob(
  client: RegistryClient,
  name: RepositoryName,
  digest: Digest,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<OpenBlob | NotFound> {
  const first = await client.blob(name, digest, { signal });
  if (first.kind === 'not-found') return first;
  return { kind: 'blob', size: first.size, chunks: resuming(client, name, digest, first, signal) };
}

async function* resuming(
  client: RegistryClient,
  name: RepositoryName,
  digest: Digest,
  first: RemoteBlob,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { size } = first;
  let received = 0;
  let blob = first;
  let failures = 0;
  for (;;) {
    const before = received;
    let failure: OriginError | undefined;
    // An upstream without ranges begins anew: what is known already is passed over.
    let skip = received - blob.offset;
    try {
      for await (const chunk of readChunks(blob.body, { url: client.baseUrl, idle: client.timeouts.idle, signal })) {
        const fresh = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - fresh.length;
        if (fresh.length === 0) continue;
        received += fresh.length;
        if (size !== undefined && received > size)
          throw new OriginError(
            'ORIGIN_PROTOCOL',
            `${client.baseUrl.host} sent more of ${digest} than it had announced`,
          );
        yield fresh;
      }
    } catch (error) {
      if (!(error instanceof OriginError) || !error.retryable) throw error;
      failure = error;
    }
    // A body without a length that breaks off looks like one that ends; the digest tells.
    if (failure === undefined && (size === undefined || received === size)) return;
    failure ??= new OriginError(
      'ORIGIN_UNAVAILABLE',
      `${client.baseUrl.host} cut ${digest} off after ${String(received)} of ${String(size)} bytes`,
    );
    failures = received > before ? 1 : failures + 1;
    const delay = retryDelay(failures, undefined, client.clock.random(), client.policy);
    if (delay === null) throw failure;
    await client.clock.sleep(delay, signal);
    const next = await client.blob(name, digest, {
      signal,
      ...(received === 0 ? {} : { range: { offset: received } }),
    });
    if (next.kind === 'not-found')
      throw new OriginError('ORIGIN_UNAVAILABLE', `${client.baseUrl.host} lost ${digest} while it was being read`, {
        retryable: false,
      });
    if (size !== undefined && next.size !== undefined && next.size !== size) {
      await next.body.cancel().catch(() => undefined);
      throw new OriginError(
        'ORIGIN_PROTOCOL',
        `${client.baseUrl.host} says that ${digest} has ${String(size)}, and then ${String(next.size)} bytes`,
      );
    }
    blob = next;
  }
}

/** The chunks of a stream; fails if none comes for `idle` milliseconds, and lets the stream go whenever reading ends. Throws {@link OriginError}, or the signal's reason. */
export async function* readChunks(
  body: ReadableStream<Uint8Array>,
  { url, idle, signal }: { readonly url: URL; readonly idle: number; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { read, cancel } = readerOf(body);
  const { wait, end } = patience(idle, url, signal);
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await wait(read);
      if (done || value === undefined) {
        ended = true;
        return;
      }
      yield value;
    }
  } catch (error) {
    if (signal?.aborted === true) throw reasonOf(signal);
    throw error instanceof OriginError ? error : unreachable(url, error, true);
  } finally {
    end();
    // Not awaited: a stream that hangs would not end either.
    if (!ended) void cancel().catch(() => undefined);
  }
}

/** Bytes that are read at once where the stream lets its reader say so: workerd gives 4 KiB otherwise, and every read has its price. */
const READ_SIZE = 128 * 1024;

function readerOf(body: ReadableStream<Uint8Array>): {
  readonly read: () => Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  readonly cancel: () => Promise<void>;
} {
  let bytes: ReadableStreamBYOBReader;
  try {
    bytes = body.getReader({ mode: 'byob' });
  } catch {
    // Not a stream of bytes: it has chunks of its own.
    const chunks = body.getReader();
    return { read: () => chunks.read(), cancel: (): Promise<void> => chunks.cancel() };
  }
  return { read: () => bytes.read(new Uint8Array(READ_SIZE)), cancel: () => bytes.cancel() };
}

/** Lets nothing take longer than `idle` milliseconds. One timer and one listener a stream: at line speed one for each chunk costs more than reading it. */
function patience(
  idle: number,
  url: URL,
  signal: AbortSignal | undefined,
): { readonly wait: <T>(ask: () => Promise<T>) => Promise<T>; readonly end: () => void } {
  let fail: ((reason: Error) => void) | undefined;
  let since = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    timer = undefined;
    // Nobody is waiting: whoever reads takes their time.
    if (fail === undefined) return;
    const left = since + idle - Date.now();
    if (left > 0) timer = setTimeout(look, left);
    else fail(new OriginError('ORIGIN_UNAVAILABLE', `${url.host} sent nothing for ${String(idle / 1000)} s`));
  };
  const stop = (): void => fail?.(reasonOf(signal));
  signal?.addEventListener('abort', stop, { once: true });
  return {
    wait: (ask) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(reasonOf(signal));
          return;
        }
        fail = reject;
        since = Date.now();
        timer ??= setTimeout(look, idle);
        ask().then(
          (value) => {
            fail = undefined;
            resolve(value);
          },
          (error: unknown) => {
            fail = undefined;
            reject(error instanceof Error ? error : new Error(String(error)));
          },
        );
      }),
    end: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    },
  };
}

/** A hash on its way. Node's own is many times faster than the one that is used where none is given. */
export interface Hasher {
  update(chunk: Uint8Array): void;
  /** Lower-case hex of all that was given. */
  hex(): string;
}

/** A hash for a digest, in plain JavaScript: works anywhere. */
export function createHasher(digest: Digest): Hasher {
  const hash = algorithmOf(digest) === 'sha512' ? sha512.create() : sha256.create();
  return { update: (chunk) => void hash.update(chunk), hex: () => bytesToHex(hash.digest()) };
}

/**
 * Passes chunks on and checks that they are what the digest names. The last chunk is held back until that is known, so whoever writes them on never gets a whole wrong
 * blob. Throws {@link OriginError} `ORIGIN_PROTOCOL`.
 */
export async function* verified(
  chunks: AsyncIterable<Uint8Array>,
  {
    digest,
    size,
    hasher = createHasher(digest),
  }: { readonly digest: Digest; readonly size?: number | undefined; readonly hasher?: Hasher },
): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Uint8Array | undefined;
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (size !== undefined && length > size)
      throw new OriginError('ORIGIN_PROTOCOL', `${digest} has more than ${String(size)} bytes`);
    hasher.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  if (size !== undefined && length !== size)
    throw new OriginError('ORIGIN_PROTOCOL', `${digest} has ${String(length)} bytes, not ${String(size)}`);
  const found = `${algorithmOf(digest)}:${hasher.hex()}`;
  if (found !== digest) throw new OriginError('ORIGIN_PROTOCOL', `what came as ${digest} is ${found}`);
  if (held !== undefined) yield held;
}
