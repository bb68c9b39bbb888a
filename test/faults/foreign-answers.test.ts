/**
 * What a proxy on the way answers in storage's stead, HTML with status 200 or 404, is neither an object, nor the lack
 * of one, nor an empty listing, nor a deletion.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { titleWith } from '../interop/programs.ts';
import type { Fault } from './proxy.ts';
import { byRules, html } from './random.ts';
import { missingFor, openStorage, type StorageBed, STORAGES } from './storage.ts';

const PLAIN = { contentType: 'text/plain' } as const;
const BYTES = new TextEncoder().encode('bytes');
const FOREIGN: readonly (readonly [string, Fault])[] = [
  ['HTML with status 200', html(200)],
  ['HTML with status 404', html(404)],
  ['nothing with status 204', { kind: 'answer', status: 204 }],
  ['"404 page not found"', { kind: 'answer', status: 404, body: '404 page not found\n' }],
];

describe.each(STORAGES.map((storage) => [storage, missingFor(storage)] as const))('%s', (storage, missing) => {
  describe.skipIf(missing.length > 0)(titleWith('foreign answers', missing), () => {
    let bed: StorageBed;
    beforeAll(async () => {
      bed = await openStorage(storage);
      await bed.store('direct').put('there/one', BYTES, PLAIN);
    }, 60_000);
    afterAll(() => bed.close());
    beforeEach(() => {
      bed.proxy.fault = () => undefined;
    });

    const spoil = (fault: Fault): void => {
      bed.proxy.fault = byRules([{ path: /./, times: 2, fault }]);
    };

    it.each(FOREIGN)('%s: a head finds what is there', async (_, fault) => {
      spoil(fault);
      expect((await bed.store('proxy').head('there/one'))?.size).toBe(BYTES.length);
      spoil(fault);
      expect(await bed.store('proxy').head('absent/one')).toBeNull();
    });

    it.each(FOREIGN)('%s: a read gives what is there', async (_, fault) => {
      spoil(fault);
      const object = await bed.store('proxy').get('there/one');
      if (object === null || object === 'changed') throw new Error('no object');
      expect(await new Response(object.body).text()).toBe('bytes');
      spoil(fault);
      expect(await bed.store('proxy').get('absent/one')).toBeNull();
    });

    it('a flipped bit: a record is read again, and one that no longer matches its ETag is read as it is', async () => {
      spoil({ kind: 'corrupt' });
      const object = await bed.store('proxy').get('there/one');
      if (object === null || object === 'changed') throw new Error('no object');
      expect(await new Response(object.body).text()).toBe('bytes');
      bed.proxy.fault = () => ({ kind: 'corrupt' });
      const damaged = await bed.store('proxy').get('there/one');
      if (damaged === null || damaged === 'changed') throw new Error('no object');
      expect(await new Response(damaged.body).text()).toBe('byues');
    });

    it.each(FOREIGN)('%s: a listing is whole', async (_, fault) => {
      spoil(fault);
      const keys: string[] = [];
      for await (const { key } of bed.store('proxy').list('there/')) keys.push(key);
      expect(keys).toEqual(['there/one']);
    });

    it.each(FOREIGN)('%s: a write is made', async (_, fault) => {
      const key = `written/${String(fault.kind === 'answer' ? fault.status : 0)}-${_.length.toString()}`;
      spoil(fault);
      await bed.store('proxy').put(key, BYTES, PLAIN);
      expect((await bed.store('direct').head(key))?.size).toBe(BYTES.length);
    });

    it.each(FOREIGN)('%s: a deletion is made, with a deadline and without', async (_, fault) => {
      for (const fenced of [false, true]) {
        await bed.store('direct').put('gone/one', BYTES, PLAIN);
        spoil(fault.kind === 'answer' && fault.status === 204 && fenced ? html(200) : fault);
        const store = bed.store('proxy');
        if (fenced) await store.deleteFenced(['gone/one'], { from: new Date(), seconds: 30 });
        else await store.delete(['gone/one']);
        expect(await bed.store('direct').head('gone/one')).toBeNull();
      }
    });
  });
});
