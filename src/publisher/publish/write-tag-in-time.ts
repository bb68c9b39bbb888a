/** Writes a tag object, or gives up: garbage collection keeps what the tag needs only for its grace period. */
import { type ReplacedObject, type TagObject, writeTag, type Written } from '../../bucket/write-tag.ts';
import { StorageError, type WriteStore } from '../../registry/store.ts';

/**
 * How long the write of a tag object is tried after its objects were secured against garbage collection, in
 * milliseconds. S3 also refuses a request that was dated 15 minutes ago (`RequestTimeTooSkewed`), so no tag is written
 * later than 20 minutes after that.
 */
const TAG_WRITE_LIMIT = 300_000;

/** The tag for messages; what ends the write; and its limit in milliseconds, for tests. */
interface InTime {
  readonly title: string;
  readonly signal: AbortSignal | undefined;
  readonly limit?: number | undefined;
}

/** Writes a tag object. Throws StorageError, also after the limit, or the signal's reason. */
export async function writeTagInTime(
  store: WriteStore,
  tag: TagObject,
  over: ReplacedObject,
  { title, signal, limit = TAG_WRITE_LIMIT }: InTime,
): Promise<Written> {
  const end = AbortSignal.timeout(limit);
  try {
    return await writeTag(store, tag, over, signal === undefined ? end : AbortSignal.any([signal, end]));
  } catch (cause) {
    if (!end.aborted || signal?.aborted === true) throw cause;
    const message = `the tag ${title} could not be written within ${String(limit / 1000)} s`;
    throw new StorageError('STORAGE_UNAVAILABLE', message, { cause });
  }
}
