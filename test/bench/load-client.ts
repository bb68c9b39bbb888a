/**
 * A client for the load that wrk does not make: HEAD, and a connection for each request as engines before 1.10 open
 * them. A program of its own, so that it does not share a thread with what it measures. Its one argument is a {@link
 * ClientLoad} as JSON; it prints {@link LoadFigures}.
 */
import { Agent, request } from 'node:http';
import type { ClientLoad, LoadFigures } from './load.ts';
import { percentileOf } from './statistics.ts';

const { method, url, headers, connections, seconds, keepAlive } = JSON.parse(process.argv[2] ?? '{}') as ClientLoad;
const agent = new Agent({ keepAlive, maxSockets: connections });
const times: number[] = [];
let bytes = 0;
let failed = 0;

function once(): Promise<void> {
  return new Promise((resolve) => {
    const begun = performance.now();
    const fail = (): void => {
      failed++;
      resolve();
    };
    const asking = request(url, { method, headers, agent }, (answer) => {
      answer.on('data', (chunk: Buffer) => (bytes += chunk.length));
      answer.on('error', fail);
      answer.on('end', () => {
        if (answer.statusCode !== 200) failed++;
        times.push(performance.now() - begun);
        resolve();
      });
    });
    asking.on('error', fail);
    asking.end();
  });
}

const begun = performance.now();
const end = begun + seconds * 1_000;
await Promise.all(
  Array.from({ length: connections }, async () => {
    while (performance.now() < end) await once();
  }),
);
const duration = performance.now() - begun;
agent.destroy();
times.sort((a, b) => a - b);
const figures: LoadFigures = {
  requests: times.length,
  seconds: duration / 1_000,
  bytes,
  p50: percentileOf(times, 50),
  p99: percentileOf(times, 99),
  failed,
};
process.stdout.write(JSON.stringify(figures));
