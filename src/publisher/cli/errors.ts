/** Exit codes of the command: success, failure, usage error. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/**
 * A failure that the user can act on: what happened, why, and what to do. Any other error is a fault in gantry and is
 * printed with its stack. `kind: 'usage'` ends with exit code 2, any other with 1.
 */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly kind: 'usage' | 'failed';
  /** What to do, in one sentence; undefined if there is nothing. */
  readonly hint: string | undefined;

  constructor(message: string, options: { kind?: 'usage' | 'failed'; hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.kind = options.kind ?? 'failed';
    this.hint = options.hint;
  }
}

/** A {@link CommandError} about wrong arguments. */
export function usageError(message: string, hint?: string): CommandError {
  return new CommandError(message, { kind: 'usage', ...(hint === undefined ? {} : { hint }) });
}
