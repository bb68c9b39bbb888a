/** Ctrl-C: the first one ends work cleanly, the second one at once. */

/** The signal that the first SIGINT or SIGTERM gives. Call it where work can be aborted; from then on those no longer end the process by themselves. */
export function abortOnInterrupt(): AbortSignal {
  if (controller === undefined) {
    const own = new AbortController();
    controller = own;
    const stop = (name: NodeJS.Signals): void => {
      own.abort(new InterruptedError(name));
      // The listener is gone then: a second Ctrl-C ends the process.
      process.off('SIGINT', stop).off('SIGTERM', stop);
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
  }
  return controller.signal;
}

let controller: AbortController | undefined;

/** Somebody pressed Ctrl-C, or ended the process otherwise. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }
}
