/**
 * The Worker over a bucket that fails now and then: a module of its own for the soak test. Of a thousand reads,
 * `FAULTS` fail, `FAULTS` are slow, and `FAULTS` bodies break off.
 */
import type { Env } from '../../src/worker/config.ts';
import { directPort } from '../../src/worker/gateway/registry-port.ts';
import { configOf, serve } from '../../src/worker/serve.ts';
import { brokenOff, watched } from './buckets.ts';

interface FaultyEnv extends Env {
  readonly FAULTS?: string;
}

const spoilt = new WeakMap<Env, Env>();

export default {
  async fetch(request, env, ctx) {
    const own = spoilt.get(env) ?? spoil(env);
    spoilt.set(env, own);
    return serve(
      request,
      () => configOf(own),
      (config) => directPort(config, ctx),
      ctx,
    );
  },
} satisfies ExportedHandler<FaultyEnv>;

/** A slow read, in milliseconds. */
const SLOW = 200;

function spoil(env: FaultyEnv): Env {
  const share = Number(env.FAULTS ?? 0) / 1_000;
  const { bucket } = watched(env.BUCKET, async (operation, key, call) => {
    if (Math.random() < share) throw new Error(`the bucket failed at ${operation} of ${key}`);
    if (Math.random() < share) await new Promise((resolve) => setTimeout(resolve, SLOW));
    const object = await call();
    const breaks = operation === 'get' && Math.random() < share;
    return breaks
      ? withLength(object, brokenOff(object, Math.floor(Math.random() * 1_000), Math.random() < 0.5 ? 'error' : 'end'))
      : object;
  });
  return { ...env, BUCKET: bucket };
}

/** Bodies of a real bucket know their length: the runtime notices where one ends before it. */
function withLength(whole: unknown, broken: unknown): unknown {
  if (typeof whole !== 'object' || whole === null || !('body' in whole)) return whole;
  const { size, range } = whole as R2ObjectBody;
  const length = range !== undefined && 'length' in range ? (range.length ?? size) : size;
  const known = new FixedLengthStream(length);
  (broken as R2ObjectBody).body.pipeTo(known.writable).catch(() => undefined);
  return new Proxy(whole, {
    get(target, property): unknown {
      if (property === 'body') return known.readable;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
