import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseDuration } from '../../src/publisher/cli/duration.ts';
import { register as registerGc } from '../../src/publisher/commands/gc.ts';
import { register as registerVerify } from '../../src/publisher/commands/verify.ts';
import { baseOf, register as registerDoctor } from '../../src/publisher/commands/doctor.ts';
import { readEnvironment } from '../../src/publisher/cli/environment.ts';
import { readRealmTable } from '../../src/publisher/cli/realm-table.ts';
import type { OpenTarget } from '../../src/publisher/stores/target.ts';
import { Bucket, tagOf, Writer } from './gc-bucket.ts';
import { tagKey } from '../../src/registry/keys.ts';
import { startEdge } from './doctor-edge.ts';

let bucket: Bucket;

/** Runs a command line; gives what it printed and its exit code. */
async function gantry(...args: readonly string[]): Promise<{ stdout: string; code: number }> {
  const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  const openTarget: OpenTarget = () =>
    Promise.resolve({ store: bucket, title: 'a bucket in memory', close: () => Promise.resolve() });
  const environment = readEnvironment(['node', 'gantry', ...args], {});
  registerGc(program, openTarget, environment);
  registerVerify(program, openTarget, environment);
  registerDoctor(program, openTarget, environment);
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    written.push(String(chunk));
    return true;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return { stdout: written.join(''), code: Number(process.exitCode ?? 0) };
  } finally {
    spy.mockRestore();
    process.exitCode = undefined;
  }
}

beforeEach(async () => {
  bucket = new Bucket();
  bucket.now = Date.now();
  const writer = new Writer(bucket, 'library/app');
  await writer.tag('v1', [await writer.image('kept')]);
  await writer.image('lost');
});

describe('gantry gc', () => {
  it('says what it would do, and does it with --delete', async () => {
    const before = bucket.keys();
    const looked = await gantry('gc', '--grace', '0');
    expect(looked.stdout).toMatch(/would be deleted +3/);
    expect(bucket.keys()).toEqual(before);
    expect((await gantry('gc', '--grace', '0', '--delete')).stdout).toMatch(/deleted +3/);
    expect(bucket.keys()).toHaveLength(before.length - 3 + 1);
  });

  it('notes first, and says when it will delete', async () => {
    const { stdout, code } = await gantry('gc', '--delete');
    expect(stdout).toMatch(/waits {2}3 objects, \d+ B: a run after \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
    expect(code).toBe(0);
  });

  it('prints JSON, and nothing else, with --json', async () => {
    expect(JSON.parse((await gantry('gc', '--json', '--grace', '0')).stdout)).toMatchObject({
      kept: { tags: 1, manifests: { objects: 1 }, blobs: { objects: 2 } },
      unreferenced: { manifest: { objects: 1 }, blob: { objects: 2 }, referrers: { objects: 0 } },
      due: [{ kind: 'manifest' }, { kind: 'blob' }, { kind: 'blob' }],
      waiting: null,
      deleted: { objects: 0 },
    });
  });

  it('ends with 1 where something could not be read, and says what is kept for it', async () => {
    await bucket.put(tagKey(new Writer(bucket, 'library/app').name, tagOf('broken')), new Uint8Array(1), {
      contentType: 'x',
    });
    const { stdout, code } = await gantry('gc', '--grace', '0', '--delete');
    expect(code).toBe(1);
    expect(stdout).toContain('everything of the repository library/app: its tag broken cannot be read');
  });

  it('fits a narrow terminal', async () => {
    await bucket.put(tagKey(new Writer(bucket, 'library/app').name, tagOf('broken')), new Uint8Array(1), {
      contentType: 'x',
    });
    const { stdout } = await gantry('gc', '--delete');
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it.each(['1 day', '-1h', '24', ''])('refuses --grace "%s"', async (grace) => {
    await expect(gantry('gc', `--grace=${grace}`)).rejects.toMatchObject({ kind: 'usage' });
  });

  it.each([
    ['0', 0],
    ['90m', 5_400_000],
    ['24h', 86_400_000],
    ['1.5d', 129_600_000],
    ['2w', 1_209_600_000],
    ['h', null],
  ])('reads the duration %s', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });
});

describe('gantry verify', () => {
  it('ends with 1 as long as faults remain, and with 0 once they are repaired', async () => {
    const found = await gantry('verify');
    expect(found.code).toBe(1);
    expect(found.stdout).toMatch(/tag list wrong\n +repositories\/library\/app\/_tags.json +it is missing/);
    const repaired = await gantry('verify', '--repair');
    expect(repaired.code).toBe(0);
    expect(repaired.stdout).toContain('2 faults, 2 repaired');
    expect((await gantry('verify')).stdout).toContain('nothing wrong');
  });

  it('prints JSON with --json', async () => {
    expect(JSON.parse((await gantry('verify', 'library/app', '--json')).stdout)).toMatchObject({
      tags: 1,
      faults: [{ kind: 'tag-list', repaired: false }],
    });
  });

  it.each([
    ['verify', 'Library/App'],
    ['verify', '--sample', '120%'],
    ['verify', '--sample', 'half'],
    ['verify', '--jobs', '0'],
  ])('refuses %s %s %s', async (...args) => {
    await expect(gantry(...args)).rejects.toMatchObject({ kind: 'usage' });
  });
});

describe('gantry doctor', () => {
  it('ends with 0 where every client can pull', async () => {
    const edge = await startEdge('tags-unsorted');
    const { stdout, code } = await gantry('doctor', edge.url);
    await edge.close();
    expect(code).toBe(0);
    expect(stdout).toMatch(/✓ Docker 1\.6 +sha256:[0-9a-f]{12} {2}Docker schema 1/);
    expect(stdout).toContain('0 errors, 0 warnings, 1 note');
  });

  it('ends with 1 where some cannot, and says what to do, in lines that fit', async () => {
    const edge = await startEdge('cache-ignores-vary');
    const { stdout, code } = await gantry('doctor', edge.url);
    await edge.close();
    expect(code).toBe(1);
    expect(stdout).toContain('A cache sends every client the answer of the first one');
    expect(stdout).toMatch(/✗ crane/);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('groups sightings in JSON, with what to do', async () => {
    const edge = await startEdge('no-vary');
    const { stdout } = await gantry('doctor', edge.url, '--json');
    await edge.close();
    const { findings } = JSON.parse(stdout) as { findings: { id: string; clients: string[]; todo: string }[] };
    expect(findings.map(({ id }) => id)).toEqual(['vary-missing']);
    expect(findings[0]?.clients).toContain('crane, Kaniko');
  });

  it.each([
    ['registry.example.com', 'https://registry.example.com/'],
    ['localhost:5000', 'http://localhost:5000/'],
    ['127.0.0.1:5000', 'http://127.0.0.1:5000/'],
    ['http://registry.example.com/v2/', 'http://registry.example.com/'],
  ])('takes %s for %s', (text, url) => {
    expect(baseOf(text).href).toBe(url);
  });

  it.each(['ftp://x', 'https://', 'https://me:secret@x', 'https://x/library/app', 'a b'])('refuses %s', (text) => {
    expect(() => baseOf(text)).toThrow(expect.objectContaining({ kind: 'usage' }));
  });
});

describe('the realm table', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-realms-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is the one that the Worker reads', async () => {
    const file = join(folder, 'wrangler.toml');
    await writeFile(file, 'name = "x"\n[vars]\nREALMS = [{ pattern = "secret/*", realm = "secret" }]\n');
    expect(await readRealmTable(file)).toEqual([{ pattern: 'secret/*', realm: 'secret' }]);
  });

  it.each([
    ['a table that is half understood', '[vars]\nREALMS = [{ pattern = "secret/*" }]\n'],
    ['what is no TOML', 'vars = ['],
    ['a file that is not there', null],
  ])('refuses %s', async (_, content) => {
    const file = join(folder, 'wrangler.toml');
    if (content !== null) await writeFile(file, content);
    await expect(readRealmTable(file)).rejects.toMatchObject({ name: 'CommandError' });
  });
});
