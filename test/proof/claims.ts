/**
 * The claims of README.md that have a figure, and where the figure comes from. README links each of them to the heading
 * of the same title in docs/proof.md.
 */

/** A claim with figures of results. */
export interface Claim {
  readonly title: string;
  /** Name of a result, and the beginning of the figure's `what`. */
  readonly figures: readonly (readonly [result: string, what: string])[];
}

/** Measured claims. */
export const CLAIMS: readonly Claim[] = [
  {
    title: 'Storage reads of a request',
    figures: [
      ['bench-operations', 'R2 reads of a manifest by tag, new client, without a cache'],
      ['bench-operations', 'R2 reads of a manifest by tag, old client, without a cache'],
      ['bench-operations', 'R2 reads of a manifest by tag, warm cache'],
      ['bench-operations', 'R2 reads of a blob, without a cache'],
    ],
  },
  {
    title: 'Schema 1 as docker/distribution makes it',
    figures: [
      ['fuzz', 'configs converted'],
      ['fuzz', 'differences from docker/distribution and libtrust'],
      ['conformance', 'unexplained differences from docker-registry'],
    ],
  },
  {
    title: 'Clients that pulled',
    figures: [
      ['interop', 'clients and versions'],
      ['interop', 'pulls that ended as they should'],
      ['interop', 'pulls that did not'],
    ],
  },
  {
    title: 'Size of a tag list',
    figures: [['bench-growth', 'bytes that a change of a list of 100,000 tags writes']],
  },
];

/** Figures of README.md that a setting fixes, and the test that checks it. */
export const SETTINGS: readonly { readonly text: string; readonly test: string }[] = [
  { text: 'within 90 seconds', test: 'test/worker/http.test.ts' },
];

/** A heading's anchor, as GitHub makes it. */
export function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}
