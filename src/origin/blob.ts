/** Reading blobs: resumes after broken connections and limits idle time. The reader verifies digests. */
import { retryDelay } from '../http/retry.ts';
import type { Digest } from '../registry/digest.ts';
import type { RepositoryName } from '../registry/name.ts';
import type { RegistryClient, RemoteBlob } from './registry-client.ts';
import { type NotFound, OriginError } from './errors.ts';
import { reasonOf, unreachable } from './transport.ts';

/** A blob that can be read once. `size` in bytes; undefined if the upstream does not report it. */
export interface OpenBlob {
  readonly kind: 'blob';
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Opens a blob. After a broken connection the chunks continue with a range request, as often as the policy allows
 * without progress. The bytes are not verified.
 * Throws {@link OriginError}, or the signal's reason.
 */
export async function openBlob(
  client: RegistryClient,
  name: RepositoryName,
  digest: Digest,
  { signal = client.budget?.signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<OpenBlob | NotFound> {
  const first = await client.blob(name, digest, { signal });
  if (first.kind === 'not-found') return first;
  try {
    client.budget?.expect(first.size ?? 0);
  } catch (error) {
    await first.body.cancel().catch(() => undefined);
    throw error;
  }
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
  const { budget } = client;
  let received = 0;
  let blob = first;
  let failures = 0;
  for (;;) {
    const before = received;
    let failure: OriginError | undefined;
    // An upstream without range support starts again: skip the bytes that were already received.
    let skip = received - blob.offset;
    try {
      for await (const chunk of readChunks(blob.body, { url: client.baseUrl, idle: client.timeouts.idle, signal })) {
        budget?.receive(chunk.length);
        const fresh = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - fresh.length;
        if (fresh.length === 0) continue;
        received += fresh.length;
        if (size !== undefined && received > size)
          throw new OriginError(
            'ORIGIN_PROTOCOL',
            `${client.baseUrl.host} sent more bytes of ${digest} than its Content-Length`,
          );
        yield fresh;
      }
    } catch (error) {
      if (!(error instanceof OriginError) || !error.retryable) throw error;
      failure = error;
    }
    // Without a length, a truncated body looks complete; the digest check finds it.
    if (failure === undefined && (size === undefined || received === size)) return;
    failure ??= new OriginError(
      'ORIGIN_UNAVAILABLE',
      `${client.baseUrl.host} ended ${digest} after ${String(received)} of ${String(size)} bytes`,
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
      throw new OriginError(
        'ORIGIN_UNAVAILABLE',
        `${client.baseUrl.host} no longer has ${digest}, which was being read`,
        {
          retryable: false,
        },
      );
    if (size !== undefined && next.size !== undefined && next.size !== size) {
      await next.body.cancel().catch(() => undefined);
      throw new OriginError(
        'ORIGIN_PROTOCOL',
        `${client.baseUrl.host} reports two sizes of ${digest}: ${String(size)} and ${String(next.size)} bytes`,
      );
    }
    blob = next;
  }
}

/**
 * The chunks of a stream. Fails if none arrives for `idle` milliseconds. Cancels the stream when reading ends early.
 * Throws {@link OriginError}, or the signal's reason.
 */
export async function* readChunks(
  body: ReadableStream<Uint8Array>,
  { url, idle, signal }: { readonly url: URL; readonly idle: number; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { read, cancel } = readerOf(body);
  const { wait, end } = idleTimer(idle, url, signal);
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
    // Not awaited: cancelling a stream that hangs may hang, too.
    if (!ended) void cancel().catch(() => undefined);
  }
}

/** Bytes of one read of a byte stream. workerd's default is 4 KiB, and each read has a fixed cost. */
const READ_SIZE = 128 * 1024;

function readerOf(body: ReadableStream<Uint8Array>): {
  readonly read: () => Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  readonly cancel: () => Promise<void>;
} {
  let bytes: ReadableStreamBYOBReader;
  try {
    bytes = body.getReader({ mode: 'byob' });
  } catch {
    // Not a byte stream: it decides the size of its chunks.
    const chunks = body.getReader();
    return { read: () => chunks.read(), cancel: (): Promise<void> => chunks.cancel() };
  }
  return { read: () => bytes.read(new Uint8Array(READ_SIZE)), cancel: () => bytes.cancel() };
}

/**
 * Limits each read to `idle` milliseconds, with one timer and one listener for a whole stream: at line speed, a timer
 * for each chunk costs more than reading the chunk.
 */
function idleTimer(
  idle: number,
  url: URL,
  signal: AbortSignal | undefined,
): { readonly wait: <T>(read: () => Promise<T>) => Promise<T>; readonly end: () => void } {
  let fail: ((reason: Error) => void) | undefined;
  let since = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const check = (): void => {
    timer = undefined;
    // No read is pending: the consumer is slow, not the upstream.
    if (fail === undefined) return;
    const left = since + idle - Date.now();
    if (left > 0) timer = setTimeout(check, left);
    else fail(new OriginError('ORIGIN_UNAVAILABLE', `${url.host} sent nothing for ${String(idle / 1000)} s`));
  };
  const stop = (): void => fail?.(reasonOf(signal));
  signal?.addEventListener('abort', stop, { once: true });
  return {
    wait: (read) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(reasonOf(signal));
          return;
        }
        fail = reject;
        since = Date.now();
        timer ??= setTimeout(check, idle);
        read().then(
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
