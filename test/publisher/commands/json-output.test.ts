/** The JSON of every command is what docs/reference/json-output.schema.json says. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERBS } from '../../../src/publisher/program.ts';
import { gantry } from '../../interop/programs.ts';
import { DESCRIBED, expectDescribed } from '../../json-output.ts';
import { writeDirImage, writeDirList } from '../dir-image.ts';
import { startEdge } from '../doctor-edge.ts';
import { Bucket } from '../gc-bucket.ts';
import { runGantry } from './command-line.ts';

/** Commands whose output is no JSON. */
const NOT_JSON: ReadonlySet<string> = new Set(['completion']);

let folder: string;
let bucket: Bucket;
let image: Awaited<ReturnType<typeof writeDirImage>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-json-'));
  image = await writeDirImage(join(folder, 'image'));
  bucket = new Bucket();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a command with --json, checks each line (or the whole, where it is one text), and gives the texts. */
async function check(of: string, args: readonly string[], events = false): Promise<readonly string[]> {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const command = [...args.slice(0, end), '--json', ...args.slice(end)];
  const { stdout } = await runGantry(bucket, command, { GANTRY_KEY: join(folder, 'key.pem') });
  expect(stdout).not.toBe('');
  const texts = events ? stdout.trim().split('\n') : [stdout];
  for (const text of texts) expectDescribed(of, text);
  return texts;
}

describe('--json', () => {
  it('is described for every command', () => {
    expect(VERBS.filter((verb) => !NOT_JSON.has(verb) && !DESCRIBED.includes(verb))).toEqual([]);
  });

  it('publish, ls, inspect, explain, verify, gc, rm', async () => {
    const list = await writeDirList(join(folder, 'list'), [
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm', variant: 'v7' },
    ]);
    const oci = await writeDirImage(join(folder, 'oci'), { form: 'oci-manifest', layers: 1 });
    await check('publish', ['publish', image.source, 'a/b:1', '--dry-run'], true);
    await check('publish', ['publish', image.source, 'a/b:1'], true);
    await check('publish', ['publish', image.source, 'a/b:1'], true);
    await check('publish', ['publish', oci.source, 'a/b:1', '--recompress'], true);
    await check('publish', ['publish', oci.source, 'a/b:oci'], true);
    await check('publish', ['publish', list.source, 'a/b:list'], true);
    await check('ls', ['ls']);
    await check('ls', ['ls', 'a/b']);
    await check('inspect', ['inspect', 'a/b']);
    for (const tag of ['1', 'oci', 'list']) {
      await check('inspect', ['inspect', `a/b:${tag}`]);
      await check('explain', ['explain', `a/b:${tag}`]);
    }
    await check('inspect', ['inspect', `a/b@${list.digest}`]);
    await check('explain', ['explain', 'a/b:1', '--accept', 'text/plain']);
    await check('explain', ['explain', 'a/b:1', '--user-agent', 'docker/1.9.1']);
    await check('verify', ['verify']);
    for (const key of bucket.keys()) if (key.startsWith('blobs/')) bucket.objects.delete(key);
    await check('verify', ['verify', '--repair']);
    await check('prune', ['prune', '--keep', '1', '--dry-run']);
    await check('rm', ['rm', 'a/b:1', '--dry-run']);
    await check('rm', ['rm', 'a/b']);
    await check('gc', ['gc']);
  });

  it('config', async () => {
    await check('config', ['config', 'list']);
    await check('config', ['config', 'set', 'immutable', 'v*', '--repository', 'team/*', '--allow-force']);
    await check('config', ['config', 'get', 'immutable']);
    await check('config', ['config', 'unset', 'immutable']);
  });

  it('sync', async () => {
    const config = join(folder, 'sync.yaml');
    await writeFile(config, 'repositories:\n  - from: docker://127.0.0.1:1/none\n    to: c/d\n');
    await check('sync', ['sync', config], true);
  });

  it('key, token, convert', async () => {
    await check('key', ['key', 'create', '--force']);
    await check('key', ['key', 'show']);
    await check('token', ['token', 'create', '--name', 'ci', '--realm', 'team']);
    const tokens = join(folder, 'tokens');
    await writeFile(tokens, `ci team never sha256:${'A'.repeat(43)}\n`);
    await check('token', ['token', 'list', tokens]);
    const files = { manifest: join(folder, 'image', 'manifest.json'), config: '' };
    const { config } = JSON.parse(await readFile(files.manifest, 'utf8')) as { config: { digest: string } };
    files.config = join(folder, 'image', config.digest.replace('sha256:', ''));
    await check('convert', [
      'convert',
      '--manifest',
      files.manifest,
      '--config',
      files.config,
      '--name',
      'a',
      '--tag',
      '1',
    ]);
  });

  it('doctor', async () => {
    for (const fault of [null, 'schema2-to-all'] as const) {
      const edge = await startEdge(fault);
      try {
        await check('doctor', ['doctor', edge.url]);
      } finally {
        await edge.close();
      }
    }
  });

  it('receive', async () => {
    const texts = await check('receive', ['receive', '--listen', '127.0.0.1:0', '--', 'true'], true);
    expect(texts).toHaveLength(1);
  });

  it('of a failure', async () => {
    await check('error', ['ls', 'no/such']);
    await check('error', ['frobnicate']);
    await check('error', ['publish', 'dir:/none', 'a/b:1']);
    // Commander's own errors are printed where the process ends.
    expectDescribed('error', (await gantry(['publish', '--nonsense', '--json'])).stdout);
  });
});
