/**
 * Publishers, sync and gc that are killed, stopped and lied to over one bucket: after the next run of the same commands
 * every tag is there, whole, and listed.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../interop/programs.ts';
import { digestOf } from './bucket-reader.ts';
import { type Blow, blowOf, type Ended, runStruck, startGantryProcess } from './processes.ts';
import type { Seen } from './proxy.ts';
import { byChance, byRules, type Chance, html, pick, type Random, randomFrom, s3Error, STATUSES } from './random.ts';
import { UPSTREAM_CHANCES } from './upstream-chances.ts';
import { openStorage, type Storage, type StorageBed } from './storage.ts';
import { faultTitle, Tally } from './tally.ts';
import { imageOf, startUpstreamBed, type UpstreamBed } from './upstream.ts';

/** How much is done. */
export interface PublishersOptions {
  readonly seed: string;
  readonly storage: Storage;
  /** Kills after which no other round begins. */
  readonly kills: number;
  /** Milliseconds after which no other round begins. */
  readonly most: number;
  /**
   * Without what takes a whole lease: a gc that is killed in the midst of a sweep, and deletions held for that long.
   */
  readonly quick: boolean;
}

const SHARE = 0.12;
/** Of what sync asks its source, how much is spoilt. */
const UPSTREAM_SHARE = 0.08;
const IMAGES = 8;
const TAGS = 8;
const PUBLISHES = 5;
const SYNCED_TAGS = 12;
/**
 * Longer than a publisher is stopped or its requests are held between its look and its tag: gc's promise needs that.
 */
const GRACE = '90s';

const isDelete = ({ method, path }: Seen): boolean =>
  method === 'DELETE' || (method === 'POST' && /[?&]delete(=|&|$)/.test(path));
const isPut = ({ method }: Seen): boolean => method === 'PUT';
const isList = ({ path }: Seen): boolean => path.includes('list-type=2');
const isRead = (seen: Seen): boolean => seen.method === 'GET' && !isList(seen);
const isTagWrite = (seen: Seen): boolean => isPut(seen) && seen.path.includes('/_tags/');
/** S3 answers a deletion with 204 and nothing else, so nobody can tell a proxy's from storage's. */
const NOT_FOR_DELETE: ReadonlySet<number> = new Set([204]);

/**
 * What happens between publishers and storage. Not among it, since no client could notice: storage's own answer that
 * something is absent, another one's listing, and a listing with a flipped bit.
 */
const CHANCES: readonly Chance[] = [
  { weight: 2, fault: () => s3Error(500, 'InternalError') },
  { weight: 2, fault: () => s3Error(503, 'SlowDown') },
  { weight: 1, fault: () => s3Error(429, 'TooManyRequests', { 'retry-after': '1' }) },
  { weight: 2, fault: () => html(502) },
  { weight: 2, fault: () => html(200) },
  { weight: 2, fault: () => html(404) },
  {
    weight: 2,
    fault: (random, seen) =>
      html(
        pick(
          random,
          STATUSES.filter((one) => !isDelete(seen) || !NOT_FOR_DELETE.has(one)),
        ),
      ),
  },
  { weight: 2, fault: () => ({ kind: 'drop', when: 'before' }) },
  { weight: 3, fault: () => ({ kind: 'drop', when: 'after' }) },
  { weight: 2, fault: (random) => ({ kind: 'slow', milliseconds: Math.floor(random() * 500) }) },
  { weight: 2, when: isRead, fault: (random) => ({ kind: 'cut', after: Math.floor(random() * 400) }) },
  { weight: 2, when: isRead, fault: () => ({ kind: 'corrupt' }) },
  { weight: 1, when: isPut, fault: () => ({ kind: 'no-continue' }) },
  { weight: 2, when: isPut, fault: () => ({ kind: 'duplicate', times: 1 }) },
  { weight: 1, when: isPut, fault: (random) => ({ kind: 'hold', until: sleep(Math.floor(random() * 3_000)) }) },
  { weight: 0.1, when: (seen) => !isTagWrite(seen), fault: () => ({ kind: 'hang' }) },
  {
    weight: 9,
    when: isDelete,
    fault: (random) => ({ kind: 'duplicate', times: 1, milliseconds: Math.floor(random() * 3_000) }),
  },
  { weight: 9, when: isDelete, fault: (random) => ({ kind: 'hold', until: sleep(Math.floor(random() * 6_000)) }) },
];

/** What happens to a gc: mostly nothing, so that it deletes; a kill in the midst of a sweep costs everybody a lease. */
function blowOfGc(random: Random, quick: boolean): Blow {
  const what = random();
  if (what < 0.5) return { kind: 'none' };
  const after = 300 + Math.floor(random() * 2_500);
  if (what < 0.93 || quick) return { kind: 'stop', after, milliseconds: 200 + Math.floor(random() * 3_000) };
  return { kind: 'kill', after };
}

/** Runs this part. */
export async function runPublishers(options: PublishersOptions): Promise<Tally> {
  const { storage, quick } = options;
  const tally = new Tally(storage);
  const folder = await mkdtemp(join(tmpdir(), 'gantry-faults-publishers-'));
  const upstream = await startUpstreamBed({ keepSeen: false });
  const bed = await openStorage(storage);
  try {
    const images = await makeImages(folder);
    for (let tag = 0; tag < SYNCED_TAGS; tag += 1)
      await upstream.push('src/app', `v${String(tag)}`, `synced ${String(tag % 4)}`);
    const scene: Scene = { tally, folder, upstream, bed, images, key: { GANTRY_KEY: join(folder, 'key.pem') } };
    const late = async (): Promise<void> => {
      for (const signal of ['SIGSTOP', 'SIGKILL'] as const) await deleteLate(signal, scene);
    };
    await Promise.all([rush(options, scene), ...(quick ? [] : [late()])]);
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
  { seed, kills, most, quick }: PublishersOptions,
  { tally, folder, upstream, bed, images, key }: Scene,
): Promise<void> {
  const to = ['--to', `s3://${bed.bucket}/rush`];
  const reader = bed.reader('rush/');
  const random = randomFrom(`${seed} ${bed.title}`);
  const published = new Map<string, string>();
  const begun = performance.now();
  const isEnough = (): boolean => (tally.facts.get('kills') ?? 0) >= kills || performance.now() - begun >= most;
  for (let round = 0; !isEnough(); round += 1) {
    const tags = Array.from({ length: TAGS }, (_, tag) => `t${String(tag)}`).sort(() => random() - 0.5);
    const file = join(folder, `sync-${String(round)}.yaml`);
    await writeFile(file, syncFile(upstream.proxy.host, `mirror/r${String(round)}`));
    const publishes = Array.from({ length: PUBLISHES }, (_, index) => {
      const image = pick(random, images);
      const tag = tags[index] ?? '';
      return { tag, image, args: ['publish', image.source, `rush/app:${tag}`, '--replace', ...to] };
    });
    const commands = [
      ...publishes.map(({ args }) => args),
      ['sync', file, ...to],
      ['gc', '--delete', '--json', '--grace', GRACE, ...to],
    ];
    bed.proxy.fault = byChance(`${seed} ${bed.title} ${String(round)}`, SHARE, CHANCES);
    upstream.proxy.fault = byChance(`${seed} source ${bed.title} ${String(round)}`, UPSTREAM_SHARE, UPSTREAM_CHANCES);
    const env = { ...bed.env('proxy'), ...key };
    const ends = await Promise.all(
      commands.map(async (args) => {
        const [command = ''] = args;
        const blow = command === 'gc' ? blowOfGc(random, quick) : blowOf(random, 2_500);
        const end = await runStruck(args, env, blow);
        if (end.struck) countBlow(tally, blow, command);
        if (command === 'gc' && end.code === 0) tally.count('objects deleted by gc', deletedBy(end.output));
        return end;
      }),
    );
    bed.proxy.fault = () => undefined;
    upstream.proxy.fault = () => undefined;
    tally.count('rounds');
    if (round % 10 === 9) process.stderr.write(`${bed.title}: ${String(round + 1)} rounds\n`);
    await runAgain(commands, ends, env, tally);
    for (const { tag, image } of publishes) published.set(tag, image.digest);
    await check(reader, published, round, tally);
  }
  await bed.proxy.settled();
  await upstream.proxy.settled();
  const { tags, findings } = await reader.everything();
  for (const { kind, what } of findings) tally.add(kind, `at the end: ${what}`);
  tally.count('tags at the end', tags);
  for (const { counts } of [bed.proxy, upstream.proxy]) {
    tally.count('requests to the servers', counts.requests);
    for (const [kind, count] of counts.faults) tally.count(`fault: ${faultTitle(kind)}`, count);
  }
}

/** Everything is there at the source all the time, so nothing may be pruned. */
function syncFile(host: string, to: string): string {
  const settings = ['tls-verify: false', 'schema1: false', 'prune: missing'].map((line) => `    ${line}\n`).join('');
  return `repositories:\n  - from: docker://${host}/src/app\n    to: ${to}\n${settings}`;
}

function countBlow(tally: Tally, { kind }: Blow, command: string): void {
  const what = kind === 'kill' ? 'kills' : 'stops';
  tally.count(what);
  tally.count(`${what} of ${command}`);
}

/** What a gc's report says that it deleted. */
function deletedBy(output: string): number {
  const json = output.slice(output.indexOf('{'));
  return (JSON.parse(json) as { readonly deleted: { readonly objects: number } }).deleted.objects;
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
    if (again.code !== 0 && !/considered this garbage collection|publishers changed/.test(again.output))
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

/**
 * A deletion that storage holds back until a publisher has waited for the whole lease, taken the sweep over and written
 * its tag.
 */
async function deleteLate(signal: 'SIGKILL' | 'SIGSTOP', { tally, bed, images, key }: Scene): Promise<void> {
  const proxy = await bed.openProxy();
  try {
    const prefix = `late-${signal.toLowerCase()}`;
    const to = ['--to', `s3://${bed.bucket}/${prefix}`];
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
        // Not that of the probe, before which gc has noted nothing: without a grace period, nothing is protected by
        // then.
        when: (seen) => isDelete(seen) && !seen.path.includes('/probe/'),
        fault: { kind: 'hold', until: promise },
      },
    ]);
    const gc = startGantryProcess(['gc', '--delete', '--grace', '0', ...to], { ...bed.env(proxy), ...key });
    await until('the deletion', () => Promise.resolve((proxy.counts.faults.get('hold') ?? 0) > 0));
    gc.kill(signal);
    countBlow(tally, { kind: signal === 'SIGKILL' ? 'kill' : 'stop', after: 0, milliseconds: 0 }, 'gc');
    // It needs what is being deleted, and waits for the lease.
    await publish(first.source, 'b');
    release(undefined);
    if (signal === 'SIGSTOP') gc.kill('SIGCONT');
    await gc.ended;
    await proxy.settled();
    tally.count('deletions held for a whole lease');
    const { findings } = await bed.reader(`${prefix}/`).everything();
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
