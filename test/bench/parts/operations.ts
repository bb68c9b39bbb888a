/** What storage is asked: for each kind of request, and for whole pulls of cold and of warm caches; and the bill. */
import { join } from 'node:path';
import { type Bench, type Part } from '../bench.ts';
import { NEW_CLIENT, OLD_CLIENT } from '../clients.ts';
import { exchange, headerOf } from '../exchange.ts';
import { type Image, makeImage } from '../images.ts';
import { billOf, PRICES, PRICES_READ } from '../prices.ts';
import { cpuSeconds } from '../process-figures.ts';
import { atMost, type Section, type Target } from '../section.ts';
import { openStage, type Stage, type Subject } from '../stage.ts';

/** One request of a client. */
interface Step {
  readonly method: 'GET' | 'HEAD';
  readonly path: string;
  /** Beside those of the client. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Reads of storage that a request made, by `Server-Timing`. */
interface Reads {
  readonly head: number;
  readonly get: number;
}

const IMAGE = 'bench/pulled';
const LAYERS = 8;

/** Counts operations. */
export const operations: Part = async (bench) => {
  const stage = await openStage(bench.folder);
  try {
    bench.tell('publishing an image');
    const image = await makeImage(
      join(bench.folder, 'image'),
      Array.from({ length: LAYERS }, (_, at) => ({ seed: `pulled ${String(at)}`, size: 64 * 1024 })),
    );
    await stage.publish(image.folder, `${IMAGE}:latest`);
    return [await byRequest(stage, image), await byPull(bench, stage, image)];
  } finally {
    await stage.close();
  }
};

async function byRequest({ gantry, cachedGantry }: Stage, image: Image): Promise<Section> {
  const layer = image.layers[0]?.digest ?? '';
  const tag = `/v2/${IMAGE}/manifests/latest`;
  const unknown = `sha256:${'0'.repeat(64)}`;
  const kinds: readonly (readonly [string, Step, Readonly<Record<string, string>>?])[] = [
    ['manifest by tag, new client', { method: 'GET', path: tag }],
    ['manifest by tag, old client', { method: 'GET', path: tag }, OLD_CLIENT],
    ['HEAD by tag', { method: 'HEAD', path: tag }],
    ['manifest by digest', { method: 'GET', path: `/v2/${IMAGE}/manifests/${image.digest}` }],
    ['HEAD by digest', { method: 'HEAD', path: `/v2/${IMAGE}/manifests/${image.digest}` }],
    [
      'If-None-Match, by tag, unchanged',
      { method: 'GET', path: tag, headers: { 'if-none-match': `"${image.digest}"` } },
    ],
    [
      'If-None-Match, by digest',
      {
        method: 'GET',
        path: `/v2/${IMAGE}/manifests/${image.digest}`,
        headers: { 'if-none-match': `"${image.digest}"` },
      },
    ],
    ['blob', { method: 'GET', path: `/v2/${IMAGE}/blobs/${layer}` }],
    ['part of a blob', { method: 'GET', path: `/v2/${IMAGE}/blobs/${layer}`, headers: { range: 'bytes=100-' } }],
    ['HEAD of a blob', { method: 'HEAD', path: `/v2/${IMAGE}/blobs/${layer}` }],
    ['tags/list', { method: 'GET', path: `/v2/${IMAGE}/tags/list` }],
    ['tags/list, a page', { method: 'GET', path: `/v2/${IMAGE}/tags/list?n=100` }],
    ['_catalog, a page', { method: 'GET', path: '/v2/_catalog?n=100' }],
    ['referrers', { method: 'GET', path: `/v2/${IMAGE}/referrers/${image.digest}` }],
    ['/v2/', { method: 'GET', path: '/v2/' }],
    ['unknown tag', { method: 'GET', path: `/v2/${IMAGE}/manifests/none` }],
    ['unknown blob', { method: 'GET', path: `/v2/${IMAGE}/blobs/${unknown}` }],
    ['unknown repository', { method: 'GET', path: '/v2/bench/none/manifests/latest' }],
  ];
  const rows = [];
  const targets: Target[] = [];
  for (const [title, step, client = NEW_CLIENT] of kinds) {
    await forget(cachedGantry);
    const cells = [];
    for (const subject of [gantry, cachedGantry, cachedGantry]) cells.push(await ask(subject, step, client));
    const [straight, cold, warm] = cells;
    // A manifest by tag is one object for all clients, and a blob is another.
    if (/^manifest by|^blob$/.test(title)) {
      targets.push(
        atMost(`R2 reads of a ${title}, without a cache`, 1, sum(straight === undefined ? [] : [straight]), String),
      );
    }
    if (title === 'manifest by tag, new client')
      targets.push(
        atMost('R2 reads of a manifest by tag, warm cache', 0, sum(warm === undefined ? [] : [warm]), String),
      );
    rows.push([
      title,
      String(straight?.status ?? ''),
      ...[straight, cold, warm].map((one) => (one === undefined ? '' : show(one.reads))),
    ]);
  }
  return {
    title: 'R2 operations of a request',
    note: 'As `Server-Timing` tells them: without a cache, and behind a stand-in for Workers Cache that is empty (cold) or was asked the same before (warm). All are class B.',
    columns: ['request', 'status', 'no cache', 'cold', 'warm'],
    rows,
    targets,
  };
}

async function byPull({ rounds }: Bench, { gantry, cachedGantry }: Stage, image: Image): Promise<Section> {
  const blobs = image.layers.map(({ digest }): Step => ({ method: 'GET', path: `/v2/${IMAGE}/blobs/${digest}` }));
  const config: Step = { method: 'GET', path: `/v2/${IMAGE}/blobs/${image.config.digest}` };
  const tag = `/v2/${IMAGE}/manifests/latest`;
  const ping: Step = { method: 'GET', path: '/v2/' };
  const pulls: readonly (readonly [string, readonly Step[], Readonly<Record<string, string>>])[] = [
    ['Docker 1.9', [ping, { method: 'GET', path: tag }, ...blobs], OLD_CLIENT],
    ['Docker 20.10', [ping, { method: 'GET', path: tag }, config, ...blobs], NEW_CLIENT],
    [
      'containerd',
      [
        { method: 'HEAD', path: tag },
        { method: 'GET', path: `/v2/${IMAGE}/manifests/${image.digest}` },
        config,
        ...blobs,
      ],
      NEW_CLIENT,
    ],
    ['Docker, image is up to date', [ping, { method: 'GET', path: tag }], NEW_CLIENT],
  ];
  const rows = [];
  const targets: Target[] = [];
  for (const [title, steps, client] of pulls) {
    const cold = [];
    const warm = [];
    await forget(cachedGantry);
    for (const step of steps) cold.push(await ask(cachedGantry, step, client));
    for (const step of steps) warm.push(await ask(cachedGantry, step, client));
    for (const { status } of [...cold, ...warm])
      if (status !== 200) throw new Error(`${title}: an answer with ${String(status)}`);
    const cpu = await cpuOf(gantry, steps, client, rounds);
    // As delivered: everything but blobs and the version check goes through the cache, and each such call is billed.
    const cachedCalls = steps.filter(({ path }) => path.includes('/manifests/')).length;
    const bill = (reads: number): string =>
      `$${billOf({ requests: steps.length, cachedCalls, cpuMs: cpu, reads }).toFixed(2)}`;
    const [readsCold, readsWarm] = [sum(cold), sum(warm)];
    rows.push([
      title,
      String(steps.length),
      String(cachedCalls),
      `${String(readsCold)} R2, ${bill(readsCold)}`,
      `${String(readsWarm)} R2, ${bill(readsWarm)}`,
      cpu.toFixed(1),
    ]);
    for (const [state, reads] of [
      ['cold', readsCold],
      ['warm', readsWarm],
    ] as const)
      targets.push({
        what: `R2 reads of a pull of ${String(LAYERS)} layers by ${title}, ${state}`,
        wanted: 'told',
        found: String(reads),
        met: true,
      });
  }
  return {
    title: 'Whole pulls',
    note:
      `An image of ${String(LAYERS)} layers, with the requests that each client makes; manifests go through the cache, ` +
      `blobs come straight from R2. The bill is for a million such pulls, with prices of ${PRICES_READ}: R2 reads ` +
      `$${String(PRICES.reads.usd)}, requests $${String(PRICES.requests.usd)} and calls behind the cache ` +
      `$${String(PRICES.cachedCalls.usd)} a million, CPU $${String(PRICES.cpuMs.usd)} a million ms; egress is free. ` +
      "CPU is that of all of workerd with the bucket's simulator, so above what is billed.",
    columns: [
      'client',
      'requests',
      'calls behind the cache',
      'cold, a million pulls',
      'warm, a million pulls',
      'CPU ms',
    ],
    rows,
    targets,
  };
}

/** Milliseconds of processor time for the steps, on average. */
async function cpuOf(
  { pid, url }: Subject,
  steps: readonly Step[],
  client: Readonly<Record<string, string>>,
  rounds: number,
): Promise<number> {
  if (pid === null) return NaN;
  const times = rounds * 10;
  const before = cpuSeconds(pid);
  for (let at = 0; at < times; at++)
    for (const { method, path } of steps) await exchange(url + path, { method, headers: client });
  return ((cpuSeconds(pid) - before) * 1_000) / times;
}

async function ask(
  { url }: Subject,
  { method, path, headers }: Step,
  client: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly reads: Reads }> {
  const answer = await exchange(url + path, { method, headers: { ...client, ...headers } });
  const [, head = '0', get = '0'] = /(\d+) head, (\d+) get/.exec(headerOf(answer, 'server-timing')) ?? [];
  return { status: answer.status, reads: { head: Number(head), get: Number(get) } };
}

async function forget({ url }: Subject): Promise<void> {
  await exchange(`${url}/-/forget`, { method: 'POST' });
}

function sum(asked: readonly { readonly reads: Reads }[]): number {
  return asked.reduce((total, { reads }) => total + reads.head + reads.get, 0);
}

function show({ head, get }: Reads): string {
  const parts = [...(head > 0 ? [`${String(head)} head`] : []), ...(get > 0 ? [`${String(get)} get`] : [])];
  return parts.length === 0 ? 'none' : parts.join(', ');
}
