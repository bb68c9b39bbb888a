/**
 * A deletion that storage or the network holds back must not take what somebody needs since: neither if its gc was
 * killed, nor if it was stopped and goes on.
 *
 * `leaseMs` is how long a sweep may leave the journal unchanged before it is taken over; 120 s unless told.
 */
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { collect } from '../../src/publisher/gc/collect.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import type { S3Store } from '../../src/publisher/stores/s3-store.ts';
import { titleWith, until } from '../interop/programs.ts';
import { nameOf, tagOf } from '../publisher/gc-bucket.ts';
import { digestOf } from './bucket-reader.ts';
import { type Running, startModule } from './processes.ts';
import type { FaultProxy, Seen } from './proxy.ts';
import { byRules } from './random.ts';
import { missingFor, openStorage, type StorageBed, STORAGES } from './storage.ts';
import { imageOf } from './upstream.ts';

const LEASE = { leaseMs: 12_000 };
const LONG = { timeout: 300_000 };
// Those of probes are not gc's.
const isDelete = ({ method, path }: Seen): boolean => method === 'DELETE' && !path.includes('/probe/');
const signer = createSigner(newKey());

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-late-'));
  for (const seed of ['a', 'b']) {
    const { config, layer, manifest } = imageOf(seed);
    await mkdir(join(folder, seed));
    for (const blob of [config, layer])
      await writeFile(join(folder, seed, digestOf(blob).slice('sha256:'.length)), blob);
    await writeFile(join(folder, seed, 'manifest.json'), manifest);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A bucket of its own, whose tag `one` was image `a` and is image `b`, so that gc deletes `a`. */
interface World {
  readonly proxy: FaultProxy;
  readonly store: (way: 'proxy' | 'direct') => S3Store;
  readonly publish: (seed: string, tag: string) => Promise<void>;
  readonly collect: (store: S3Store) => Promise<unknown>;
  /** `collect` as a process, through the proxy. */
  readonly startGc: () => Running;
  readonly findings: () => Promise<readonly unknown[]>;
  readonly journal: () => Promise<string>;
}

// Tests mostly wait, for leases.
describe.each(STORAGES.map((storage) => [storage, missingFor(storage)] as const))('%s', (storage, missing) => {
  describe.skipIf(missing.length > 0)(titleWith('a deletion that comes late', missing), { concurrent: true }, () => {
    let bed: StorageBed;
    let worlds = 0;
    beforeAll(async () => {
      bed = await openStorage(storage);
    }, 60_000);
    afterAll(() => bed.close());

    async function inWorld(use: (world: World) => Promise<void>): Promise<void> {
      const prefix = `world-${String((worlds += 1))}/`;
      const proxy = await bed.openProxy();
      const publish = async (seed: string, tag: string): Promise<void> => {
        const publisher = await createPublisher({ store: bed.store('direct', prefix), realms: [], signer, ...LEASE });
        const source = await openDir(join(folder, seed));
        await publisher.publish(source, { name: nameOf('late/app'), tag: tagOf(tag), replace: true });
      };
      const running: Running[] = [];
      try {
        await publish('a', 'one');
        await publish('b', 'one');
        await use({
          proxy,
          publish,
          store: (way) => bed.store(way === 'proxy' ? proxy : way, prefix),
          collect: (store) => collect(store, { table: [], grace: 0, remove: true, ...LEASE }),
          startGc: () => {
            const module = new URL('gc-process.ts', import.meta.url).pathname;
            const args = [`s3://${bed.bucket}/${prefix.slice(0, -1)}`, String(LEASE.leaseMs)];
            const gc = startModule(module, args, bed.env(proxy));
            running.push(gc);
            return gc;
          },
          findings: async () => (await bed.reader(prefix).everything()).findings,
          journal: async () => (await bed.reader(prefix).get('gc.json'))?.bytes.toString() ?? '',
        });
      } finally {
        for (const gc of running) gc.kill('SIGKILL');
        await proxy.close();
      }
    }

    /** Holds deletions back, also those that are sent again; gives a way to let them go. */
    function holdDeletions(proxy: FaultProxy): {
      readonly held: () => Promise<void>;
      readonly release: () => Promise<void>;
    } {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      proxy.fault = byRules([{ path: /./, when: isDelete, fault: { kind: 'hold', until: promise } }]);
      return {
        held: () => until('the deletion', () => Promise.resolve((proxy.counts.faults.get('hold') ?? 0) > 0)),
        release: async () => {
          resolve(undefined);
          await proxy.settled();
        },
      };
    }

    it('does not take what was published since, and gc says so', LONG, () =>
      inWorld(async ({ proxy, store, publish, collect, findings }) => {
        const { held, release } = holdDeletions(proxy);
        const collecting = collect(store('proxy')).catch((error: unknown) => error);
        await held();
        // Needs what is being deleted: waits for the lease, takes the sweep over, and relies on what it finds or sends.
        await publish('a', 'two');
        await release();
        expect(await collecting).toBeInstanceOf(Error);
        expect(await findings()).toEqual([]);
      }),
    );

    it('does not take what was published since, delivered twice', LONG, () =>
      inWorld(async ({ proxy, store, publish, collect, findings }) => {
        const again = { kind: 'duplicate', times: 1, milliseconds: LEASE.leaseMs } as const;
        proxy.fault = byRules([{ path: /./, when: isDelete, fault: again }]);
        await collect(store('proxy'));
        await publish('a', 'two');
        await proxy.settled();
        expect(proxy.counts.faults.get('duplicate')).toBeGreaterThan(0);
        expect(await findings()).toEqual([]);
      }),
    );

    it.each(['SIGSTOP', 'SIGKILL'] as const)(
      'does not take what was published since, held while its gc gets %s',
      LONG,
      (signal) =>
        inWorld(async ({ proxy, publish, startGc, findings }) => {
          const { held, release } = holdDeletions(proxy);
          const gc = startGc();
          await held();
          gc.kill(signal);
          await publish('a', 'two');
          await release();
          gc.kill('SIGCONT');
          const { code, output } = await gc.ended;
          expect(code, output).not.toBe(0);
          expect(await findings()).toEqual([]);
        }),
    );

    it('is refused from a gc that is stopped right before it sends it, and goes on after its lease', LONG, () =>
      inWorld(async ({ proxy, publish, startGc, findings }) => {
        const isJournal = ({ path }: Seen): boolean => path.includes('/gc.json');
        let writes = 0;
        let deletions = 0;
        const { promise: stopped, resolve } = Promise.withResolvers<undefined>();
        const gc = startGc();
        proxy.fault = (seen) => {
          if (isDelete(seen)) deletions += 1;
          if (isJournal(seen) && seen.method === 'PUT') writes += 1;
          // The journal has the sweep and was renewed: this is the look for the deadline, and the deletion follows.
          if (isJournal(seen) && seen.method === 'HEAD' && writes === 2) {
            gc.kill('SIGSTOP');
            resolve(undefined);
          }
          return undefined;
        };
        await stopped;
        expect(deletions).toBe(0);
        await publish('a', 'two');
        gc.kill('SIGCONT');
        const { code, output } = await gc.ended;
        expect(output).toContain('considered this garbage collection dead');
        expect(code).toBe(1);
        expect(deletions).toBeGreaterThan(0);
        expect(await findings()).toEqual([]);
      }),
    );

    it('is not begun by a gc that stood still for longer than its lease', LONG, () =>
      inWorld(async ({ store, publish, collect, findings, journal }) => {
        const { promise: published, resolve: goOn } = Promise.withResolvers<undefined>();
        const stopped = new Proxy(store('direct'), {
          get(target, property): unknown {
            if (property === 'deleteFenced') {
              return async (...args: Parameters<S3Store['deleteFenced']>): ReturnType<S3Store['deleteFenced']> => {
                // Not the probe of the storage, which comes before the sweep.
                if ((await journal()).includes('"sweeping":{')) await published;
                return target.deleteFenced(...args);
              };
            }
            const value: unknown = Reflect.get(target, property, target);
            return typeof value === 'function' ? (value.bind(target) as unknown) : value;
          },
        });
        const collecting = collect(stopped).catch((error: unknown) => error);
        await until('the sweep', async () => (await journal()).includes('"sweeping":{'));
        await publish('a', 'two');
        goOn(undefined);
        expect(await collecting).toBeInstanceOf(Error);
        expect(await findings()).toEqual([]);
      }),
    );
  });
});
