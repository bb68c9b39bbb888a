/** Displays the progress of a publish: bars on a terminal, lines of JSON with `--json`, otherwise only warnings. */
import type { Digest } from '../../registry/digest.ts';
import type { EventSink } from '../publish/events.ts';
import { advance, NO_PROGRESS, progressLines } from './progress.ts';
import { formatBytes } from '../../registry/values/byte-size.ts';
import { plainText, printJson, printMessage } from './terminal-text.ts';

/** A display of publish events. */
export interface ProgressDisplay {
  readonly onEvent: EventSink;
  /** Removes the bars. Call it before anything else is written, and at the end. */
  clear(): void;
}

/** Drawing more often than the eye can follow only costs time. */
const DRAW_EVERY_MS = 100;

/** One line a second for each blob; one for each chunk would be thousands. */
const JSON_PROGRESS_EVERY_MS = 1_000;

/** Creates a display. With `json`, events go to standard output, one a line; otherwise to standard error. */
export function showProgress({ json }: { readonly json: boolean }): ProgressDisplay {
  if (json) return jsonLines();
  return process.stderr.isTTY ? bars() : plainLines();
}

function jsonLines(): ProgressDisplay {
  const underway = new Map<Digest, { printed: number; done: number }>();
  const write = (value: object): void => printJson(value);
  return {
    onEvent: (event) => {
      if (event.event !== 'blob-progress') {
        if (event.event === 'blob-started') underway.set(event.digest, { printed: performance.now(), done: 0 });
        write(event);
        return;
      }
      const blob = underway.get(event.digest);
      if (blob === undefined) return;
      blob.done += event.bytes;
      const now = performance.now();
      if (now - blob.printed < JSON_PROGRESS_EVERY_MS) return;
      blob.printed = now;
      // `bytes` is the total so far, so that readers need not add up.
      write({ event: 'blob-progress', digest: event.digest, bytes: blob.done });
    },
    clear: () => undefined,
  };
}

function plainLines(): ProgressDisplay {
  return {
    onEvent: (event) => {
      if (event.event === 'warning') printMessage(`warning: ${event.message}`);
      else if (event.event === 'blob-retried') printMessage(`sending ${event.digest} again: ${event.why}`);
      else if (event.event === 'plan' && event.toSend > 0) {
        printMessage(`sending ${formatBytes(event.bytesToSend)} of ${event.name}:${event.tag}`);
      }
    },
    clear: () => undefined,
  };
}

function bars(): ProgressDisplay {
  const { stderr } = process;
  let progress = NO_PROGRESS;
  let drawn = 0;
  let last = -Infinity;
  const clear = (): void => {
    if (drawn > 0) stderr.write(`\u001b[${String(drawn)}A\u001b[0J`);
    drawn = 0;
  };
  return {
    clear,
    onEvent: (event) => {
      const now = performance.now();
      progress = advance(progress, event, now);
      if (event.event === 'warning' || event.event === 'blob-retried') {
        clear();
        printMessage(
          event.event === 'warning' ? `warning: ${event.message}` : `sending ${event.digest} again: ${event.why}`,
        );
      } else if (now - last < DRAW_EVERY_MS) {
        return;
      }
      last = now;
      // One column stays free: some terminals wrap a line that fills the width.
      const lines = progressLines(progress, now, stderr.columns - 1).slice(0, Math.max(1, stderr.rows - 2));
      clear();
      if (lines.length > 0) stderr.write(`${lines.map(plainText).join('\n')}\n`);
      drawn = lines.length;
    },
  };
}
