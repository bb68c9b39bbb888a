/** Verifies the signatures records of a repository: whether the edge can serve them. */
import { decodeSignatures, SignaturesError } from '../../origin/signatures.ts';
import type { Digest } from '../../registry/digest.ts';
import type { ListedObject, WriteStore } from '../../registry/store.ts';
import { forEachLimit } from '../../bucket/concurrency.ts';
import { readObject } from '../../bucket/read-object.ts';
import { READS_AT_ONCE } from '../../bucket/survey.ts';
import type { Report } from './faults.ts';
import { readOrReport } from './unreadable.ts';

/** Reads every record; reports those that cannot be read, which a repair removes. */
export async function verifySignatures(
  store: WriteStore,
  records: ReadonlyMap<Digest, ListedObject>,
  report: Report,
): Promise<void> {
  await forEachLimit(records, READS_AT_ONCE, async ([subject, { key }]) => {
    const object = await readOrReport(report, key, () => readObject(store, key));
    if (object === null || object === 'unreadable') return;
    try {
      decodeSignatures(object.bytes, subject);
    } catch (error) {
      if (!(error instanceof SignaturesError)) throw error;
      await report('signatures', key, error.message, async () => {
        await store.delete([key]);
        return true;
      });
    }
  });
}
