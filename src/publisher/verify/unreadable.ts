/**
 * Reads of `verify`: what storage does not give is a fault of that object, and no reason to leave the others unread.
 */
import { NewerVersionError } from '../../registry/unreadable-record.ts';
import type { Report } from './faults.ts';

/**
 * Calls `read`; reports an object that storage fails to give, and gives `'unreadable'`. `what` stands before the
 * reason. Rethrows errors of the program.
 */
export async function readOrReport<T>(
  report: Report,
  where: string,
  read: () => Promise<T>,
  what?: string,
): Promise<T | 'unreadable'> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) throw error;
    const message = what === undefined ? error.message : `${what}: ${error.message}`;
    await report(error instanceof NewerVersionError ? 'newer' : 'unreadable', where, message);
    return 'unreadable';
  }
}
