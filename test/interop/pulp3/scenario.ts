/** Clients × images × states of Pulp: each pull through the edge, and what came of it. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Verify } from '../libtrust.ts';
import { type Client, CLIENTS, type Way } from '../matrix/clients.ts';
import type { PublishedImage } from '../matrix/images.ts';
import { machineAt } from '../matrix/machine.ts';
import type { OriginEdge } from '../origin-edge.ts';
import type { Pulp, PulpService } from './pulp.ts';

/** What Pulp may be like. The services that are ended, and how repositories are named at the edge then. */
export const STATES = {
  'as it is': { stopped: [] },
  'without tokens': { stopped: [] },
  'API stopped': { stopped: ['api'] },
  'content app stopped': { stopped: ['content'] },
  'database stopped': { stopped: ['database'] },
  'all of it stopped': { stopped: ['front', 'api', 'content', 'database'] },
} as const satisfies Record<string, { readonly stopped: readonly PulpService[] }>;

/** A key of {@link STATES}. */
export type State = keyof typeof STATES;

/** What came of a pull. */
export type Outcome =
  /** Everything is as it was given to Pulp. */
  | { readonly kind: 'whole' }
  /** The client was told to come again, with a reason: nothing else but 503. */
  | { readonly kind: 'later'; readonly words: string }
  | { readonly kind: 'wrong'; readonly words: string }
  /** Out of the client's reach. */
  | { readonly kind: 'excused'; readonly words: string };

/** One cell of the table. */
export interface Pull {
  readonly client: string;
  readonly image: string;
  readonly state: State;
  readonly way: Way;
  readonly outcome: Outcome;
}

/** An image in the table. `stored`: whether the edge has it; if not, it is to be refused while Pulp is not well. */
export interface Column {
  readonly title: string;
  readonly image: PublishedImage;
  readonly stored: boolean;
}

/**
 * Ends what the state ends, pulls every column by every client, and starts it again. `clients`: titles; all if absent.
 */
export async function pullInState(
  {
    pulp,
    edge,
    folder,
    verify,
    clients,
  }: { pulp: Pulp; edge: OriginEdge; folder: string; verify: Verify | undefined; clients?: readonly string[] },
  state: State,
  columns: readonly Column[],
  ways: readonly Way[] = ['tag'],
): Promise<readonly Pull[]> {
  const { stopped } = STATES[state];
  for (const service of stopped) await pulp.services[service].stop();
  try {
    const pulls: Pull[] = [];
    for (const [index, start] of CLIENTS.entries()) {
      const own = join(folder, String(index));
      await mkdir(own, { recursive: true });
      const client = await start({ host: edge.host, folder: own, machine: machineAt('Debian 12'), verify });
      try {
        if (client === null || (clients !== undefined && !clients.includes(client.title))) continue;
        for (const column of columns)
          for (const way of ways) pulls.push(...(await pullOne(edge, client, state, column, way)));
      } finally {
        await client?.close?.();
        await rm(own, { recursive: true, force: true });
      }
    }
    return pulls;
  } finally {
    for (const service of [...stopped].reverse()) await pulp.services[service].start();
  }
}

async function pullOne(
  edge: OriginEdge,
  client: Client,
  state: State,
  { title, image, stored }: Column,
  way: Way,
): Promise<Pull[]> {
  const pull = client.ways[way];
  if (pull === undefined) return [];
  const cell = { client: `${client.title} ${client.version}`, image: title, state, way };
  const excuse = client.excuse?.(image, way) ?? client.knownFailure?.(image, way)?.words ?? excuseOf(client, image);
  if (excuse !== null) return [{ ...cell, outcome: { kind: 'excused', words: excuse } }];
  const mark = edge.log.length;
  const trouble = await pull(image).then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const statuses = new Set(
    edge.log
      .slice(mark)
      .flatMap(({ event, status, kind }) => (event === 'request' && isOfV2(kind) ? [Number(status)] : [])),
  );
  if (trouble === null)
    return [{ ...cell, outcome: stored ? { kind: 'whole' } : { kind: 'wrong', words: 'pulled what nobody has' } }];
  const isTold = !stored && statuses.has(503) && [...statuses].every((status) => status < 400 || status === 503);
  return [
    {
      ...cell,
      outcome: {
        kind: isTold ? 'later' : 'wrong',
        words: isTold ? trouble : `${[...statuses].join(', ')}: ${trouble}`,
      },
    },
  ];
}

/** An engine that does not get on with v2 goes on with v1, where every path is a 404. */
function isOfV2(kind: unknown): boolean {
  return typeof kind === 'string' && kind !== 'v1-images';
}

/** What no pull-through can give: layers are neither unpacked nor packed anew on their way. */
function excuseOf({ title, version }: Client, { kind }: PublishedImage): string | null {
  if (kind === 'zstd' && (title.includes('replayed') || (title === 'docker' && Number.parseInt(version) < 23))) {
    return 'zstd layers, which it cannot unpack';
  }
  return null;
}
