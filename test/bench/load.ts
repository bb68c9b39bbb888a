/**
 * Load on a server of this machine, from a program of its own: wrk for GET over connections that stay, our client for
 * all else.
 */
import { fileURLToPath } from 'node:url';
import { must } from '../interop/programs.ts';

/** What is asked again and again. */
export interface ClientLoad {
  readonly method: 'GET' | 'HEAD';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
  /** False: a new connection for each request. */
  readonly keepAlive: boolean;
  /** The body is so long that few are read: then the last ones are waited for, and their bytes count. */
  readonly isLong?: boolean;
}

/**
 * What was measured. `p50` and `p99` in milliseconds from sending a request to the end of its answer; `failed`: no
 * answer, or none with 200.
 */
export interface LoadFigures {
  readonly requests: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
}

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Makes load and measures. Throws if anything failed: what is wrong is not fast. */
export async function load(what: ClientLoad): Promise<LoadFigures> {
  const figures = isByWrk(what) ? await wrk(what) : await client(what);
  if (figures.failed > 0)
    throw new Error(`${what.method} ${what.url}: ${String(figures.failed)} of ${String(figures.requests)} failed`);
  return figures;
}

/** Whether wrk makes this load. */
export function isByWrk({ method, keepAlive, isLong }: Pick<ClientLoad, 'method' | 'keepAlive' | 'isLong'>): boolean {
  return method === 'GET' && keepAlive && isLong !== true;
}

async function wrk({ url, headers, connections, seconds }: ClientLoad): Promise<LoadFigures> {
  const output = await must('wrk', [
    '-t1',
    `-c${String(connections)}`,
    `-d${String(seconds)}s`,
    '--timeout=60s',
    `--script=${path('report.lua')}`,
    ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    url,
  ]);
  const line = output.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`wrk said nothing that can be read:\n${output}`);
  const { requests, duration, bytes, p50, p99, failed } = JSON.parse(line) as Omit<LoadFigures, 'seconds'> & {
    readonly duration: number;
  };
  return { requests, seconds: duration / 1e6, bytes, p50: p50 / 1e3, p99: p99 / 1e3, failed };
}

async function client(what: ClientLoad): Promise<LoadFigures> {
  return JSON.parse(await must(process.execPath, [path('load-client.ts'), JSON.stringify(what)])) as LoadFigures;
}
