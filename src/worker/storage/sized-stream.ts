/**
 * A stream of chunks whose length the runtime knows, so that the response has a Content-Length. Chunks are read as the
 * client takes them. It fails if the chunks do.
 */
export function sizedStream(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  length: number,
): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(length);
  const source = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await chunks.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => {
      await chunks.return();
    },
  });
  // The reader of `readable` sees the error.
  source.pipeTo(writable).catch(() => undefined);
  return readable;
}
