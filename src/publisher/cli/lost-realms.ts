import { lostRealms, lostRealmsMessage, readFormat } from '../../bucket/format.ts';
import type { RealmTable } from '../../registry/realms.ts';
import type { Target } from '../stores/target.ts';
import { CommandError } from './errors.ts';

/**
 * Throws {@link CommandError} if the table has no protected realm, and the bucket was written with some: what the rules
 * protected would be published, or served, to everybody.
 */
export async function refuseLostRealms(
  { store, title }: Pick<Target, 'store' | 'title'>,
  table: RealmTable,
): Promise<void> {
  const lost = lostRealms(await readFormat(store), table);
  if (lost.length === 0) return;
  const { message, hint } = lostRealmsMessage(lost);
  throw new CommandError(`${title}: ${message}`, { hint });
}
