/** How large a Worker is that was built to be deployed. */
import { gzipSync } from 'node:zlib';
import type { SplitWorker } from '../local/worker-bundle.ts';

/** One module. */
export interface ModuleSize {
  readonly name: string;
  /** What it is there for, see `WorkerModule`. */
  readonly source: string | null;
  readonly atStart: boolean;
  /** Minified. */
  readonly bytes: number;
  /** Minified, and gzip at its best. */
  readonly zipped: number;
}

/** Bytes, minified and gzip, every module by itself: their sum is a little more than what an upload of all of them has. */
export interface WorkerSize {
  /** What is evaluated before the first request. */
  readonly start: number;
  readonly total: number;
  readonly modules: readonly ModuleSize[];
}

/** Measures the modules. */
export function sizeOf({ modules }: SplitWorker): WorkerSize {
  const measured = modules.map(({ name, source, atStart, contents }) => ({
    name,
    source,
    atStart,
    bytes: contents.length,
    zipped: gzipSync(contents, { level: 9 }).length,
  }));
  const sum = (some: readonly ModuleSize[]): number => some.reduce((total, { zipped }) => total + zipped, 0);
  return { start: sum(measured.filter(({ atStart }) => atStart)), total: sum(measured), modules: measured };
}
