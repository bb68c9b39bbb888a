/** The whole scenario: a Pulp that is filled, the edge in front of it, every client in every state. */
import { join } from 'node:path';
import type { Verify } from '../libtrust.ts';
import type { ImageKind } from '../matrix/images.ts';
import type { OriginEdge } from '../origin-edge.ts';
import { PREFIXES, startPulpEdge } from './edge.ts';
import { fillPulp, imageAtEdge } from './images.ts';
import { type Pulp, startPulp } from './pulp.ts';
import { type Column, type Pull, pullInState, type State } from './scenario.ts';

/** Nobody's account: the scenario has nothing private. */
const NOBODY = { username: 'nobody', password: 'none' };

/** States in which something of Pulp is stopped. */
const OUTAGES: readonly State[] = ['API stopped', 'content app stopped', 'database stopped', 'all of it stopped'];

/** Images that are pulled while Pulp is not well: the others take long and tell nothing more. */
const SMALL: readonly ImageKind[] = ['schema2', 'oci', 'list', 'index', 'schema1'];

/**
 * Runs it with these images. `first`: done with the first image's name at Pulp, before anything is pulled. `clients`:
 * titles; all if absent.
 */
export async function runScenario(
  folder: string,
  kinds: readonly ImageKind[],
  options: {
    readonly verify?: Verify | undefined;
    readonly clients?: readonly string[];
    readonly tell?: (message: string) => void;
    readonly first?: (pulp: Pulp, edge: OriginEdge, name: string) => Promise<void>;
  } = {},
): Promise<readonly Pull[]> {
  const { verify, clients, tell = () => undefined } = options;
  tell('starting Pulp');
  const pulp = await startPulp();
  try {
    tell(`filling Pulp with ${kinds.join(', ')}`);
    const images = await fillPulp(pulp, join(folder, 'sources'), kinds);
    const edge = await startPulpEdge(pulp, NOBODY);
    try {
      const columnsOf = async (prefix: string, wanted: readonly ImageKind[]): Promise<Column[]> => {
        const columns: Column[] = [];
        for (const one of images) {
          if (wanted.includes(one.kind))
            columns.push({ title: one.kind, image: await imageAtEdge(edge.url, prefix, one), stored: true });
        }
        return columns;
      };
      const [first] = images;
      if (first === undefined) throw new Error('no images');
      await options.first?.(pulp, edge, first.source.name);
      const context = { pulp, edge, verify, ...(clients !== undefined && { clients }) };
      const pulls: Pull[] = [];
      const stateOf = async (
        state: State,
        columns: readonly Column[],
        ways: Parameters<typeof pullInState>[3],
      ): Promise<void> => {
        tell(`Pulp ${state}`);
        pulls.push(
          ...(await pullInState({ ...context, folder: join(folder, String(pulls.length)) }, state, columns, ways)),
        );
      };
      const columns = await columnsOf(PREFIXES.tokens, kinds);
      await stateOf('as it is', columns, ['tag', 'digest']);
      await stateOf('without tokens', await columnsOf(PREFIXES.open, kinds), ['tag']);
      const stored = columns.filter(({ image }) => SMALL.includes(image.kind));
      // The same image under a name that nobody has asked for yet.
      const [model] = stored;
      if (model === undefined) throw new Error('no small image');
      const absent: Column = {
        title: 'not stored',
        image: { ...model.image, name: `${PREFIXES.admin}${first.source.name}` },
        stored: false,
      };
      for (const state of OUTAGES) await stateOf(state, [...stored, absent], ['tag']);
      return pulls;
    } finally {
      await edge.close();
    }
  } finally {
    tell('stopping Pulp');
    await pulp.close();
  }
}
