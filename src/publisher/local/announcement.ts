import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';

/** How to reach whoever has a local store open. */
export interface Announcement {
  readonly pid: number;
  /** A server that stays, or a command that is gone when it is done. */
  readonly kind: 'server' | 'command';
  /** Where a server serves images. */
  readonly url: string | null;
  /** The S3 API on loopback. */
  readonly endpoint: string;
  readonly bucket: string;
  /** Made anew at every start: whoever can read this file may write. */
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Writes it, readable by nobody else. */
export async function announce(path: string, announcement: Announcement): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, `${JSON.stringify(announcement, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, path);
}

/** Takes it away. */
export async function withdraw(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Reads it; null if there is none, or one that cannot be understood. It may be left over from a process that was killed: try the endpoint. */
export async function readAnnouncement(path: string): Promise<Announcement | null> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { pid, kind, url, endpoint, bucket, accessKeyId, secretAccessKey } = value as Record<string, unknown>;
  if (typeof pid !== 'number' || (kind !== 'server' && kind !== 'command') || (url !== null && typeof url !== 'string'))
    return null;
  if (
    typeof endpoint !== 'string' ||
    typeof bucket !== 'string' ||
    typeof accessKeyId !== 'string' ||
    typeof secretAccessKey !== 'string'
  )
    return null;
  return { pid, kind, url, endpoint, bucket, accessKeyId, secretAccessKey };
}
