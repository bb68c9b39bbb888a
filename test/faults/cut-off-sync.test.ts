/** A sync that was killed ahead of a list is mended by the same command, whatever it finds to be unchanged. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { missingPrograms, titleWith, until } from '../interop/programs.ts';
import { type Running, startGantryProcess } from './processes.ts';
import { byRules } from './random.ts';
import { openStorage, type StorageBed } from './storage.ts';
import { startUpstreamBed, type UpstreamBed } from './upstream.ts';

const missing = missingPrograms('docker-registry');
const TAGS = Array.from({ length: 12 }, (_, tag) => `v${String(tag + 10)}`);

describe.skipIf(missing.length > 0)(titleWith('gantry sync, killed', missing), () => {
  let upstream: UpstreamBed;
  let bed: StorageBed;
  let folder: string;

  beforeAll(async () => {
    upstream = await startUpstreamBed();
    for (const tag of TAGS) await upstream.push('src/app', tag, 'one image');
    bed = await openStorage('R2 simulator');
    folder = await mkdtemp(join(tmpdir(), 'gantry-cut-'));
  }, 60_000);
  afterAll(async () => {
    await bed.close();
    await upstream.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    bed.proxy.fault = () => undefined;
  });

  const sync = async (to: string): Promise<Running> => {
    const file = join(folder, 'sync.yaml');
    await writeFile(
      file,
      `repositories:\n  - from: docker://${upstream.registry.host}/src/app\n    to: ${to}\n    tls-verify: false\n    schema1: false\n`,
    );
    return startGantryProcess(['sync', file, '--to', `s3://${bed.bucket}`], {
      ...bed.env('proxy'),
      GANTRY_KEY: join(folder, 'key.pem'),
    });
  };

  it.each([
    ['the first tag list', 'mirror/first', '_tags.json', 0],
    ['the second tag list', 'mirror/second', '_tags.json', 1],
    ['the catalogue', 'mirror/catalogue', 'catalog.json', 0],
  ])('ahead of %s: nothing is unlisted after the next run', async (_, to, file, passed) => {
    const isList = { method: 'PUT', path: new RegExp(`${file}(\\?|$)`) };
    bed.proxy.fault = byRules([
      { ...isList, times: passed, fault: { kind: 'slow', milliseconds: 0 } },
      { ...isList, fault: { kind: 'hang' } },
    ]);
    const before = bed.proxy.counts.faults.get('hang') ?? 0;
    const cut = await sync(to);
    await until(
      'the write of the list',
      () => Promise.resolve((bed.proxy.counts.faults.get('hang') ?? 0) > before),
      25_000,
    );
    cut.kill('SIGKILL');
    await cut.ended;
    bed.proxy.fault = () => undefined;
    const again = await (await sync(to)).ended;
    expect(again.code, again.output).toBe(0);
    const reader = bed.reader();
    expect(await reader.namesIn(`repositories/${to}/_tags.json`)).toEqual(TAGS);
    expect(await reader.namesIn('catalog.json')).toContain(to);
  });
});
