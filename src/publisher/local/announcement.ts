import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';

/** How to reach the process that has a local store open. */
export interface Announcement {
  readonly pid: number;
  /** A server, or a command that ends by itself. */
  readonly kind: 'server' | 'command';
  /** The registry's URL, for a server. */
  readonly url: string | null;
  /** The S3 API on loopback. */
  readonly endpoint: string;
  readonly bucket: string;
  /** Created at each start: a process that can read this file may write to the store. */
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /**
   * The simulator's processes: if their parent is killed and they are not, the next process to take the lock ends them.
   */
  readonly simulators: readonly number[];
}

/** Writes the announcement, readable only by this user. */
export async function announce(path: string, announcement: Announcement): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, `${JSON.stringify(announcement, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, path);
}

/** Removes the announcement. */
export async function withdraw(path: string): Promise<void> {
  await rm(path, { force: true });
}

/**
 * Reads the announcement; null if it is missing or not valid. It may be left over from a killed process, so check the
 * endpoint.
 */
export async function readAnnouncement(path: string): Promise<Announcement | null> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { pid, kind, url, endpoint, bucket, accessKeyId, secretAccessKey, simulators } = value as Record<
    string,
    unknown
  >;
  if (typeof pid !== 'number' || (kind !== 'server' && kind !== 'command') || (url !== null && typeof url !== 'string'))
    return null;
  if (
    typeof endpoint !== 'string' ||
    typeof bucket !== 'string' ||
    typeof accessKeyId !== 'string' ||
    typeof secretAccessKey !== 'string'
  )
    return null;
  const pids = Array.isArray(simulators) ? simulators.filter((one) => typeof one === 'number') : [];
  return { pid, kind, url, endpoint, bucket, accessKeyId, secretAccessKey, simulators: pids };
}
