/**
 * A deletion that storage or the network holds back must not take what somebody needs since: neither if its gc was killed, nor if it was stopped and goes on.
 *
 * `leaseMs` is how long a sweep may leave the journal unchanged before it is taken over; 120 s unless told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { collect } from '../../src/publisher/gc/collect.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import type { S3Store } from '../../src/publisher/stores/s3-store.ts';
import { titleWith, until } from '../interop/programs.ts';
import { nameOf, tagOf } from '../publisher/gc-bucket.ts';
import { digestOf } from './bucket-reader.ts';
import { byRules } from './random.ts';
import { missingFor, openStorage, type StorageBed } from './storage.ts';
import { imageOf } from './upstream.ts';

const LEASE = { leaseMs: 12_000 };
const signer = createSigner(newKey());

describe.each((['R2 simulator'] as const).map((storage) => [storage, missingFor(storage)] as const))(
  '%s',
  (storage, missing) => {
    describe.skipIf(missing.length > 0)(titleWith('a deletion that comes late', missing), () => {
      let bed: StorageBed;
      let folder: string;
      let worlds = 0;
      let prefix: string;

      beforeAll(async () => {
        bed = await openStorage(storage);
        folder = await mkdtemp(join(tmpdir(), 'gantry-late-'));
        for (const seed of ['a', 'b']) {
          const { config, layer, manifest } = imageOf(seed);
          await mkdir(join(folder, seed));
          for (const blob of [config, layer])
            await writeFile(join(folder, seed, digestOf(blob).slice('sha256:'.length)), blob);
          await writeFile(join(folder, seed, 'manifest.json'), manifest);
        }
      }, 60_000);
      afterAll(async () => {
        await bed.close();
        await rm(folder, { recursive: true, force: true });
      });
      beforeEach(() => {
        bed.proxy.fault = () => undefined;
        prefix = `world-${String((worlds += 1))}/`;
      });

      async function publish(seed: string, tag: string): Promise<void> {
        const options = { store: bed.store('direct', prefix), realms: [], signer, ...LEASE };
        await (
          await createPublisher(options)
        ).publish(await openDir(join(folder, seed)), { name: nameOf('late/app'), tag: tagOf(tag), replace: true });
      }

      const gc = (store: S3Store): Promise<unknown> => collect(store, { table: [], grace: 0, remove: true, ...LEASE });

      /** Holds deletions back, also those that are sent again; gives a way to let them go. */
      function holdDeletion(): { readonly held: () => Promise<void>; readonly release: () => Promise<void> } {
        const { promise, resolve } = Promise.withResolvers<undefined>();
        bed.proxy.fault = byRules([
          {
            path: /./,
            when: ({ method, path }) => method === 'DELETE' || (method === 'POST' && path.includes('delete')),
            fault: { kind: 'hold', until: promise },
          },
        ]);
        return {
          held: () => until('the deletion', () => Promise.resolve((bed.proxy.counts.faults.get('hold') ?? 0) > 0)),
          release: async () => {
            resolve(undefined);
            await bed.proxy.settled();
          },
        };
      }

      it('does not take what was published since, and gc says so', { timeout: 300_000 }, async () => {
        await publish('a', 'one');
        await publish('b', 'one');
        const { held, release } = holdDeletion();
        const collecting = gc(bed.store('proxy', prefix)).catch((error: unknown) => error);
        await held();
        // Needs what is being deleted: waits for the lease, takes the sweep over, and relies on what it finds or sends.
        await publish('a', 'two');
        await release();
        expect(await collecting).toBeInstanceOf(Error);
        expect((await bed.reader(prefix).everything()).findings).toEqual([]);
      });

      it('does not take what was published since, delivered twice', { timeout: 300_000 }, async () => {
        await publish('a', 'one');
        await publish('b', 'one');
        bed.proxy.fault = byRules([
          {
            path: /./,
            when: ({ method, path }) => method === 'DELETE' || (method === 'POST' && path.includes('delete')),
            fault: { kind: 'duplicate', times: 1, milliseconds: LEASE.leaseMs },
          },
        ]);
        await gc(bed.store('proxy', prefix));
        await publish('a', 'two');
        await bed.proxy.settled();
        expect((await bed.reader(prefix).everything()).findings).toEqual([]);
      });

      it('is not begun by a gc that stood still for longer than its lease', { timeout: 300_000 }, async () => {
        await publish('a', 'one');
        await publish('b', 'one');
        const { promise: published, resolve: goOn } = Promise.withResolvers<undefined>();
        const store = bed.store('direct', prefix);
        const stopped = new Proxy(store, {
          get(target, property): unknown {
            // Stopped between the last look at the journal and the deletion: SIGSTOP knows no better moment.
            if (property === 'deleteFenced') {
              return async (...args: Parameters<S3Store['deleteFenced']>): ReturnType<S3Store['deleteFenced']> => {
                await published;
                return target.deleteFenced(...args);
              };
            }
            const value: unknown = Reflect.get(target, property, target);
            return typeof value === 'function' ? (value.bind(target) as unknown) : value;
          },
        });
        const collecting = gc(stopped).catch((error: unknown) => error);
        await until(
          'the sweep',
          async () => (await bed.reader(prefix).get('gc.json'))?.bytes.includes('"sweeping":{') === true,
        );
        await publish('a', 'two');
        goOn(undefined);
        expect(await collecting).toBeInstanceOf(Error);
        await sleep(0);
        expect((await bed.reader(prefix).everything()).findings).toEqual([]);
      });
    });
  },
);
