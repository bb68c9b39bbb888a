/** Bytes on their way from a source, verified before the last of them is let through: a store whose writes are atomic then never shows wrong ones. */
import { createHash } from 'node:crypto';
import { algorithmOf, type Digest, hexOf } from '../../registry/digest.ts';
import { CommandError } from '../cli/errors.ts';
import type { SourceBlob, ImageSource } from '../../bucket/image-source.ts';

/** What a blob must be. */
export interface ExpectedBlob {
  readonly digest: Digest;
  /** Bytes; undefined where nobody said. */
  readonly size: number | undefined;
  /** For messages: `layer` or `config`. */
  readonly role: string;
}

const HINT = 'The source is damaged: copy the image into it again.';

/** Passes chunks on, the last one only when all have the digest and the size. Throws {@link CommandError}. */
export async function* verifyChunks(
  chunks: AsyncIterable<Uint8Array>,
  { digest, size, role }: ExpectedBlob,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash(algorithmOf(digest));
  let count = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    count += chunk.length;
    if (size !== undefined && count > size)
      throw new CommandError(`the ${role} ${digest} has more than ${String(size)} bytes`, { hint: HINT });
    hash.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  if (size !== undefined && count !== size) {
    throw new CommandError(`the ${role} ${digest} has ${String(count)} bytes, it should have ${String(size)}`, {
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
  if (held !== undefined) yield held;
}

/** Opens a blob that must be there. Throws {@link CommandError}. */
export async function openBlob(
  source: Pick<ImageSource, 'blob'>,
  { digest, role }: ExpectedBlob,
  signal?: AbortSignal,
): Promise<SourceBlob> {
  const blob = await source.blob(digest, signal === undefined ? {} : { signal });
  if (blob === null)
    throw new CommandError(`the source lacks the ${role} ${digest}`, {
      hint: 'The image is not complete: copy it again, whole.',
    });
  return blob;
}
