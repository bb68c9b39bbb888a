/** What a pull costs Pulp, with the edge and without it; and how many requests for a manifest a second each answers. */
import { Agent, request } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { get, MODERN } from '../origin-edge.ts';
import { must } from '../programs.ts';
import type { Pulp } from './pulp.ts';

/** Requests that Pulp's web server logged for one pull. */
export interface Counts {
  readonly direct: number;
  /** Through the edge, which has nothing of the image. */
  readonly cold: number;
  readonly warm: number;
}

/** Requests a second for one manifest by tag. */
export interface Rates {
  readonly direct: number;
  readonly edge: number;
}

/** Questions for a manifest in one measurement, and how many at once. */
const QUESTIONS = 1_000;
const AT_ONCE = 8;

/** Pulls `name:1.0` by skopeo from Pulp, from the edge that does not have it, and from the edge that has it. */
export async function countRequests(pulp: Pulp, edgeHost: string, prefix: string, name: string): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-counts-'));
  const pull = async (reference: string): Promise<number> => {
    const before = (await pulp.requests()).length;
    await must('skopeo', [
      'copy',
      '--quiet',
      '--src-tls-verify=false',
      `docker://${reference}:1.0`,
      `dir:${join(folder, 'out')}`,
    ]);
    return (await pulp.requests()).length - before;
  };
  try {
    const direct = await pull(`${pulp.host}/${name}`);
    const cold = await pull(`${edgeHost}/${prefix}${name}`);
    return { direct, cold, warm: await pull(`${edgeHost}/${prefix}${name}`) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Measures both in turns, so that neither has the machine at a better time. */
export async function measureRates(pulp: Pulp, edgeHost: string, prefix: string, name: string): Promise<Rates> {
  const scope = encodeURIComponent(`repository:${name}:pull`);
  const { body } = await get(`${pulp.url}/token/?service=${pulp.host}&scope=${scope}`);
  const { token } = JSON.parse(body.toString()) as { token: string };
  const path = 'manifests/1.0';
  const rates: Record<keyof Rates, number[]> = { direct: [], edge: [] };
  for (let round = 0; round < 2; round++) {
    rates.direct.push(await rateOf(`${pulp.url}/v2/${name}/${path}`, { ...MODERN, authorization: `Bearer ${token}` }));
    rates.edge.push(await rateOf(`http://${edgeHost}/v2/${prefix}${name}/${path}`, MODERN));
  }
  return { direct: Math.max(...rates.direct), edge: Math.max(...rates.edge) };
}

/** Requests a second, on {@link AT_ONCE} connections; throws on anything but 200. */
async function rateOf(url: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  let left = QUESTIONS;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      request(url, { headers, agent }, (response) => {
        response.resume();
        response.once('error', reject);
        response.once('end', () =>
          response.statusCode === 200 ? resolve() : reject(new Error(`${url}: ${String(response.statusCode)}`)),
        );
      })
        .once('error', reject)
        .end();
    });
  const began = performance.now();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await one();
    }),
  );
  agent.destroy();
  return Math.round(QUESTIONS / ((performance.now() - began) / 1000));
}

/** Both as text. */
export function countsText(counts: Counts, rates: Rates): string {
  return [
    'Requests at Pulp for one pull by skopeo:',
    `  straight from Pulp: ${String(counts.direct)}`,
    `  through the edge, nothing of it stored: ${String(counts.cold)}`,
    `  through the edge, within the lifetime of the tag: ${String(counts.warm)}`,
    'Requests a second for a manifest by tag, both on this machine:',
    `  from Pulp, with its Redis cache: ${String(rates.direct)}`,
    `  from the edge, with the simulated bucket: ${String(rates.edge)}`,
  ].join('\n');
}
