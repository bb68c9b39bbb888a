/** SIGTERM ends the command soon, whatever it waits for. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { titleOf } from '../attacks.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/gantry.js', import.meta.url));
const INTERRUPT = fileURLToPath(new URL('../../src/publisher/cli/interrupt.ts', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-interrupt-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Starts a program, waits for `sign` on standard error, sends SIGTERM; returns how it ended and after what time. */
async function interrupted(args: readonly string[], sign: RegExp) {
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  try {
    let text = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (sign.test(text)) resolve();
      });
      child.once('exit', () => reject(new Error(text)));
    });
    const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    const before = performance.now();
    child.kill('SIGTERM');
    const [code, signal] = await ended;
    return { code, signal, text, milliseconds: performance.now() - before };
  } finally {
    child.kill('SIGKILL');
  }
}

describe(titleOf('publisher-unstoppable'), () => {
  test('standard input that is silent', { timeout: 60_000 }, async () => {
    const run = await interrupted([LAUNCHER, 'publish', 'docker-archive:-', 'a/b:c'], /is copied to a temporary file/);
    expect(run.code).toBe(143);
    expect(run.milliseconds).toBeLessThan(2000);
  });

  test('a named pipe whose writer is silent', { timeout: 60_000 }, async () => {
    const path = join(folder, 'fifo');
    spawnSync('mkfifo', [path]);
    const writer = await open(path, 'r+');
    const run = await interrupted([LAUNCHER, 'publish', `oci-archive:${path}`, 'a/b:c'], /is a named pipe/);
    await writer.close();
    expect(run.code).toBe(143);
    expect(run.milliseconds).toBeLessThan(2000);
  });

  test('a read that never returns', { timeout: 60_000 }, async () => {
    // Opening a pipe without a writer blocks a thread, as a file system that has gone away does.
    const path = join(folder, 'blocked');
    spawnSync('mkfifo', [path]);
    const script = join(folder, 'blocked.mjs');
    await writeFile(
      script,
      `import { abortOnInterrupt } from ${JSON.stringify(INTERRUPT)};
import { readFile } from 'node:fs/promises';
abortOnInterrupt();
const reading = readFile(${JSON.stringify(path)});
process.stderr.write('waiting\\n');
await reading;`,
    );
    const run = await interrupted([script], /waiting/);
    expect(run.signal).toBe('SIGTERM');
    expect(run.milliseconds).toBeLessThan(2000);
  });
});
