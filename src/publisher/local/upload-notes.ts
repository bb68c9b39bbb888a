/**
 * Records of unfinished uploads in files: the simulator can resume an upload but not list its parts. A file has a line
 * for the upload and one for each part, so that it stays correct if the process is killed. Its name contains the
 * process ID: an upload is not resumed while that process runs.
 */
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SentPart, UnfinishedUpload, UnfinishedUploads } from '../stores/unfinished-uploads.ts';
import { objectOf } from '../../registry/values/json.ts';
import { isAlive } from './process.ts';

/** Keeps records of uploads in the folder. */
export function notedUploads(folder: string): UnfinishedUploads {
  return {
    keepsNotes: true,
    find: async (key) => {
      const stem = stemOf(key);
      for (const name of await readdir(folder)) {
        const match = name.startsWith(stem) ? /\.(\d+)\.[0-9a-f]+$/.exec(name) : null;
        if (match === null || isAlive(Number(match[1]))) continue;
        const taken = join(folder, `taken.${randomBytes(6).toString('hex')}`);
        try {
          await rename(join(folder, name), taken);
        } catch {
          // Another process has resumed it.
          continue;
        }
        const upload = parseNotes(await readFile(taken, 'utf8'));
        await rm(taken, { force: true });
        if (upload !== null) return upload;
      }
      return null;
    },
    note: async (key, { uploadId, parts }) => {
      const file = join(folder, `${stemOf(key)}.${String(process.pid)}.${randomBytes(6).toString('hex')}`);
      await writeFile(
        file,
        [JSON.stringify({ uploadId }), ...parts.map((part) => JSON.stringify(part)), ''].join('\n'),
        { mode: 0o600 },
      );
      return {
        sent: (part) => appendFile(file, `${JSON.stringify(part)}\n`),
        ended: () => rm(file, { force: true }),
      };
    },
  };
}

function stemOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** Parses a record; its last line may be incomplete. */
function parseNotes(text: string): UnfinishedUpload | null {
  const lines = text.split('\n').slice(0, -1);
  try {
    const [head, ...parts] = lines.map((line) => JSON.parse(line) as unknown);
    const uploadId = (head as { uploadId?: unknown } | undefined)?.uploadId;
    return typeof uploadId === 'string' ? { uploadId, parts: parts.filter(isPart) } : null;
  } catch {
    return null;
  }
}

function isPart(value: unknown): value is SentPart {
  const { number, size, md5, etag } = objectOf(value);
  return typeof number === 'number' && typeof size === 'number' && typeof md5 === 'string' && typeof etag === 'string';
}
