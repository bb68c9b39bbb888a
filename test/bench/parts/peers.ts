/**
 * Gantry beside docker-registry, zot and cloudflare/serverless-registry under the same load: requests, cold and warm
 * pulls by skopeo, and memory. All take turns in one run, so the ratios are of neighbouring measurements.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { missingPrograms } from '../../interop/programs.ts';
import { type Bench, inTurns, type Part } from '../bench.ts';
import { NEW_CLIENT } from '../clients.ts';
import { exchange } from '../exchange.ts';
import { type Image, makeImage } from '../images.ts';
import { load } from '../load.ts';
import {
  dockerRegistryPeer,
  gantryPeer,
  type PeerRegistry,
  type PeerServer,
  pullBy,
  serverlessPeer,
  SERVERLESS_REGISTRY,
  ZOT,
  zotPeer,
} from '../peer-servers.ts';
import { memoryOf } from '../process-figures.ts';
import { digits, type Section, shown, type Target } from '../section.ts';
import { middleHalfOf, ratiosOf, spreadOf } from '../statistics.ts';

const MIB = 2 ** 20;
const IMAGE = 'bench/ten-layers';
const LAYERS = 10;
const LAYER_BYTES = 2 * MIB;
/** Pulls after the cold one. */
const WARM = 3;

/** Measures all registries that are there. */
export const peers: Part = async (bench) => {
  const registries = await registriesOf(bench);
  bench.tell('publishing an image of ten layers');
  const image = await makeImage(
    join(bench.folder, 'image'),
    Array.from({ length: LAYERS }, (_, at) => ({ seed: `layer ${String(at)}`, size: LAYER_BYTES })),
  );
  for (const registry of registries) await registry.publish(image.folder, `${IMAGE}:latest`);
  return [await pulls(bench, registries), ...(await requests(bench, registries, image))];
};

/** Gantry first: all ratios are to it. */
async function registriesOf({ folder, tell, zot, serverlessRegistry }: Bench): Promise<readonly PeerRegistry[]> {
  const place = async (name: string): Promise<string> => {
    await mkdir(join(folder, name), { recursive: true });
    return join(folder, name);
  };
  const registries = [
    gantryPeer('Gantry', await place('gantry'), {}),
    gantryPeer('Gantry, LOG=failures', await place('quiet'), { LOG: 'failures' }),
  ];
  const missing = missingPrograms('docker-registry');
  if (missing.length > 0) tell('skipped, docker-registry: not installed');
  else registries.push(dockerRegistryPeer(await place('docker-registry')));
  if (zot === undefined) tell(`skipped, zot: \`go install ${ZOT.module}@${ZOT.version}\`, and name it with --zot`);
  else registries.push(await zotPeer(await place('zot'), zot));
  if (serverlessRegistry === undefined)
    tell(
      `skipped, serverless-registry: check out cloudflare/serverless-registry at ${SERVERLESS_REGISTRY.slice(0, 12)}, do \`npm install --omit=dev\`, and name the folder with --serverless-registry`,
    );
  else registries.push(await serverlessPeer(await place('serverless'), serverlessRegistry));
  return registries;
}

interface PullFigures {
  readonly cold: number;
  readonly warm: number;
}

async function pulls({ folder, rounds, tell }: Bench, registries: readonly PeerRegistry[]): Promise<Section> {
  const figures = await inTurns(registries, rounds, async (registry, round): Promise<PullFigures> => {
    tell(`pulls from ${registry.title}, round ${String(round + 1)}`);
    const server = await registry.start();
    try {
      const pull = (): Promise<number> => pullBy(registry, server, `${IMAGE}:latest`, join(folder, 'pulled'));
      const cold = await pull();
      const warm: number[] = [];
      for (let at = 0; at < WARM; at++) warm.push(await pull());
      return { cold, warm: spreadOf(warm).median };
    } finally {
      await server.close();
    }
  });
  const [own] = registries;
  const of = (registry: PeerRegistry | undefined, kind: keyof PullFigures): readonly number[] =>
    registry === undefined ? [] : (figures.get(registry) ?? []).map((one) => one[kind]);
  const ratio = (registry: PeerRegistry, kind: keyof PullFigures): ReturnType<typeof spreadOf> =>
    spreadOf(ratiosOf(of(own, kind), of(registry, kind)));
  const targets = registries
    .slice(1)
    .flatMap((registry) =>
      (['cold', 'warm'] as const).map((kind): Target =>
        told(
          `time of a ${kind} pull of ten layers, Gantry’s ÷ that of ${registry.title}`,
          shown(ratio(registry, kind), digits),
        ),
      ),
    );
  return {
    title: 'Pulls of ten layers by skopeo',
    note:
      `An image of ${String(LAYERS)} layers of ${String(LAYER_BYTES / MIB)} MiB into a folder. Cold: the first pull after the server was started. ` +
      `Warm: the middle one of ${String(WARM)} more. Gantry and serverless-registry read R2's simulator, the others files.`,
    columns: ['registry', 'cold ms', 'warm ms', 'Gantry ÷ it, cold', 'Gantry ÷ it, warm'],
    rows: registries.map((registry) => [
      registry.title,
      shown(spreadOf(of(registry, 'cold')), digits),
      shown(spreadOf(of(registry, 'warm')), digits),
      shown(ratio(registry, 'cold'), digits),
      shown(ratio(registry, 'warm'), digits),
    ]),
    targets,
  };
}

/** A kind of request that all registries answer. */
interface Case {
  readonly title: string;
  readonly method: 'GET' | 'HEAD';
  readonly path: string;
}

async function requests(bench: Bench, registries: readonly PeerRegistry[], image: Image): Promise<readonly Section[]> {
  const cases: readonly Case[] = [
    { title: 'manifest by tag', method: 'GET', path: `/v2/${IMAGE}/manifests/latest` },
    { title: 'manifest by digest', method: 'GET', path: `/v2/${IMAGE}/manifests/${image.digest}` },
    { title: 'HEAD by tag', method: 'HEAD', path: `/v2/${IMAGE}/manifests/latest` },
    { title: 'blob of 2 MiB', method: 'GET', path: `/v2/${IMAGE}/blobs/${image.layers[0]?.digest ?? ''}` },
  ];
  const servers = new Map<PeerRegistry, PeerServer>();
  try {
    for (const registry of registries) servers.set(registry, await registry.start());
    const idle = new Map(registries.map((one) => [one, memoryOf(servers.get(one)?.pid ?? NaN, 'VmRSS') ?? NaN]));
    const rows: string[][] = [];
    const targets: Target[] = [];
    for (const one of cases) {
      bench.tell(one.title);
      const rates = await inTurns(registries, bench.rounds, (registry) =>
        rateOf(bench, one, registry, servers.get(registry)),
      );
      const own = rates.get(registries[0] ?? fail()) ?? [];
      for (const [at, registry] of registries.entries()) {
        const its = rates.get(registry) ?? [];
        const ratio = spreadOf(ratiosOf(own, its));
        rows.push([
          at === 0 ? one.title : '',
          registry.title,
          `${shown(middleHalfOf(its), digits)} /s`,
          shown(ratio, digits),
        ]);
        if (at > 0)
          targets.push(told(`rate of ${one.title}, Gantry’s ÷ that of ${registry.title}`, shown(ratio, digits)));
      }
    }
    const memory = registries.map((registry): readonly string[] => {
      const pid = servers.get(registry)?.pid ?? NaN;
      const mib = (bytes: number | null): string => (bytes === null ? '–' : `${digits(bytes / MIB)} MiB`);
      targets.push(told(`memory of ${registry.title} at most`, mib(memoryOf(pid, 'VmHWM'))));
      return [
        registry.title,
        mib(idle.get(registry) ?? null),
        mib(memoryOf(pid, 'VmRSS')),
        mib(memoryOf(pid, 'VmHWM')),
      ];
    });
    return [
      {
        title: 'Requests beside peers',
        note:
          'Eight connections. The rate is the median of the rounds, and between what half of them lie. Each registry is a process of its own; serverless-registry also checks a ' +
          'password, because it serves nobody without one. Gantry logs each request as delivered, through a pipe to Node under Miniflare; the others log nothing.',
        columns: ['request', 'registry', 'rate', 'Gantry ÷ it'],
        rows,
        targets,
      },
      {
        title: 'Memory beside peers',
        note: 'Resident memory of the server process: after its start, after the load, and at most. That of the Workers contains the bucket’s simulator.',
        columns: ['registry', 'idle', 'after the load', 'at most'],
        rows: memory,
        targets: [],
      },
    ];
  } finally {
    for (const server of servers.values()) await server.close();
  }
}

/** Requests a second. Throws if the registry does not answer with 200. */
async function rateOf(
  { seconds }: Bench,
  { method, path }: Case,
  registry: PeerRegistry,
  server: PeerServer | undefined,
): Promise<number> {
  const url = `${server?.url ?? fail()}${path}`;
  const headers = { ...NEW_CLIENT, ...registry.headers };
  const { status } = await exchange(url, { method, headers });
  if (status !== 200) throw new Error(`${registry.title}: ${method} ${path}: ${String(status)}`);
  const measured = await load({ method, url, headers, connections: 8, seconds, keepAlive: true });
  return measured.requests / measured.seconds;
}

function told(what: string, found: string): Target {
  return { what, wanted: 'told', found, met: true };
}

function fail(): never {
  throw new RangeError('no registry');
}
