/** Buckets that count, fail, are slow or break off: a real one with something in between. */

/** What a bucket was asked. */
export interface Operations {
  head: number;
  get: number;
  /** Everything else: lists and writes, which the read path has no business with. */
  other: string[];
  /** Bodies whose reading has begun. */
  bodies: number;
}

/** What may be done to each read; `call` makes it. */
export type Meddling = (operation: 'head' | 'get', key: string, call: () => Promise<unknown>) => Promise<unknown>;

/** A bucket whose reads are counted and given to `meddle`. */
export function watched(
  bucket: R2Bucket,
  meddle: Meddling = (_operation, _key, call) => call(),
): { readonly bucket: R2Bucket; readonly operations: Operations } {
  const operations: Operations = { head: 0, get: 0, other: [], bodies: 0 };
  const proxy = new Proxy(bucket, {
    get(target, property) {
      if (property !== 'head' && property !== 'get') {
        operations.other.push(String(property));
        return undefined;
      }
      return (...args: unknown[]) => {
        operations[property]++;
        const call = Reflect.get(target, property, target) as (...all: unknown[]) => Promise<unknown>;
        return meddle(property, String(args[0]), () => call.apply(target, args)).then((object) =>
          watchBody(object, operations),
        );
      };
    },
  });
  return { bucket: proxy, operations };
}

function watchBody(object: unknown, operations: Operations): unknown {
  if (typeof object !== 'object' || object === null || !('body' in object)) return object;
  return new Proxy(object, {
    get(target, property) {
      if (property === 'body') operations.bodies++;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** An object whose body ends in an error, or without one, after so many bytes. */
export function brokenOff(object: unknown, after: number, how: 'error' | 'end'): unknown {
  if (typeof object !== 'object' || object === null || !('body' in object)) return object;
  const { body } = object as { body: ReadableStream<Uint8Array> };
  let left = after;
  const broken = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        if (left > 0) controller.enqueue(chunk.slice(0, left));
        left -= chunk.length;
        if (left > 0) return;
        if (how === 'error') controller.error(new Error('the connection to storage broke off'));
        else controller.terminate();
      },
    }),
  );
  return new Proxy(object, {
    get: (target, property): unknown => (property === 'body' ? broken : Reflect.get(target, property, target)),
  });
}

/** An object whose body never gives a byte, nor ends. */
export function hanging(object: unknown): unknown {
  if (typeof object !== 'object' || object === null || !('body' in object)) return object;
  const body = new ReadableStream<Uint8Array>({ pull: () => new Promise<never>(() => undefined) });
  return new Proxy(object, {
    get: (target, property): unknown => (property === 'body' ? body : Reflect.get(target, property, target)),
  });
}
