/** Lets at most `limit` pieces of work go on at once, whoever starts them; the others wait in turn. */
export function createLimit(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // Whoever waited longest takes the place over.
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
