/** What the parts of the benchmark share. */
import type { Section } from './section.ts';
import type { Peer } from './stage.ts';

/** How the benchmark runs. */
export interface Bench {
  /** A temporary folder of this part's own. */
  readonly folder: string;
  /**
   * How often each measurement is made; the subjects take turns. Requests that take little time are measured a second
   * at a time instead, `rounds` × `seconds` times.
   */
  readonly rounds: number;
  /** How long one of them takes. */
  readonly seconds: number;
  readonly peers: readonly Peer[];
  /** The program of zot; absent: it is left out. */
  readonly zot?: string;
  /** A checkout of cloudflare/serverless-registry with its dependencies; absent: it is left out. */
  readonly serverlessRegistry?: string;
  /** Of the requests only those with this in their title; absent: all. */
  readonly request?: string;
  /** Tells whoever waits what is going on. */
  readonly tell: (message: string) => void;
}

/** Something was asked for that there is not; the message says what there is. */
export class UnknownRequestError extends Error {
  override readonly name = 'UnknownRequestError';
}

/** A part: measures, and says what it found. */
export type Part = (bench: Bench) => Promise<readonly Section[]>;

/**
 * Runs `measure` for each subject, again in every round, forwards and backwards by turns so that none is always the
 * first; gives the figures of each, by round.
 */
export async function inTurns<S, F>(
  subjects: readonly S[],
  rounds: number,
  measure: (subject: S, round: number) => Promise<F>,
): Promise<ReadonlyMap<S, readonly F[]>> {
  const figures = new Map<S, F[]>(subjects.map((subject) => [subject, []]));
  for (let round = 0; round < rounds; round++) {
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed())
      figures.get(subject)?.push(await measure(subject, round));
  }
  return figures;
}
