/** Exit codes of the command: done, failed, wrong usage. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/**
 * A failure that a person can do something about: what happened, why, and what to do. Anything else that is thrown is a fault of ours and is shown with its stack.
 * `kind: 'usage'` ends with exit code 2, all others with 1.
 */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly kind: 'usage' | 'failed';
  /** What to do, one sentence; absent where there is nothing. */
  readonly hint: string | undefined;

  constructor(message: string, options: { kind?: 'usage' | 'failed'; hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.kind = options.kind ?? 'failed';
    this.hint = options.hint;
  }
}
