/**
 * A tree of Pulp 2 at the edge: crane's decision table beside Gantry's answers, the rule that each form is what was
 * uploaded (Pulp issue 3258), and the commands of docs/how-to/pulp2.md.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { payloadOf } from '../../src/manifest/signing/jws.ts';
import { MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import { blocksOf, ROOT } from '../docs/blocks.ts';
import { digestOf } from '../publisher/gc-bucket.ts';
import { listOf, makeImage, publishInPulp, schema1Of } from '../publisher/pulp-tree.ts';
import { type GantryServer, startGantry } from './gantry-server.ts';
import { get, type Got, reasonOf } from './origin-edge.ts';
import { gantry, run } from './programs.ts';

const NAME = 'rhel7/app';
const LIST = MEDIA_TYPE_OF_FORM['docker-list'];
const V2 = MEDIA_TYPE_OF_FORM['docker-schema2'];
const V1 = MEDIA_TYPE_OF_FORM['docker-schema1'];

const [amd64, arm64, old, plain] = [makeImage('amd64'), makeImage('arm64', 'arm64'), makeImage('old'), makeImage('v2')];
const list = listOf({ amd64, arm64 });
const schema1 = {
  first: schema1Of(old, NAME, 'first'),
  both: schema1Of(amd64, NAME, 'both'),
  all: schema1Of(amd64, NAME, 'all'),
};
const unfit = makeUnfit();

let folder: string;
let tree: string;
let server: GantryServer;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-pulp2-'));
  tree = join(folder, 'published');
  await publishInPulp(tree, {
    id: 'app',
    name: NAME,
    version: 4,
    tags: {
      first: { schema1: schema1.first },
      second: { schema2: plain.schema2 },
      both: { schema1: schema1.both, schema2: amd64.schema2 },
      list: { list },
      all: { list, schema2: amd64.schema2, schema1: schema1.all },
      unfit: { schema2: unfit.schema2 },
    },
    images: [amd64, arm64, old, plain, unfit],
  });
  await publishInPulp(tree, {
    id: 'busybox',
    name: 'busybox',
    version: 3,
    tags: { latest: { schema2: plain.schema2 } },
    images: [plain],
  });
  env = { ...process.env, HOME: folder, GANTRY_KEY: join(folder, 'key.pem'), NO_COLOR: '1' };
  const file = join(folder, 'pulp.yaml');
  await writeFile(file, `repositories:\n  - from: pulp2:${tree}\n    repositories: ['rhel7/*']\n    to: '*'\n`);
  const state = join(folder, 'state');
  const { code, stdout, stderr } = await gantry(['sync', file, '--state', state], { env });
  if (code !== 0) throw new Error(stdout + stderr);
  server = await startGantry(state, { env });
}, 300_000);

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const pull = (reference: string, accept?: string): Promise<Got> =>
  get(`${server.url}/v2/${NAME}/manifests/${reference}`, {
    headers: { 'user-agent': 'docker/1.9.1 go/go1.4.2 kernel/3.19.0 os/linux arch/amd64', ...(accept && { accept }) },
  });

/** What an answer is, by its bytes: a form that was uploaded, a derived one, or the status with the reason. */
function kindOf({ status, body, headers }: Got): string {
  if (status !== 200) return `${String(status)} ${reasonOf({ body } as Got)}`;
  const uploaded = Object.entries({
    'the list': list,
    'the uploaded schema 1': [schema1.first, schema1.both, schema1.all],
    'the uploaded schema 2': [amd64.schema2, plain.schema2, unfit.schema2],
    'the schema 2 for arm64': arm64.schema2,
  }).find(([, bytes]) => [bytes].flat().some((one) => body.equals(one)));
  const type = String(headers['content-type']);
  return uploaded?.[0] ?? `a derived ${type === V1 ? 'schema 1' : type === V2 ? 'schema 2' : type}`;
}

describe('crane’s decision table (its /v2/ view), and what the edge answers', () => {
  it.each<[row: string, tag: string, accept: string | undefined, crane: string, edge: string]>([
    ['4, 8', 'first', V1, 'the uploaded schema 1', 'the uploaded schema 1'],
    ['4, 8', 'first', undefined, 'the uploaded schema 1', 'the uploaded schema 1'],
    ['8, other on purpose', 'first', V2, 'the uploaded schema 1', 'a derived schema 2'],
    ['5', 'all', `${LIST}, ${V2}`, 'the list', 'the list'],
    ['5', 'list', LIST, 'the list', 'the list'],
    ['6a', 'list', V2, 'the uploaded schema 2', 'the uploaded schema 2'],
    ['6c', 'all', V1, 'the uploaded schema 1', 'the uploaded schema 1'],
    ['6c, other on purpose', 'list', V1, '404', 'a derived schema 1'],
    ['7', 'both', V2, 'the uploaded schema 2', 'the uploaded schema 2'],
    ['8', 'both', V1, 'the uploaded schema 1', 'the uploaded schema 1'],
    ['8', 'both', undefined, 'the uploaded schema 1', 'the uploaded schema 1'],
    ['7', 'second', V2, 'the uploaded schema 2', 'the uploaded schema 2'],
    ['8, other on purpose', 'second', V1, '404', 'a derived schema 1'],
    ['8, other on purpose', 'second', undefined, '404', 'a derived schema 1'],
    ['8', 'unfit', V1, '404', '404 schema1-history-mismatch'],
  ])('row %s: %s with Accept %s: crane gives %s', async (row, tag, accept, crane, edge) => {
    const answer = kindOf(await pull(tag, accept));
    expect(answer).toBe(edge);
    // What is not named as a difference is none.
    expect(row.includes('on purpose')).toBe(edge.replace(/^404 .*/, '404') !== crane);
  });

  it('gives what a digest names to clients that accept it; crane gives schema 1 to all (row 8)', async () => {
    const answers: Record<string, string> = {};
    for (const [what, digest] of [
      ['schema 1', digestOf(payloadOf(schema1.both))],
      ['schema 2', digestOf(amd64.schema2)],
      ['list', digestOf(list)],
    ] as const)
      for (const [title, accept] of Object.entries({ 'schema 1': V1, 'schema 2': V2, all: `${V1}, ${V2}, ${LIST}` }))
        answers[`${what} for ${title}`] = kindOf(
          await get(`${server.url}/v2/${NAME}/manifests/${digest}`, { headers: { accept } }),
        );
    expect(answers).toEqual({
      'schema 1 for schema 1': 'the uploaded schema 1',
      'schema 1 for schema 2': '404 form-not-published',
      'schema 1 for all': 'the uploaded schema 1',
      'schema 2 for schema 1': '404 manifest-too-new',
      'schema 2 for schema 2': 'the uploaded schema 2',
      'schema 2 for all': 'the uploaded schema 2',
      'list for schema 1': '404 manifest-too-new',
      'list for schema 2': '404 form-not-published',
      'list for all': 'the list',
    });
  });

  it('names schema 1 by its own type, where crane says application/json (rows 3, 4, 6 and 8)', async () => {
    expect((await pull('first')).headers['content-type']).toBe(V1);
  });
});

describe('each form is what was uploaded (Pulp issue 3258)', () => {
  it('schema 1 beside schema 2 stays what it was, and so does schema 2, byte for byte, by tag and by digest', async () => {
    expect((await pull('both', V1)).body.equals(schema1.both)).toBe(true);
    expect((await pull('both', V2)).body.equals(amd64.schema2)).toBe(true);
    const digest = String((await pull('both', V1)).headers['docker-content-digest']);
    expect(digest).toBe(digestOf(payloadOf(schema1.both)));
  });

  it('stays so after the next sync, and when a second schema comes later', async () => {
    const latest = schema1Of(plain, NAME, 'second');
    await publishInPulp(tree, {
      id: 'more',
      name: 'more/app',
      version: 4,
      tags: { late: { schema1: latest, schema2: plain.schema2 } },
      images: [plain],
    });
    const one = (path: string): Promise<string> => readFile(path, 'utf8');
    expect(await one(join(tree, 'v2', 'app', 'more.json'))).toContain('more/app');
    await server.close();
    const state = join(folder, 'state');
    // First the schema 2 alone, then both: as an administrator who uploads one after the other.
    await publishInPulp(join(folder, 'half'), {
      id: 'more',
      name: 'more/app',
      version: 4,
      tags: { late: { schema2: plain.schema2 } },
      images: [plain],
    });
    for (const root of [join(folder, 'half'), tree]) {
      const result = await gantry(
        ['publish', `pulp2:${join(root, 'v2', 'app', 'more.json')}:late`, 'more/app:late', '--state', state],
        { env },
      );
      expect(result.stderr + String(result.code)).toMatch(/0$/);
    }
    server = await startGantry(state, { env });
    for (const [accept, bytes] of [
      [V1, latest],
      [V2, plain.schema2],
    ] as const) {
      const got = await get(`${server.url}/v2/more/app/manifests/late`, { headers: { accept } });
      expect([got.status, got.body.equals(bytes)]).toEqual([200, true]);
    }
  }, 120_000);

  it('where neither can be given, the 404 says why', async () => {
    const got = await pull('unfit', V1);
    const { errors } = JSON.parse(got.body.toString()) as { errors: { message: string }[] };
    expect([got.status, reasonOf(got)]).toEqual([404, 'schema1-history-mismatch']);
    expect(errors[0]?.message).toMatch(/schema 1/i);
  });
});

describe('the commands of docs/how-to/pulp2.md', () => {
  it('run, in their order, over a tree of Pulp 2', async () => {
    const blocks = blocksOf(await readFile(join(ROOT, 'docs', 'how-to', 'pulp2.md'), 'utf8'));
    const commands = blocks.filter(({ language, needs }) => language === 'sh' && needs[0] === 'network');
    const [yaml] = blocks.filter(({ language }) => language === 'yaml');
    expect(commands.length).toBeGreaterThan(2);
    await server.close();
    const [work, bin, state] = ['work', 'bin', 'docs-state'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    for (const one of [work, bin]) await mkdir(one, { recursive: true });
    const main = join(ROOT, 'bin', 'gantry.js');
    await writeFile(
      join(bin, 'gantry'),
      `#!/bin/sh\ncase "$1" in doctor) ;; *) set -- "$@" --state '${state}' ;; esac\nexec '${process.execPath}' '${main}' "$@"\n`,
    );
    await chmod(join(bin, 'gantry'), 0o755);
    const here = (text: string): string => text.replaceAll('/var/lib/pulp/published/docker', tree);
    await writeFile(join(work, 'pulp.yaml'), here(yaml?.text ?? ''));
    let edge: GantryServer | null = null;
    try {
      for (const { text, line } of commands) {
        // One program at a time opens a local store: the edge stands while only clients run.
        const needsEdge = text.includes('registry.example.com');
        if (needsEdge) edge ??= await startGantry(state, { env });
        const script = here(text).replaceAll('https://registry.example.com', edge?.url ?? '');
        const result = await run('sh', ['-eu', '-c', script], {
          cwd: work,
          env: { ...env, PATH: `${bin}:${process.env.PATH ?? ''}` },
        });
        expect(`line ${String(line)}: ${script}\n${result.stdout}${result.stderr}exit ${String(result.code)}`).toMatch(
          /exit 0$/,
        );
      }
    } finally {
      await edge?.close();
      server = await startGantry(join(folder, 'state'), { env });
    }
  }, 600_000);
});

/** A schema 2 that no schema 1 can be made of: its config has the history of more layers than it has. */
function makeUnfit(): ReturnType<typeof makeImage> {
  const image = makeImage('unfit');
  const config = JSON.parse(Buffer.from(image.config).toString()) as { history: object[] };
  config.history.push({ created: '2017-03-01T12:00:00Z', created_by: 'a layer that is not there' });
  const bytes = Buffer.from(JSON.stringify(config));
  const manifest = JSON.parse(Buffer.from(image.schema2).toString()) as { config: object };
  manifest.config = { ...manifest.config, size: bytes.length, digest: digestOf(bytes) };
  return { ...image, config: bytes, schema2: Buffer.from(JSON.stringify(manifest)) };
}
