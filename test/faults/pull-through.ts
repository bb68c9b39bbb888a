/**
 * Clients of all ages pull through an edge from docker-registry, whose answers are spoilt: no false 404, no wrong byte,
 * and everything there again once it is well.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from '../../src/publisher/local/server.ts';
import { get, type Got, MODERN, OLD } from '../interop/origin-edge.ts';
import { digestOf, payloadOf } from './bucket-reader.ts';
import { byChance, type Chance, html, pick, randomFrom, registryError } from './random.ts';
import { faultTitle, Tally, WAITED } from './tally.ts';
import { UPSTREAM_CHANCES } from './upstream-chances.ts';
import { type PushedImage, startUpstreamBed } from './upstream.ts';

/** How much is done. */
export interface PullThroughOptions {
  readonly seed: string;
  readonly repositories: number;
  readonly tags: number;
  readonly requests: number;
  /** After how many milliseconds no other request begins. */
  readonly most: number;
  /** Which failures, how many of the upstream's answers, and what clients ask for. Default: all kinds, 30 %. */
  readonly scene?: PullThroughScene;
}

/** What happens in a run. */
export interface PullThroughScene {
  readonly title: string;
  /** Of the upstream's answers, how many are spoilt: all through the run, or from the first to the last request. */
  readonly share: readonly [from: number, to: number];
  readonly chances: readonly Chance[];
  readonly questions: readonly Question[];
}

const CLIENTS = 12;
/**
 * Seconds for which a tag is answered without a look at the upstream: short, so that it is looked at again and again.
 */
const LIFETIME = 2;
/**
 * Until when everything must be there again, in milliseconds after everything was asked for once without faults: on a
 * busy machine, that alone takes longer.
 */
const RECOVERY = 30_000;

/** How often a client waits as it is told and asks again: containers/image does so five times. */
const MOST_WAITS = 5;

type Question = 'old' | 'modern' | 'digest' | 'blob' | 'list';
const QUESTIONS: readonly Question[] = [
  'old',
  'old',
  'old',
  'old',
  'modern',
  'modern',
  'digest',
  'blob',
  'blob',
  'list',
];

/** Every kind of failure, and clients of all ages. */
const EVERYTHING: PullThroughScene = {
  title: 'pull-through',
  share: [0.3, 0.3],
  chances: UPSTREAM_CHANCES,
  questions: QUESTIONS,
};

/** The failures under which false 404s were reported: clients without `Accept`, who need a schema 1. */
export const AS_REPORTED: PullThroughScene = {
  title: 'as reported',
  share: [0.25, 0.4],
  chances: [
    ...[500, 502, 503, 504].map((status): Chance => ({ weight: 1, fault: () => registryError(status, 'UNKNOWN') })),
    { weight: 1, fault: () => registryError(401, 'UNAUTHORIZED') },
    { weight: 1, fault: () => registryError(403, 'DENIED') },
    { weight: 1, fault: () => registryError(429, 'TOOMANYREQUESTS') },
    { weight: 2, fault: () => html(200) },
    { weight: 2, fault: () => ({ kind: 'corrupt' }) },
    { weight: 2, fault: (random) => ({ kind: 'cut', after: Math.floor(random() * 200) }) },
  ],
  questions: ['old'],
};
const SHARE_STEPS = 4;

/** Runs this part. */
export async function runPullThrough({
  seed,
  repositories,
  tags,
  requests,
  most,
  scene = EVERYTHING,
}: PullThroughOptions): Promise<Tally> {
  const { title, share, chances, questions } = scene;
  const tally = new Tally(title);
  const upstream = await startUpstreamBed({ keepSeen: false });
  const state = await mkdtemp(join(tmpdir(), 'gantry-faults-edge-'));
  const images: PushedImage[] = [];
  try {
    for (let repository = 0; repository < repositories; repository += 1) {
      for (let tag = 0; tag < tags; tag += 1)
        images.push(await upstream.push(`faults/app${String(repository)}`, `v${String(tag)}`));
    }
    // No key: a schema 1 is what the upstream has, or none.
    const rule = {
      name: 'faulty',
      pattern: 'faults/*',
      upstream: upstream.proxy.url,
      lifetime: LIFETIME,
      stale: 0,
      grace: 0,
      timeout: 1,
    };
    const server = await startServer({ port: 0, state, vars: { LOG: 'failures', ORIGINS: JSON.stringify([rule]) } });
    try {
      const [from, to] = share;
      // The share grows in steps, of which each repeats by the seed.
      const steps = Array.from({ length: SHARE_STEPS }, (_, step) =>
        byChance(`${seed} ${String(step)}`, from + ((to - from) * step) / Math.max(1, SHARE_STEPS - 1), chances),
      );
      const random = randomFrom(`${seed} clients`);
      let left = requests;
      const begun = performance.now();
      upstream.proxy.fault = (seen) =>
        steps[Math.min(SHARE_STEPS - 1, Math.floor(((requests - left) * SHARE_STEPS) / requests))]?.(seen);
      const client = async (): Promise<void> => {
        while (left > 0 && performance.now() - begun < most) {
          left -= 1;
          await ask(server.url, pick(random, images), pick(random, questions), tally, tags);
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, client));
      for (const [kind, count] of upstream.proxy.counts.faults) tally.count(`fault: ${faultTitle(kind)}`, count);
      tally.count('requests to the servers', upstream.proxy.counts.requests);
      upstream.proxy.fault = () => undefined;
      await recover(server.url, images, tally, tags);
    } finally {
      await server.close();
    }
  } finally {
    await upstream.close();
    await rm(state, { recursive: true, force: true });
  }
  return tally;
}

/**
 * Seconds to wait by an answer 429 as Gantry documents it: that code, its reason and `Retry-After`, of at most a minute;
 * null for every other answer.
 */
function waitOf({ status, headers, body }: Got): number | null {
  const after = headers['retry-after'];
  const seconds = typeof after === 'string' && /^\d+$/.test(after) ? Number(after) : 0;
  if (status !== 429 || seconds < 1 || seconds > 60) return null;
  const { code, detail } = errorIn(body);
  return code === 'TOOMANYREQUESTS' && detail?.reason === 'fill-limited' ? seconds : null;
}

interface RegistryError {
  readonly code?: string;
  readonly detail?: { readonly reason?: string };
}

function errorIn(body: Buffer): RegistryError {
  try {
    return (JSON.parse(body.toString()) as { readonly errors?: readonly RegistryError[] }).errors?.[0] ?? {};
  } catch {
    return {};
  }
}

/**
 * Asks, and looks at the answer: everything that is asked for is there upstream. A client that is told to wait does so
 * and asks again.
 */
async function ask(
  url: string,
  image: PushedImage,
  question: Question,
  tally: Tally,
  tags: number,
  waits = 0,
): Promise<number> {
  const { name, tag, digest, blobs, schema1 } = image;
  const paths = {
    old: `manifests/${tag}`,
    modern: `manifests/${tag}`,
    digest: `manifests/${digest}`,
    blob: `blobs/${blobs[tag.length % blobs.length] ?? ''}`,
    list: 'tags/list',
  };
  const what = `${question} ${name}/${paths[question]}`;
  tally.count('client requests');
  let got: Got;
  try {
    got = await get(`${url}/v2/${name}/${paths[question]}`, { headers: question === 'old' ? OLD : MODERN });
  } catch {
    // Cut off, as a body must be that turned out wrong.
    tally.count('answers cut off');
    return 0;
  }
  tally.count(`answers ${String(got.status)}`);
  const wait = waitOf(got);
  if (wait !== null) {
    tally.count(WAITED);
    if (waits === MOST_WAITS) {
      tally.add('refused-again', what);
      return got.status;
    }
    await sleep(wait * 1_000);
    return ask(url, image, question, tally, tags, waits + 1);
  }
  if (got.status === 404) tally.add('false-404', `${what}: ${got.body.toString().slice(0, 200)}`);
  else if (got.status !== 200 && got.status !== 503)
    tally.add('wrong-status', `${what}: ${String(got.status)} ${got.body.toString().slice(0, 200)}`);
  if (got.status !== 200) return got.status;
  if (question === 'list') {
    const listed = (JSON.parse(got.body.toString()) as { readonly tags: readonly string[] }).tags;
    if (listed.length < tags) tally.add('short-list', `${what}: ${String(listed.length)} of ${String(tags)}`);
  } else {
    const expected = { old: schema1, modern: digest, digest, blob: blobs[tag.length % blobs.length] ?? '' }[question];
    const found = digestOf(question === 'old' ? payloadOf(got.body) : got.body);
    if (found !== expected) tally.add('wrong-bytes', `${what}: ${found} instead of ${expected}`);
  }
  return 200;
}

/** With the upstream well, everything is there for everybody, at the latest after the next comparisons. */
async function recover(url: string, images: readonly PushedImage[], tally: Tally, tags: number): Promise<void> {
  let end: number | null = null;
  let open = images.flatMap((image) =>
    (['old', 'modern', 'list'] as const).map((question) => ({ image, question, status: 0 })),
  );
  const quiet = new Tally('recovery');
  while (open.length > 0) {
    const still: typeof open = [];
    for (let at = 0; at < open.length; at += CLIENTS) {
      await Promise.all(
        open.slice(at, at + CLIENTS).map(async (one) => {
          const before = quiet.wrong['short-list'];
          const status = await ask(url, one.image, one.question, quiet, tags);
          if (status !== 200 || (one.question === 'list' && quiet.wrong['short-list'] > before))
            still.push({ ...one, status });
        }),
      );
    }
    open = still;
    end ??= Date.now() + RECOVERY;
    if (open.length === 0 || Date.now() > end) break;
    await sleep(1_000);
  }
  for (const { image, question, status } of open)
    tally.add('lasting-404', `${question} ${image.name}:${image.tag}: ${String(status)}`);
  for (const example of quiet.examples) if (example.startsWith('wrong-bytes')) tally.add('wrong-bytes', example);
}
