/**
 * `npm run soak`: minutes of mixed load on one machine, while tags move, garbage is collected and storage fails. Every
 * body is checked against its digest, every tag against what was published; tells the times of answers and how the
 * memory went. Exits with 1 if an answer was wrong.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { payloadOf } from '../../src/manifest/signing/jws.ts';
import { run } from '../interop/programs.ts';
import { countFigure, figureOf, writeProof } from '../proof/result.ts';
import { NEW_CLIENT, OLD_CLIENT } from './clients.ts';
import { type Image, makeImage } from './images.ts';
import { memoryOf } from './process-figures.ts';
import { digits, percent, printSection, type Section } from './section.ts';
import { openStage, type Stage } from './stage.ts';
import { percentileOf, spreadOf } from './statistics.ts';

const MIB = 2 ** 20;
const TAGS = 12;
const VERSIONS = 6;
const CLIENTS = 16;
/** How long what nothing needs is kept: longer than any request takes, and short enough that gc has something to do. */
const GRACE = '10s';

const { minutes, faults, proof } = new Command('soak')
  .description('load Gantry for minutes, with everything going on that may, and check every answer')
  .option('--minutes <n>', 'how long', readNumber, 10)
  .option(
    '--faults <n>',
    'of a thousand reads of the bucket, how many fail; as many are slow, and as many bodies break off',
    readNumber,
    5,
  )
  .option('--proof', 'write the result to docs/results, for `npm run proof`')
  .parse()
  .opts<{ readonly minutes: number; readonly faults: number; readonly proof?: true }>();

/** A tag, and what it may be: two versions while it is being moved. */
interface Moving {
  readonly tag: string;
  readonly may: Set<Image>;
  /**
   * The one that it certainly has until it moves: what is being published need not be there yet, and may have been
   * collected before.
   */
  now: Image;
  /** Counts moves: an answer across one may be of any version before or after. */
  moves: number;
}

/** What came of all requests of a kind. */
interface Tally {
  readonly times: number[];
  right: number;
  /** 503: storage did not answer, and it says so. */
  unavailable: number;
  /** The connection broke off within a body, as it must where storage does. */
  brokenOff: number;
  readonly wrong: string[];
}

/** One answer, or that it broke off. */
type Outcome =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: Readonly<Record<string, unknown>>;
      readonly body: Buffer;
    }
  | { readonly kind: 'broken' };

async function soak(stage: Stage, folder: string): Promise<number> {
  const shared = { seed: 'shared', size: MIB };
  const images: Image[] = [];
  for (let at = 0; at < VERSIONS; at++) {
    images.push(
      await makeImage(join(folder, `image-${String(at)}`), [
        shared,
        { seed: `own ${String(at)}`, size: 256 * 1024 },
        { seed: `small ${String(at)}`, size: 4_096 },
      ]),
    );
  }
  const tags: Moving[] = [];
  for (let at = 0; at < TAGS; at++) {
    const image = pick(images);
    await stage.publishHere(image.folder, `soak/app:v${String(at)}`);
    tags.push({ tag: `v${String(at)}`, may: new Set([image]), now: image, moves: 0 });
  }
  const end = performance.now() + minutes * 60_000;
  const isOver = (): boolean => performance.now() >= end;
  const tallies = new Map<string, Tally>();
  const counts = { moves: 0, collections: 0, failedCollections: [] as string[] };
  const memory: number[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });

  async function client(): Promise<void> {
    while (!isOver()) {
      const kind = pick(KINDS);
      const tally = tallyOf(tallies, kind.title);
      const moving = pick(tags);
      const before = moving.moves;
      const image = moving.now;
      const begun = performance.now();
      const asked = kind.ask(moving.tag, image);
      const outcome = await ask(agent, stage.faultyGantry.url + asked.path, kind.method ?? 'GET', {
        ...(kind.old === true ? OLD_CLIENT : NEW_CLIENT),
        ...asked.headers,
      });
      tally.times.push(performance.now() - begun);
      // Old and new, and whatever the tag was moved to meanwhile.
      const candidates = moving.moves === before ? moving.may : new Set(images);
      judge(tally, outcome, () => kind.check(outcome, { image, candidates, isSteady: moving.moves === before }));
    }
  }

  async function publisher(mine: readonly Moving[]): Promise<void> {
    while (!isOver()) {
      const moving = pick(mine);
      const image = pick(images);
      moving.may.add(image);
      moving.moves++;
      await stage.publishHere(image.folder, `soak/app:${moving.tag}`);
      moving.may.clear();
      moving.may.add(image);
      moving.now = image;
      moving.moves++;
      counts.moves++;
      await sleep(100);
    }
  }

  async function collector(): Promise<void> {
    const main = fileURLToPath(new URL('../../bin/gantry.js', import.meta.url));
    while (!isOver()) {
      const { code, stderr } = await run(
        process.execPath,
        [main, 'gc', '--delete', '--grace', GRACE, '--to', `s3://${stage.bucket}`],
        {
          env: { ...process.env, ...stage.s3 },
        },
      );
      counts.collections++;
      if (code !== 0) counts.failedCollections.push(stderr.slice(0, 500));
      await Promise.race([sleep(2_000), ...(isOver() ? [Promise.resolve()] : [])]);
    }
  }

  async function watcher(): Promise<void> {
    while (!isOver()) {
      memory.push(memoryOf(stage.faultyGantry.pid ?? 0, 'VmRSS') ?? 0);
      await sleep(Math.min(1_000, minutes * 100));
    }
  }

  process.stderr.write(`soak: ${digits(minutes)} minutes, ${String(faults)} faults of each kind in a thousand reads\n`);
  const half = TAGS / 2;
  await Promise.all([
    ...Array.from({ length: CLIENTS }, client),
    publisher(tags.slice(0, half)),
    publisher(tags.slice(half)),
    collector(),
    watcher(),
  ]);
  agent.destroy();
  return tell(tallies, memory, counts);
}

/** A kind of request: what is asked, and what the answer must be. Checks throw what is wrong. */
interface Kind {
  readonly title: string;
  readonly method?: 'GET' | 'HEAD';
  readonly old?: true;
  readonly ask: (
    tag: string,
    image: Image,
  ) => { readonly path: string; readonly headers?: Readonly<Record<string, string>> };
  readonly check: (outcome: Outcome, right: Right) => void;
}

/** What may be right. */
interface Right {
  readonly image: Image;
  readonly candidates: ReadonlySet<Image>;
  /** The tag was not moved meanwhile: then what it needs is there. */
  readonly isSteady: boolean;
}

const REPOSITORY = '/v2/soak/app';
const layerOf = (image: Image): Image['config'] => image.layers[1] ?? image.config;

const KINDS: readonly Kind[] = [
  {
    title: 'manifest by tag, new client',
    ask: (tag) => ({ path: `${REPOSITORY}/manifests/${tag}` }),
    check: (outcome, { candidates }) => {
      const { body, headers } = found(outcome);
      const digest = digestOf(body);
      if (digest !== headers['docker-content-digest'])
        throw new Error(`the body has ${digest}, the header says ${String(headers['docker-content-digest'])}`);
      if (![...candidates].some((image) => image.digest === digest))
        throw new Error(`${digest} is not what was published`);
    },
  },
  {
    title: 'manifest by tag, old client',
    old: true,
    ask: (tag) => ({ path: `${REPOSITORY}/manifests/${tag}` }),
    check: (outcome, { candidates }) => {
      const { body, headers } = found(outcome);
      const payload = payloadOf(body);
      if (digestOf(payload) !== headers['docker-content-digest']) throw new Error('the payload has another digest');
      const layers = (
        JSON.parse(Buffer.from(payload).toString()) as { fsLayers: readonly { blobSum: string }[] }
      ).fsLayers.map(({ blobSum }) => blobSum);
      if (![...candidates].some((image) => image.layers.every(({ digest }) => layers.includes(digest))))
        throw new Error('these are not the layers that were published');
    },
  },
  {
    title: 'HEAD by tag',
    method: 'HEAD',
    ask: (tag) => ({ path: `${REPOSITORY}/manifests/${tag}` }),
    check: (outcome, { candidates }) => {
      const { headers } = found(outcome);
      if (![...candidates].some(({ digest }) => digest === headers['docker-content-digest']))
        throw new Error(`${String(headers['docker-content-digest'])} was not published`);
    },
  },
  {
    title: 'manifest by digest',
    ask: (_, { digest }) => ({ path: `${REPOSITORY}/manifests/${digest}` }),
    check: (outcome, { image, isSteady }) => {
      if (isGone(outcome, isSteady)) return;
      const digest = digestOf(found(outcome).body);
      if (digest !== image.digest) throw new Error(`got ${digest} for ${image.digest}`);
    },
  },
  {
    title: 'blob',
    ask: (_, image) => ({ path: `${REPOSITORY}/blobs/${layerOf(image).digest}` }),
    check: (outcome, { image, isSteady }) => {
      if (isGone(outcome, isSteady)) return;
      const digest = digestOf(found(outcome).body);
      if (digest !== layerOf(image).digest) throw new Error(`got ${digest} for ${layerOf(image).digest}`);
    },
  },
  {
    title: 'the shared layer',
    ask: (_, image) => ({ path: `${REPOSITORY}/blobs/${image.layers[0]?.digest ?? ''}` }),
    check: (outcome, { image }) => {
      const digest = digestOf(found(outcome).body);
      if (digest !== image.layers[0]?.digest) throw new Error(`got ${digest}`);
    },
  },
  {
    title: 'end of a blob',
    ask: (_, image) => ({ path: `${REPOSITORY}/blobs/${layerOf(image).digest}`, headers: { range: 'bytes=1000-' } }),
    check: (outcome, { image, isSteady }) => {
      if (isGone(outcome, isSteady)) return;
      const { status, body, headers } = found(outcome);
      const { size } = layerOf(image);
      if (
        status !== 206 ||
        headers['content-range'] !== `bytes 1000-${String(size - 1)}/${String(size)}` ||
        body.length !== size - 1_000
      ) {
        throw new Error(`${String(status)} ${String(headers['content-range'])}, ${String(body.length)} bytes`);
      }
    },
  },
  {
    title: 'If-None-Match',
    ask: (_, { digest }) => ({
      path: `${REPOSITORY}/manifests/${digest}`,
      headers: { 'if-none-match': `"${digest}"` },
    }),
    check: (outcome, { isSteady }) => {
      if (isGone(outcome, isSteady)) return;
      if (outcome.kind !== 'answer' || outcome.status !== 304) throw new Error('not 304');
    },
  },
  {
    title: 'tags/list',
    ask: () => ({ path: `${REPOSITORY}/tags/list` }),
    check: (outcome) => {
      const { tags: listed } = JSON.parse(found(outcome).body.toString()) as { tags: readonly string[] };
      if (listed.length !== TAGS) throw new Error(`${String(listed.length)} tags of ${String(TAGS)}`);
    },
  },
  {
    title: 'unknown tag',
    ask: () => ({ path: `${REPOSITORY}/manifests/none` }),
    check: (outcome) => {
      if (outcome.kind !== 'answer' || outcome.status !== 404) throw new Error('not 404');
    },
  },
];

function found(outcome: Outcome): Extract<Outcome, { kind: 'answer' }> {
  if (outcome.kind !== 'answer' || (outcome.status !== 200 && outcome.status !== 206))
    throw new Error(`status ${outcome.kind === 'answer' ? String(outcome.status) : 'none'}`);
  return outcome;
}

/** What a tag was moved away from goes after a while. */
function isGone(outcome: Outcome, isSteady: boolean): boolean {
  return !isSteady && outcome.kind === 'answer' && outcome.status === 404;
}

function judge(tally: Tally, outcome: Outcome, check: () => void): void {
  if (outcome.kind === 'broken') {
    tally.brokenOff++;
    return;
  }
  if (outcome.status === 503 && outcome.headers['retry-after'] !== undefined) {
    tally.unavailable++;
    return;
  }
  try {
    check();
    tally.right++;
  } catch (error) {
    tally.wrong.push(error instanceof Error ? error.message : String(error));
  }
}

function tell(
  tallies: ReadonlyMap<string, Tally>,
  memory: readonly number[],
  {
    moves,
    collections,
    failedCollections,
  }: { readonly moves: number; readonly collections: number; readonly failedCollections: readonly string[] },
): number {
  const rows = [...tallies].map(([title, { times, right, unavailable, brokenOff, wrong }]) => {
    const sorted = times.toSorted((a, b) => a - b);
    return [
      title,
      ...[right, unavailable, brokenOff, wrong.length].map((count) => count.toLocaleString('en-US')),
      digits(percentileOf(sorted, 50)),
      digits(percentileOf(sorted, 99)),
    ];
  });
  const all = [...tallies.values()];
  const wrong = all.flatMap((tally) => tally.wrong);
  const requests = all.reduce((sum, { times }) => sum + times.length, 0);
  const times = all.flatMap((tally) => tally.times).sort((a, b) => a - b);
  const third = Math.floor(memory.length / 3);
  const [middle, last] = [memory.slice(third, 2 * third), memory.slice(2 * third)].map(
    (part) => spreadOf(part.length === 0 ? [0] : part).median / MIB,
  );
  const growth = (last ?? 0) / (middle ?? 1) - 1;
  const mib = (value: number): string => `${digits(value)} MiB`;
  const section: Section = {
    title: 'Soak',
    note:
      `${digits(minutes)} minutes, ${String(CLIENTS)} clients, ${requests.toLocaleString('en-US')} requests; ${String(moves)} tags moved and ${String(collections)} garbage collections meanwhile; of a thousand ` +
      `reads of the bucket ${String(faults)} failed, ${String(faults)} were slow (200 ms) and ${String(faults)} bodies broke off.`,
    columns: ['request', 'right', '503', 'broken off', 'wrong', 'p50 ms', 'p99 ms'],
    rows,
    targets: [
      { what: 'wrong answers', wanted: '0', found: String(wrong.length), met: wrong.length === 0 },
      {
        what: 'garbage collections that failed',
        wanted: '0',
        found: String(failedCollections.length),
        met: failedCollections.length === 0,
      },
      {
        what: 'memory of workerd, last third over the middle one',
        wanted: '≤ 5 %',
        found: `${percent(growth)} (${mib(middle ?? 0)}, ${mib(last ?? 0)})`,
        met: growth <= 0.05,
      },
      { what: 'p99 of all', wanted: 'told', found: `${digits(percentileOf(times, 99))} ms`, met: true },
    ],
  };
  process.stdout.write(`${printSection(section)}\n`);
  if (proof === true) {
    writeProof('soak', {
      extent: minutes >= 10 && faults >= 5 ? 'whole' : 'bounded',
      figures: [countFigure('requests', requests), ...section.targets.map(figureOf)],
    });
  }
  for (const what of new Set([...wrong, ...failedCollections])) process.stderr.write(`soak: ${what}\n`);
  return wrong.length === 0 && failedCollections.length === 0 ? 0 : 1;
}

function ask(agent: Agent, url: string, method: string, headers: Readonly<Record<string, string>>): Promise<Outcome> {
  return new Promise((resolve) => {
    const broken = (): void => {
      resolve({ kind: 'broken' });
    };
    const asking = request(url, { method, headers, agent }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', broken);
      answer.on('end', () => {
        // A body that ends before its length is one that broke off, and is known to have.
        if (answer.complete)
          resolve({
            kind: 'answer',
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: Buffer.concat(chunks),
          });
        else broken();
      });
    });
    asking.on('error', broken);
    asking.end();
  });
}

function tallyOf(tallies: Map<string, Tally>, title: string): Tally {
  const known = tallies.get(title);
  if (known !== undefined) return known;
  const tally: Tally = { times: [], right: 0, unavailable: 0, brokenOff: 0, wrong: [] };
  tallies.set(title, tally);
  return tally;
}

function pick<T>(from: readonly T[]): T {
  const one = from[Math.floor(Math.random() * from.length)];
  if (one === undefined) throw new RangeError('nothing to pick from');
  return one;
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function readNumber(text: string): number {
  const number = Number(text);
  if (!Number.isFinite(number) || number < 0) throw new InvalidArgumentError('Give a number.');
  return number;
}

const folder = await mkdtemp(join(tmpdir(), 'gantry-soak-'));
try {
  const stage = await openStage(folder, { vars: { FAULTS: String(faults), LOG: 'failures' } });
  try {
    process.exitCode = await soak(stage, folder);
  } finally {
    await stage.close();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
