/** Ctrl-C: the first one ends the work cleanly, the second one ends the process. */
import { writeSync } from 'node:fs';

/** Milliseconds that a clean end may take after SIGTERM: a read may never return, and supervisors send SIGKILL. */
const GRACE_MS = 1_000;

/**
 * A signal that the first SIGINT or SIGTERM aborts. Once this is called, that first signal no longer ends the process
 * at once. After SIGTERM, the process ends within {@link GRACE_MS} whatever it waits for, unless `patient` is set:
 * every tag is unchanged or complete at any moment, so an abrupt end is safe.
 */
export function abortOnInterrupt({ patient = false }: { readonly patient?: boolean } = {}): AbortSignal {
  if (controller === undefined) {
    const own = new AbortController();
    controller = own;
    const stop = (name: NodeJS.Signals): void => {
      own.abort(new InterruptedError(name));
      // Without a listener, a second Ctrl-C ends the process.
      process.off('SIGINT', stop).off('SIGTERM', stop);
      if (name === 'SIGTERM' && !patient) setTimeout(endAtOnce, GRACE_MS).unref();
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
  }
  return controller.signal;
}

/**
 * Ends the process by the default action of SIGTERM. `process.exit` would wait for a thread that is blocked in a read,
 * for ever perhaps.
 */
function endAtOnce(): void {
  writeSync(
    process.stderr.fd,
    'error: interrupted while waiting; each tag is either unchanged or completely updated\n',
  );
  process.kill(process.pid, 'SIGTERM');
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
