/**
 * `npm run fuzz -- --surface http|tar|json|layout [--runs N] [--seed S] [--from N]`: gives a surface inputs that nobody
 * would write. None may take over two seconds, more than 512 MiB, or end in a stack trace. Where files are read, the
 * seconds are those of the processor. `--from` with the seed brings one input back.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { FileReport, FileWork } from './file-worker.ts';
import { fuzzHttp } from './http.ts';
import type { FileSurface } from './inputs.ts';

/** What no input may exceed. */
export const LIMITS = { milliseconds: 2_000, bytes: 512 * 1024 * 1024 } as const;

/**
 * Milliseconds after which an input hangs that takes no processor time: on a busy machine, a thread may wait for
 * seconds.
 */
const IDLE_MOST = 20_000;

/** Which inputs. */
export interface SurfaceRun {
  readonly seed: number;
  readonly from: number;
  readonly runs: number;
}

/** The result: a line to print, and the fault, if there is one. */
export interface SurfaceResult {
  readonly summary: string;
  readonly fault: string | null;
}

/** Surface → what runs it. */
export const SURFACES: Readonly<Record<string, (run: SurfaceRun) => Promise<SurfaceResult>>> = {
  tar: (run) => fuzzFiles('tar', run),
  json: (run) => fuzzFiles('json', run),
  layout: (run) => fuzzFiles('layout', run),
  http: fuzzHttp,
};

/**
 * On a busy machine a thread may wait for two seconds through no fault of its input. So a slow input is run again
 * alone: if it is in time then, the run goes on behind it.
 */
async function fuzzFiles(surface: FileSurface, run: SurfaceRun): Promise<SurfaceResult> {
  const summaries: string[] = [];
  for (let from = run.from; from < run.from + run.runs;) {
    const result = await fuzzPart(surface, { ...run, from, runs: run.from + run.runs - from });
    if (result.slow === undefined) return { ...result, summary: [...summaries, result.summary].join('\n') };
    const again = await fuzzPart(surface, { ...run, from: result.slow, runs: 1 });
    if (again.fault !== null) return again;
    summaries.push(`${surface}: inputs ${String(from)} to ${String(result.slow)}, of which the last one was run twice`);
    from = result.slow + 1;
  }
  return { summary: summaries.join('\n'), fault: null };
}

async function fuzzPart(surface: FileSurface, run: SurfaceRun): Promise<SurfaceResult & { readonly slow?: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-fuzz-'));
  const shared = new Int32Array(new SharedArrayBuffer(8)).fill(-1);
  const worker = new Worker(new URL('./file-worker.ts', import.meta.url), {
    workerData: { surface, ...run, folder, shared } satisfies FileWork,
    // The garbage of earlier inputs is collected early; an input that needs more is a fault.
    resourceLimits: { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 32 },
  });
  let most = 0;
  let [current, processor] = [-1, process.cpuUsage()];
  let timer: NodeJS.Timeout | undefined;
  try {
    const found = await new Promise<FileReport | { readonly what: string; readonly slow?: number }>(
      (resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
        worker.once('exit', () => reject(new Error('the thread ended without a report')));
        timer = setInterval(() => {
          const input = Atomics.load(shared, 0);
          most = Math.max(most, process.memoryUsage.rss());
          if (input !== current) [current, processor] = [input, process.cpuUsage()];
          const milliseconds = ((Date.now() & 0x7fffffff) - Atomics.load(shared, 1)) & 0x7fffffff;
          // Of all threads: compression has its own.
          const { user, system } = process.cpuUsage(processor);
          const isOver = milliseconds > IDLE_MOST || (user + system) / 1_000 > LIMITS.milliseconds;
          if (most > LIMITS.bytes) resolve({ what: `input ${String(input)} took ${mib(most)}` });
          else if (input >= 0 && milliseconds > LIMITS.milliseconds && isOver)
            resolve({ what: `input ${String(input)} takes over two seconds`, slow: input });
        }, 50);
      },
    );
    if ('what' in found)
      return {
        summary: `${surface}: stopped`,
        fault: found.what,
        ...(found.slow === undefined ? {} : { slow: found.slow }),
      };
    const { published, refused, slowest, fault } = found;
    return {
      summary:
        `${surface}: ${String(published + refused)} inputs, ${String(published)} published, ${String(refused)} refused;` +
        ` slowest ${slowest.toFixed(0)} ms, ${mib(most)} (seed ${String(run.seed)})`,
      fault: fault === undefined ? null : `input ${String(fault.input)}: ${fault.what}`,
    };
  } finally {
    clearInterval(timer);
    await worker.terminate();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Bytes for people. */
export function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
}
