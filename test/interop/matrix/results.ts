/**
 * The results of pulls, and where the last ones are kept: docs/reference/interop.md and docs/reference/compatibility.md are made from them.
 */
import { readFile, writeFile } from 'node:fs/promises';
import type { Client, Way } from './clients.ts';
import { type ImageKind, IMAGES } from './images.ts';

/** How a pull ended. `known`: not as published, for a reason that the tables of src have. */
export type Outcome =
  { readonly kind: 'pulled' } | { readonly kind: 'known' | 'not-tried' | 'failed'; readonly words: string };

/** One pull. */
export interface Result {
  readonly machine: string;
  readonly client: string;
  readonly version: string;
  readonly method: Client['method'];
  readonly image: ImageKind;
  readonly way: Way;
  readonly outcome: Outcome;
}

const FILE = new URL('../results.json', import.meta.url);

/** The kept results; none if there are none yet. */
export async function readResults(): Promise<readonly Result[]> {
  const text = await readFile(FILE, 'utf8').catch(() => '[]');
  return JSON.parse(text) as readonly Result[];
}

/** Results replace older ones of the same client, version, image and way; those of what was not run stay. */
export function mergeResults(before: readonly Result[], now: readonly Result[]): readonly Result[] {
  const keyOf = ({ machine, client, version, image, way }: Result): string =>
    [machine, client, version, image, way].join(' ');
  return [...new Map([...before, ...now].map((result) => [keyOf(result), result])).values()];
}

/** Keeps the results, one a line. */
export async function writeResults(results: readonly Result[]): Promise<void> {
  const kinds = Object.keys(IMAGES);
  const order = ({ machine, client, version, image }: Result): string =>
    [machine, client, version.padStart(12), String(kinds.indexOf(image)).padStart(2)].join(' ');
  const sorted = results.toSorted((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0));
  await writeFile(FILE, `[\n${sorted.map((result) => `  ${JSON.stringify(result)}`).join(',\n')}\n]\n`);
}
