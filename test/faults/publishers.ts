/** Publishers, sync and gc that are killed, stopped and lied to over one bucket: after the next run of the same commands every tag is there, whole, and listed. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../interop/programs.ts';
import { digestOf } from './bucket-reader.ts';
import { blowOf, type Ended, runStruck, startGantryProcess } from './processes.ts';
import type { Seen } from './proxy.ts';
import { byChance, byRules, type Chance, html, pick, randomFrom, s3Error } from './random.ts';
import { openStorage, type Storage, type StorageBed } from './storage.ts';
import { Tally } from './tally.ts';
import { imageOf, startUpstreamBed, type UpstreamBed } from './upstream.ts';

/** How much is done. */
export interface PublishersOptions {
  readonly seed: string;
  readonly storage: Storage;
  /** Rounds, and the time after which no other begins, in milliseconds. */
  readonly rounds: number;
  readonly most: number;
}

const SHARE = 0.12;
const IMAGES = 8;
const TAGS = 5;
const SYNCED_TAGS = 12;
/** Longer than any publisher is stopped or any of its requests held between its look and its tag: that is what gc promises. */
const GRACE = '20s';

const isDelete = ({ method, path }: Seen): boolean => method === 'POST' && /[?&]delete(=|&|$)/.test(path);
const isPut = ({ method }: Seen): boolean => method === 'PUT';
const isRead = ({ method }: Seen): boolean => method === 'GET';

const CHANCES: readonly Chance[] = [
  { weight: 2, fault: () => s3Error(500, 'InternalError') },
  { weight: 2, fault: () => s3Error(503, 'SlowDown') },
  { weight: 1, fault: () => s3Error(429, 'TooManyRequests', { 'retry-after': '1' }) },
  { weight: 1, fault: () => html(502) },
  { weight: 1, when: (seen) => !isPut(seen), fault: () => html(200) },
  { weight: 2, fault: () => ({ kind: 'drop', when: 'before' }) },
  { weight: 3, fault: () => ({ kind: 'drop', when: 'after' }) },
  { weight: 2, fault: (random) => ({ kind: 'slow', milliseconds: Math.floor(random() * 500) }) },
  { weight: 2, when: isRead, fault: (random) => ({ kind: 'cut', after: Math.floor(random() * 400) }) },
  { weight: 1, when: isPut, fault: () => ({ kind: 'no-continue' }) },
  {
    weight: 2,
    when: (seen) => isPut(seen) && seen.headers['if-match'] === undefined,
    fault: () => ({ kind: 'duplicate', times: 1 }),
  },
  {
    weight: 9,
    when: isDelete,
    fault: (random) => ({ kind: 'duplicate', times: 1, milliseconds: Math.floor(random() * 3_000) }),
  },
  { weight: 9, when: isDelete, fault: (random) => ({ kind: 'hold', until: sleep(Math.floor(random() * 6_000)) }) },
];

/** Runs this part. */
export async function runPublishers({ seed, storage, rounds, most }: PublishersOptions): Promise<Tally> {
  const tally = new Tally(storage);
  const folder = await mkdtemp(join(tmpdir(), 'gantry-faults-publishers-'));
  const upstream = await startUpstreamBed({ keepSeen: false });
  const bed = await openStorage(storage);
  try {
    const images = await makeImages(folder);
    for (let tag = 0; tag < SYNCED_TAGS; tag += 1)
      await upstream.push('src/app', `v${String(tag)}`, `synced ${String(tag % 4)}`);
    const key = { GANTRY_KEY: join(folder, 'key.pem') };
    await Promise.all([
      rush({ seed, storage, rounds, most }, { tally, folder, upstream, bed, images, key }),
      deleteLate(storage === 'Ceph RGW' ? 'SIGSTOP' : 'SIGKILL', { tally, folder, upstream, bed, images, key }),
    ]);
  } finally {
    await bed.close();
    await upstream.close();
    await rm(folder, { recursive: true, force: true });
  }
  return tally;
}

interface Scene {
  readonly tally: Tally;
  readonly folder: string;
  readonly upstream: UpstreamBed;
  readonly bed: StorageBed;
  readonly images: readonly { readonly source: string; readonly digest: string }[];
  readonly key: NodeJS.ProcessEnv;
}

async function rush(
  { seed, rounds, most }: PublishersOptions,
  { tally, folder, upstream, bed, images, key }: Scene,
): Promise<void> {
  const to = ['--to', `s3://${bed.bucket}/rush`];
  const reader = bed.reader('rush/');
  const random = randomFrom(`${seed} ${bed.title}`);
  const published = new Map<string, string>();
  const begun = performance.now();
  for (let round = 0; round < rounds && performance.now() - begun < most; round += 1) {
    const tags = Array.from({ length: TAGS }, (_, tag) => `t${String(tag)}`).sort(() => random() - 0.5);
    const file = join(folder, `sync-${String(round)}.yaml`);
    await writeFile(
      file,
      `repositories:\n  - from: docker://${upstream.registry.host}/src/app\n    to: mirror/r${String(round)}\n    tls-verify: false\n    schema1: false\n`,
    );
    const publishes = [0, 1].map((index) => {
      const image = pick(random, images);
      const tag = tags[index] ?? '';
      return { tag, image, args: ['publish', image.source, `rush/app:${tag}`, '--replace', ...to] };
    });
    const commands = [
      ...publishes.map(({ args }) => args),
      ['sync', file, ...to],
      ['gc', '--delete', '--grace', GRACE, ...to],
    ];
    bed.proxy.fault = byChance(`${seed} ${bed.title} ${String(round)}`, SHARE, CHANCES);
    const env = { ...bed.env('proxy'), ...key };
    const ends = await Promise.all(
      commands.map(async (args) => {
        // A gc that is killed in the midst of a sweep costs everybody a lease; it is, now and then.
        const blow = args[0] === 'gc' && random() < 0.7 ? ({ kind: 'none' } as const) : blowOf(random, 2_500);
        const end = await runStruck(args, env, blow);
        if (end.struck) tally.count(blow.kind === 'kill' ? 'kills' : 'stops');
        return end;
      }),
    );
    bed.proxy.fault = () => undefined;
    tally.count('rounds');
    if (round % 10 === 9) process.stderr.write(`${bed.title}: ${String(round + 1)} rounds\n`);
    await runAgain(commands, ends, { ...bed.env('proxy'), ...key }, tally);
    for (const { tag, image } of publishes) published.set(tag, image.digest);
    await check(reader, published, round, tally);
  }
  await bed.proxy.settled();
  const { tags, findings } = await reader.everything();
  for (const { kind, what } of findings) tally.add(kind, `at the end: ${what}`);
  tally.count('tags at the end', tags);
  tally.count('requests to the server', bed.proxy.counts.requests);
  for (const [kind, count] of bed.proxy.counts.faults) tally.count(`fault: ${kind}`, count);
}

/** The same commands, without faults and to their end; gc only where it was cut off. */
async function runAgain(
  commands: readonly (readonly string[])[],
  ends: readonly Ended[],
  env: NodeJS.ProcessEnv,
  tally: Tally,
): Promise<void> {
  for (const [index, args] of commands.entries()) {
    const end = ends[index];
    if (end?.code === 0) continue;
    if (args[0] === 'gc' && end?.struck !== true) {
      tally.count('gc told that others were at work');
      continue;
    }
    const again = await startGantryProcess(args, env).ended;
    tally.count('commands run again');
    if (again.code !== 0 && !/took this garbage collection|publishers changed/.test(again.output))
      tally.add('next-run-failed', `${args.slice(0, 3).join(' ')}: ${again.output.slice(-300)}`);
  }
}

/** What this round touched. */
async function check(
  reader: ReturnType<StorageBed['reader']>,
  published: ReadonlyMap<string, string>,
  round: number,
  tally: Tally,
): Promise<void> {
  const catalog = new Set(await reader.namesIn('catalog.json'));
  const mirror = `mirror/r${String(round)}`;
  for (const name of ['rush/app', mirror]) {
    if (!catalog.has(name)) tally.add('unlisted', `round ${String(round)}: ${name}`);
    const listed = new Set(await reader.namesIn(`repositories/${name}/_tags.json`));
    const tags =
      name === mirror ? Array.from({ length: SYNCED_TAGS }, (_, tag) => `v${String(tag)}`) : [...published.keys()];
    for (const tag of tags) {
      if (!listed.has(tag)) tally.add('unlisted', `round ${String(round)}: ${name}:${tag}`);
      const { found, findings } = await reader.tag(name, tag);
      tally.count('tags looked through');
      for (const { kind, what } of findings) tally.add(kind, `round ${String(round)}: ${what}`);
      const expected = name === mirror ? undefined : published.get(tag);
      if (found !== null && expected !== undefined && !found.published.includes(expected)) {
        tally.add('lost', `round ${String(round)}: ${name}:${tag} is ${found.published.join()} instead of ${expected}`);
      }
    }
  }
}

/** A deletion that storage holds back until a publisher has waited for the whole lease, taken the sweep over and written its tag. */
async function deleteLate(signal: 'SIGKILL' | 'SIGSTOP', { tally, bed, images, key }: Scene): Promise<void> {
  const proxy = await bed.openProxy();
  try {
    const to = ['--to', `s3://${bed.bucket}/late`];
    const direct = { ...bed.env('direct'), ...key };
    const [first, second] = images;
    if (first === undefined || second === undefined) throw new RangeError('too few images');
    const publish = async (source: string, tag: string): Promise<void> => {
      const { code, output } = await startGantryProcess(
        ['publish', source, `late/app:${tag}`, '--replace', ...to],
        direct,
      ).ended;
      if (code !== 0) tally.add('next-run-failed', `publish late/app:${tag}: ${output.slice(-300)}`);
    };
    await publish(first.source, 'a');
    await publish(second.source, 'a');
    const { promise, resolve: release } = Promise.withResolvers<undefined>();
    proxy.fault = byRules([
      {
        path: /./,
        when: (seen) => isDelete(seen) || seen.method === 'DELETE',
        fault: { kind: 'hold', until: promise },
      },
    ]);
    const gc = startGantryProcess(['gc', '--delete', '--grace', '0', ...to], { ...bed.env(proxy), ...key });
    await until('the deletion', () => Promise.resolve((proxy.counts.faults.get('hold') ?? 0) > 0));
    gc.kill(signal);
    tally.count(signal === 'SIGKILL' ? 'kills' : 'stops');
    // It needs what is being deleted, and waits for the lease.
    await publish(first.source, 'b');
    release(undefined);
    if (signal === 'SIGSTOP') gc.kill('SIGCONT');
    await gc.ended;
    await proxy.settled();
    tally.count('deletions held for a whole lease');
    const { findings } = await bed.reader('late/').everything();
    for (const { kind, what } of findings) tally.add(kind, `late deletion: ${what}`);
  } finally {
    await proxy.close();
  }
}

async function makeImages(folder: string): Promise<Scene['images']> {
  const images: { source: string; digest: string }[] = [];
  for (let index = 0; index < IMAGES; index += 1) {
    const { config, layer, manifest } = imageOf(`image ${String(index)}`);
    const at = join(folder, `image-${String(index)}`);
    await mkdir(at);
    for (const blob of [config, layer]) await writeFile(join(at, digestOf(blob).slice('sha256:'.length)), blob);
    await writeFile(join(at, 'manifest.json'), manifest);
    images.push({ source: `dir:${at}`, digest: digestOf(manifest) });
  }
  return images;
}
