/** Verifies bytes of a source before it yields the last chunk, so that an atomic store never contains wrong bytes. */
import { createHash } from 'node:crypto';
import { algorithmOf, type Digest, hexOf } from '../../registry/digest.ts';
import { CommandError } from '../cli/errors.ts';
import type { SourceBlob, ImageSource } from '../../bucket/image-source.ts';

/** The expected digest and size of a blob. */
export interface ExpectedBlob {
  readonly digest: Digest;
  /** In bytes; undefined if it is not known. */
  readonly size: number | undefined;
  /** For messages: `layer` or `config`. */
  readonly role: string;
}

const HINT = 'The source is damaged: copy the image into it again.';

/** Yields chunks, and verifies digest and size before yielding the last chunk. Throws {@link CommandError}. */
export async function* verifyChunks(
  chunks: AsyncIterable<Uint8Array>,
  { digest, size, role }: ExpectedBlob,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash(algorithmOf(digest));
  let count = 0;
  let withheld: Uint8Array | undefined;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    count += chunk.length;
    if (size !== undefined && count > size)
      throw new CommandError(`the ${role} ${digest} has more than ${String(size)} bytes`, { hint: HINT });
    hash.update(chunk);
    if (withheld !== undefined) yield withheld;
    withheld = chunk;
  }
  if (size !== undefined && count !== size) {
    throw new CommandError(`the ${role} ${digest} has ${String(count)} bytes instead of ${String(size)}`, {
      hint: HINT,
    });
  }
  const found = hash.digest('hex');
  if (found !== hexOf(digest)) {
    throw new CommandError(
      `the ${role} ${digest} is damaged: its content has the digest ${algorithmOf(digest)}:${found}`,
      { hint: HINT },
    );
  }
  if (withheld !== undefined) yield withheld;
}

/** Opens a blob. Throws {@link CommandError} if the source does not have it. */
export async function openBlob(
  source: Pick<ImageSource, 'blob'>,
  { digest, role }: ExpectedBlob,
  signal?: AbortSignal,
): Promise<SourceBlob> {
  const blob = await source.blob(digest, signal === undefined ? {} : { signal });
  if (blob === null)
    throw new CommandError(`the source lacks the ${role} ${digest}`, {
      hint: 'The image is incomplete: copy it again.',
    });
  return blob;
}
