/** Repeats a check whose result takes time to appear at the edge. */

/** How often, and the pause between, in milliseconds. */
export interface Patience {
  readonly tries: number;
  readonly pauseMs: number;
}

/** The first answer of `ask` that is not null; null if all are. */
export async function patiently<T>({ tries, pauseMs }: Patience, ask: () => Promise<T | null>): Promise<T | null> {
  for (let asked = 0; asked < tries; asked += 1) {
    if (asked > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const answer = await ask();
    if (answer !== null) return answer;
  }
  return null;
}
