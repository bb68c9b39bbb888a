/** Ctrl-C: the first one ends the work cleanly, the second one ends the process. */

/**
 * A signal that the first SIGINT or SIGTERM aborts. Once this is called, that first signal no longer ends the process.
 */
export function abortOnInterrupt(): AbortSignal {
  if (controller === undefined) {
    const own = new AbortController();
    controller = own;
    const stop = (name: NodeJS.Signals): void => {
      own.abort(new InterruptedError(name));
      // Without a listener, a second Ctrl-C ends the process.
      process.off('SIGINT', stop).off('SIGTERM', stop);
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
  }
  return controller.signal;
}

let controller: AbortController | undefined;

/** The process received SIGINT (Ctrl-C) or SIGTERM. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }
}
