import fc from 'fast-check';
import { expect, it } from 'vitest';
import { collect } from '../../src/publisher/gc/collect.ts';
import { guardAgainstGc } from '../../src/publisher/gc/guard.ts';
import { CommandError } from '../../src/publisher/cli/errors.ts';
import { blobKey, manifestKey } from '../../src/registry/keys.ts';
import { Bucket, digestOf, HOUR, Writer, type Made } from './gc-bucket.ts';

const DAY = 24 * HOUR;
const TEXTS = ['a', 'b', 'c', 'd', 'e', 'f'];

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Numbers from 0 to below 1 that a seed decides (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** An image with all its objects. */
interface Model extends Made {
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

/** Publishes as the command does: looks what is there, sends the rest, secures, writes the tag. */
async function publish(
  bucket: Bucket,
  writer: Writer,
  model: Made & { readonly contents: ReadonlyMap<string, Uint8Array> },
  tag: string,
): Promise<void> {
  const guard = await guardAgainstGc(bucket, { wait: turn });
  const send = async (keys: Iterable<string>): Promise<void> => {
    for (const key of keys) {
      const bytes = model.contents.get(key);
      if (bytes !== undefined && (await bucket.head(key)) === null) await bucket.put(key, bytes, { contentType: 'x' });
    }
  };
  const keys = [...model.contents.keys()];
  await send(keys);
  for (let lost = await guard.secure(keys); lost.length > 0; lost = await guard.secure(keys)) await send(lost);
  await writer.tag(tag, [model]);
}

/** An image as it would be published, made in a bucket of its own. */
async function modelOf(text: string): Promise<Model> {
  const own = new Bucket();
  const writer = new Writer(own, 'library/app');
  const made = await writer.image(text);
  return { ...made, contents: new Map([...own.objects].map(([key, { bytes }]) => [key, bytes])) };
}

it('leaves every tag complete, however gc and three publishers take turns', async () => {
  const models = await Promise.all(TEXTS.map(modelOf));
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 6 }), async (seed, slowness) => {
      const random = randomFrom(seed);
      const bucket = new Bucket();
      const writer = new Writer(bucket, 'library/app');
      for (const model of models)
        for (const [key, bytes] of model.contents) await bucket.put(key, bytes, { contentType: 'x' });
      const gc = (): Promise<unknown> =>
        collect(bucket, { table: [], grace: DAY, remove: true, now: () => bucket.now, wait: turn });
      await gc();
      bucket.now += 2 * DAY;
      bucket.before = async () => {
        for (let turns = Math.floor(random() * slowness); turns > 0; turns -= 1) await turn();
      };
      const pick = (): Model => {
        const model = models[Math.floor(random() * models.length)];
        if (model === undefined) throw new Error('no model');
        return model;
      };
      const tags = ['one', 'two', 'three'];
      await Promise.all([
        gc().catch((error: unknown) => {
          // Publishers may keep it from its turn, and one that waited may have ended it: both are told, and harmless.
          if (!(error instanceof CommandError)) throw error;
        }),
        ...tags.map(async (tag) => {
          await publish(bucket, writer, pick(), tag);
          await publish(bucket, writer, pick(), tag);
        }),
      ]);
      bucket.before = () => undefined;
      for (const tag of tags) {
        const object = bucket.objects.get(`repositories/library/app/_tags/${tag}`);
        expect(object).toBeDefined();
        const model = models.find(({ bytes }) => object !== undefined && digestOf(object.bytes) === digestOf(bytes));
        expect([...(model?.contents.keys() ?? ['nothing'])].filter((key) => !bucket.objects.has(key))).toEqual([]);
      }
    }),
    { numRuns: 300 },
  );
});

it('knows the keys that it checks', async () => {
  const model = await modelOf('a');
  expect([...model.contents.keys()].sort()).toEqual(
    [
      ...model.blobs.map((digest) => blobKey(new Writer(new Bucket(), 'x').realm, digest)),
      manifestKey(new Writer(new Bucket(), 'library/app').name, model.digest),
    ].sort(),
  );
});
