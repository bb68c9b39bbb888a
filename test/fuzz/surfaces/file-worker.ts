/** Publishes hostile sources in a thread, so that the main thread can tell when one takes too long. */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { keyFromRandom } from '../../../src/manifest/signing/key.ts';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { describeFailure } from '../../../src/publisher/cli/failure.ts';
import { createPublisher } from '../../../src/publisher/publish/publish.ts';
import { openSource } from '../../../src/publisher/sources/open.ts';
import { Bucket, nameOf, tagOf } from '../../publisher/gc-bucket.ts';
import { type FileSurface, writeInput } from './inputs.ts';
import { chanceOf } from './random.ts';

/** What the thread is given. */
export interface FileWork {
  readonly surface: FileSurface;
  readonly seed: number;
  readonly from: number;
  readonly runs: number;
  readonly folder: string;
  /** [number of the input, milliseconds since it began, in the clock of `Date.now`, modulo 2^31]. */
  readonly shared: Int32Array;
}

/** What it reports in the end, or at the first fault. */
export interface FileReport {
  readonly published: number;
  readonly refused: number;
  readonly slowest: number;
  readonly fault?: { readonly input: number; readonly what: string };
}

const { surface, seed, from, runs, folder, shared } = workerData as FileWork;
const key = keyFromRandom(new Uint8Array(32).fill(7));
if (key === null) throw new Error('no key');
const signer = createSigner(key);
let [published, refused, slowest] = [0, 0, 0];

async function publish(source: string): Promise<void> {
  const opened = await openSource(source, { env: {} });
  try {
    const publisher = await createPublisher({ store: new Bucket(), realms: [], signer, wait: () => Promise.resolve() });
    await publisher.publish(opened, { name: nameOf('a/b'), tag: tagOf('c'), recompress: 'all' });
  } finally {
    await opened.close();
  }
}

function report(fault?: FileReport['fault']): void {
  parentPort?.postMessage({
    published,
    refused,
    slowest,
    ...(fault === undefined ? {} : { fault }),
  } satisfies FileReport);
}

let fault: FileReport['fault'];
for (let input = from; input < from + runs && fault === undefined; input += 1) {
  const source = writeInput(surface, chanceOf(seed, input), join(folder, 'input'));
  Atomics.store(shared, 1, Date.now() & 0x7fffffff);
  Atomics.store(shared, 0, input);
  const before = performance.now();
  try {
    await publish(source);
    published += 1;
  } catch (error) {
    const { code, stack } = describeFailure(error);
    if (code === 'INTERNAL') fault = { input, what: stack ?? String(error) };
    refused += 1;
  }
  slowest = Math.max(slowest, performance.now() - before);
}
Atomics.store(shared, 0, -1);
report(fault);
