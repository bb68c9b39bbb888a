/** Finds that a deployment lost its realm table. */
import { lostRealms, lostRealmsMessage, readFormat } from '../../bucket/format.ts';
import { protectedRealmsOf } from '../../registry/realms.ts';
import { StorageError } from '../../registry/store.ts';
import { logFailure } from '../log/event.ts';
import type { Config } from '../config.ts';
import { r2Store } from '../storage/r2-store.ts';

/**
 * Logs an error if the table has no protected realm, and the bucket was written with some. Objects with the mark of a
 * realm are hidden all the same (bucket/realm-mark.ts); those from before marks existed are not. Never throws.
 */
export async function reportLostRealms({ realms, bucket }: Pick<Config, 'realms' | 'bucket'>): Promise<void> {
  if (protectedRealmsOf(realms).length > 0) return;
  try {
    const lost = lostRealms(await readFormat(r2Store(bucket, { head: 0, get: 0 })), realms);
    if (lost.length === 0) return;
    const { message, hint } = lostRealmsMessage(lost);
    logFailure('realms-lost', { realms: lost, message: `${message}. ${hint}` });
  } catch (error) {
    // Requests report a bucket that cannot be read.
    if (!(error instanceof StorageError)) throw error;
  }
}
