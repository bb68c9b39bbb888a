/**
 * How long payload and signature of a schema 1 take. A program of its own, since the first time in a process is told
 * apart from the later ones: `gantry publish` does it once. Arguments: how many layers the image has, or `huge` for the
 * vector 44-huge, and how often. Prints JSON: sizes in bytes and milliseconds of processor time, which other programs
 * on the machine do not lengthen, in the order in which they were measured.
 */
import { readFile } from 'node:fs/promises';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { buildSchema1, type Schema1Input } from '../../src/manifest/schema1.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';

/** What the program prints. */
export interface DeriveTimes {
  readonly layers: number;
  readonly configBytes: number;
  readonly payloadBytes: number;
  readonly build: readonly number[];
  readonly sign: readonly number[];
}

type Image = Pick<Schema1Input, 'config' | 'layers'>;

const [which = 'huge', times = '1'] = process.argv.slice(2);
const image = which === 'huge' ? await readHuge() : imageOf(Number(which));
const signer = createSigner(newKey());
const build: number[] = [];
const sign: number[] = [];
let payloadBytes = 0;
for (let at = 0; at < Number(times); at++) {
  const begun = process.cpuUsage();
  const result = buildSchema1({ ...image, name: 'bench/image', tag: 'latest' }, 'compat');
  build.push(millisecondsSince(begun));
  if (result.kind !== 'payload') throw new Error(result.explanation);
  const built = process.cpuUsage();
  signer.sign(result.payload, '2026-01-01T00:00:00Z');
  sign.push(millisecondsSince(built));
  payloadBytes = result.payload.length;
}
const printed: DeriveTimes = {
  layers: image.layers.length,
  configBytes: image.config.length,
  payloadBytes,
  build,
  sign,
};
process.stdout.write(JSON.stringify(printed));

async function readHuge(): Promise<Image> {
  const vector = new URL('../fixtures/schema1/44-huge/', import.meta.url);
  const config = new Uint8Array(await readFile(new URL('config.json', vector)));
  const { layers } = JSON.parse(await readFile(new URL('manifest.json', vector), 'utf8')) as {
    layers: { digest: string }[];
  };
  return { config, layers: layers.map(({ digest }) => digest) };
}

/** An image of as many layers and history entries. */
function imageOf(count: number): Image {
  const digests = Array.from({ length: count }, (_, at) => `sha256:${at.toString(16).padStart(64, '0')}`);
  const config = {
    architecture: 'amd64',
    config: { Env: ['PATH=/bin'] },
    created: '2026-01-01T00:00:00Z',
    history: digests.map((digest) => ({
      created: '2026-01-01T00:00:00Z',
      created_by: `/bin/sh -c #(nop) ADD file:${digest} in / `,
    })),
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: digests },
  };
  return { config: new TextEncoder().encode(JSON.stringify(config)), layers: digests };
}

function millisecondsSince(begun: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1_000;
}
