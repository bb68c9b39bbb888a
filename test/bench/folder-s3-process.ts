import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { end } from '../interop/programs.ts';

/** Starts folder-s3.ts over a folder below `folder`. `env`: variables for the command. Its bucket may have any name. */
export async function startFolderS3(
  folder: string,
): Promise<{ readonly env: Readonly<Record<string, string>>; close(): Promise<unknown> }> {
  const files = join(folder, 'folder-s3');
  await mkdir(files);
  const child = spawn(process.execPath, [fileURLToPath(new URL('./folder-s3.ts', import.meta.url)), files], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    env: {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${port.toString().trim()}`,
      AWS_ACCESS_KEY_ID: 'bench',
      AWS_SECRET_ACCESS_KEY: 'bench',
    },
    close: () => end(child),
  };
}
