import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/registry/digest.ts';
import { blobKey, GC_JOURNAL_KEY, manifestKey, referrersKey, signaturesKey, tagKey } from '../../src/registry/keys.ts';
import { parseRealmTable } from '../../src/registry/realms.ts';
import { decodeReferrers, encodeReferrers } from '../../src/registry/referrers.ts';
import { collect, type CollectReport } from '../../src/publisher/gc/collect.ts';
import { guardAgainstGc } from '../../src/publisher/gc/guard.ts';
import { decodeJournal, encodeJournal, LEASE_MS } from '../../src/publisher/gc/journal.ts';
import { Bucket, HOUR, tagOf, Writer, type Made } from './gc-bucket.ts';

const DAY = 24 * HOUR;

function gc(bucket: Bucket, options: Partial<Parameters<typeof collect>[1]> = {}): Promise<CollectReport> {
  return collect(bucket, {
    table: [],
    grace: DAY,
    remove: true,
    now: () => bucket.now,
    wait: () => Promise.resolve(),
    ...options,
  });
}

function setup(): { bucket: Bucket; writer: Writer } {
  const bucket = new Bucket();
  return { bucket, writer: new Writer(bucket, 'library/app') };
}

/** All that an image needs, as a publisher tells the guard. */
function keysOf(writer: Writer, image: Made): string[] {
  return [manifestKey(writer.name, image.digest), ...image.blobs.map((digest) => blobKey(writer.realm, digest))];
}

function keysDeleted(bucket: Bucket, before: readonly string[]): string[] {
  return before.filter((key) => !bucket.objects.has(key));
}

describe('what is kept', () => {
  it('keeps all forms of a tag with their configs and layers, and what a derived form was made from', async () => {
    const { bucket, writer } = setup();
    const oci = await writer.image('a', { form: 'oci-manifest' });
    const docker = await writer.image('b');
    await writer.tag('v1', [oci, docker]);
    const before = bucket.keys();
    await gc(bucket, { grace: 0 });
    expect(keysDeleted(bucket, before)).toEqual([]);
  });

  it('keeps the children of lists, nested lists too', async () => {
    const { bucket, writer } = setup();
    const [amd, arm] = [await writer.image('amd'), await writer.image('arm')];
    await writer.tag('v1', [await writer.list([await writer.list([amd, arm])], 'oci-index')]);
    await gc(bucket, { grace: 0 });
    expect([writer.state(amd), writer.state(arm)]).toEqual(['all', 'all']);
  });

  it('keeps the layers of schema 1, the empty layer among them', async () => {
    const { bucket, writer } = setup();
    const [empty, layer] = [await writer.blob('empty'), await writer.blob('old layer')];
    const old = await writer.manifest(
      'docker-schema1',
      { schemaVersion: 1, fsLayers: [{ blobSum: empty.digest }, { blobSum: layer.digest }], history: [] },
      [empty.digest, layer.digest],
    );
    await writer.tag('v1', [old]);
    await gc(bucket, { grace: 0 });
    expect(writer.state(old)).toBe('all');
  });

  it('keeps what refers to something kept, and what refers to that', async () => {
    const { bucket, writer } = setup();
    const app = await writer.image('app');
    const signature = await writer.image('signature', { subject: app.digest });
    const countersignature = await writer.image('countersignature', { subject: signature.digest });
    await writer.tag('v1', [app]);
    await gc(bucket, { grace: 0 });
    expect([writer.state(signature), writer.state(countersignature)]).toEqual(['all', 'all']);
  });

  it('keeps a layer as long as one of two images needs it, in the same realm only', async () => {
    const bucket = new Bucket();
    const table = parseRealmTable([{ pattern: 'secret/*', realm: 'secret' }]);
    const open = new Writer(bucket, 'library/app');
    const secret = new Writer(bucket, 'secret/app', table[0]?.realm);
    const [here, there] = [await open.image('same'), await secret.image('same')];
    await open.tag('v1', [here]);
    await gc(bucket, { grace: 0, table });
    expect([open.state(here), secret.state(there)]).toEqual(['all', 'none']);
  });

  it('keeps the signatures of what is kept, and collects the others', async () => {
    const { bucket, writer } = setup();
    const [kept, lost] = [await writer.image('kept'), await writer.image('lost')];
    await writer.tag('v1', [kept]);
    const [ofKept, ofLost] = [kept, lost].map(({ digest }) => signaturesKey(writer.name, digest)) as [string, string];
    for (const key of [ofKept, ofLost]) await bucket.put(key, new Uint8Array(1), { contentType: 'application/json' });
    const report = await gc(bucket, { grace: 0 });
    expect(report.unreferenced.signatures.objects).toBe(1);
    expect([bucket.objects.has(ofKept), bucket.objects.has(ofLost)]).toEqual([true, false]);
  });

  it('leaves keys alone that are none of ours, and tells them', async () => {
    const { bucket, writer } = setup();
    await writer.tag('v1', [await writer.image('a')]);
    await bucket.put('blobs/public/md5/abc', new Uint8Array(1), { contentType: 'text/plain' });
    await bucket.put('repositories/library/app/notes.txt', new Uint8Array(1), { contentType: 'text/plain' });
    const report = await gc(bucket, { grace: 0 });
    expect(report.strange).toEqual(['blobs/public/md5/abc', 'repositories/library/app/notes.txt']);
    expect(bucket.objects.has('repositories/library/app/notes.txt')).toBe(true);
  });
});

describe('what nobody can read keeps what it may need', () => {
  it('collects nothing in a repository, nor blobs in its realm, where a tag object is damaged', async () => {
    const { bucket, writer } = setup();
    const lost = await writer.image('untagged');
    await bucket.put(tagKey(writer.name, tagOf('broken')), new Uint8Array(3), {
      contentType: 'application/octet-stream',
      metadata: { 'gantry-tag': '{"v":1}' },
    });
    const other = new Writer(bucket, 'library/other');
    const unused = await other.image('other');
    const report = await gc(bucket, { grace: 0 });
    expect(writer.state(lost)).toBe('all');
    expect(other.state(unused)).toBe('some');
    expect(report.blocked).toEqual([
      { kind: 'repository', name: 'library/app', why: 'its tag broken cannot be read' },
      { kind: 'realm', name: 'public', why: 'library/app belongs to it, and its tag broken cannot be read' },
    ]);
  });

  it('collects no blobs of a realm that the table does not name, unless told to drop it', async () => {
    const bucket = new Bucket();
    const [rule] = parseRealmTable([{ pattern: 'secret/*', realm: 'secret' }]);
    await new Writer(bucket, 'secret/app', rule?.realm).blob('x');
    expect((await gc(bucket, { grace: 0 })).blocked).toEqual([
      { kind: 'realm', name: 'secret', why: 'the realm table does not name it' },
    ]);
    expect((await gc(bucket, { grace: 0, droppedRealms: new Set(['secret']) })).deleted.objects).toBe(1);
  });
});

describe('the grace period', () => {
  it('changes nothing without --delete', async () => {
    const { bucket, writer } = setup();
    const lost = await writer.image('untagged');
    const before = bucket.keys();
    const report = await gc(bucket, { remove: false, grace: 0 });
    expect(report.due).toHaveLength(3);
    expect(report.deleted.objects).toBe(0);
    expect(bucket.keys()).toEqual(before);
    expect(writer.state(lost)).toBe('all');
  });

  it('counts from when gc first saw that nothing needs it, not from its age: a pull may be going on', async () => {
    const { bucket, writer } = setup();
    const old = await writer.image('old');
    await writer.tag('latest', [old]);
    bucket.now += 30 * DAY;
    await writer.tag('latest', [await writer.image('new')]);
    expect((await gc(bucket)).waiting).toMatchObject({ objects: 3, after: bucket.now + DAY });
    bucket.now += DAY - 1;
    await gc(bucket);
    expect(writer.state(old)).toBe('all');
    bucket.now += 1;
    expect((await gc(bucket)).deleted.objects).toBe(3);
    expect(writer.state(old)).toBe('none');
  });

  it('starts anew for what was needed in between, and for what was sent again', async () => {
    const { bucket, writer } = setup();
    const [used, sent] = [await writer.image('used'), await writer.image('sent')];
    await gc(bucket);
    bucket.now += DAY;
    await writer.tag('v1', [used]);
    await writer.image('sent');
    await gc(bucket);
    await bucket.delete([tagKey(writer.name, tagOf('v1'))]);
    await gc(bucket);
    expect([writer.state(used), writer.state(sent)]).toEqual(['all', 'all']);
  });
});

describe('an interrupted run', () => {
  it('has deleted what points at something before that: every image that is left is complete', async () => {
    const { bucket, writer } = setup();
    const image = await writer.image('amd');
    const signature = await writer.image('signature', { subject: image.digest });
    const list = await writer.list([image]);
    await bucket.put(referrersKey(writer.name, image.digest), encodeReferrers([]), {
      contentType: 'application/vnd.oci.image.index.v1+json',
    });
    const deleted: string[] = [];
    bucket.before = (operation, key) => {
      if (operation === 'delete') deleted.push(key);
    };
    await gc(bucket, { grace: 0 });
    const at = (digest: Digest): number => deleted.indexOf(manifestKey(writer.name, digest));
    expect(deleted[0]).toBe(referrersKey(writer.name, image.digest));
    expect(at(image.digest)).toBeGreaterThan(Math.max(at(list.digest), at(signature.digest)));
    expect(deleted.slice(-4).every((key) => key.startsWith('blobs/'))).toBe(true);
  });

  it('leaves the journal free when storage fails, and the next run finishes', async () => {
    const { bucket, writer } = setup();
    const lost = await writer.image('untagged');
    bucket.before = (operation, key) => {
      if (operation === 'delete' && key.startsWith('blobs/')) throw new Error('storage fell over');
    };
    await expect(gc(bucket, { grace: 0 })).rejects.toThrow('storage fell over');
    expect(decodeJournal(bucket.objects.get(GC_JOURNAL_KEY)?.bytes ?? new Uint8Array()).sweeping).toBeNull();
    bucket.before = () => undefined;
    await gc(bucket, { grace: 0 });
    expect(writer.state(lost)).toBe('none');
  });

  it('is taken over once its journal has not changed for a lease', async () => {
    const { bucket, writer } = setup();
    const lost = await writer.image('untagged');
    const sweeping = { id: 'dead', beat: 3, keys: keysOf(writer, lost) };
    await bucket.put(GC_JOURNAL_KEY, encodeJournal({ sweeps: 4, sweeping, unreferenced: new Map() }), {
      contentType: 'application/json',
    });
    let waited = 0;
    await gc(bucket, {
      grace: 0,
      wait: (milliseconds) => {
        waited += milliseconds;
        return Promise.resolve();
      },
    });
    expect(waited).toBe(LEASE_MS);
    expect(writer.state(lost)).toBe('none');
  });
});

describe('referrers records', () => {
  it('lose what is deleted, and go when nothing is left', async () => {
    const { bucket, writer } = setup();
    const [kept, gone] = [await writer.image('kept'), await writer.image('gone')];
    await writer.tag('v1', [kept]);
    const [tagged, loose] = [
      await writer.image('tagged', { subject: gone.digest }),
      await writer.image('loose', { subject: gone.digest }),
    ];
    await writer.tag('sha256-sig', [tagged]);
    const row = ({ digest, bytes }: Made): { mediaType: string; digest: Digest; size: number } => ({
      mediaType: 'x',
      digest,
      size: bytes.length,
    });
    await bucket.put(referrersKey(writer.name, gone.digest), encodeReferrers([row(tagged), row(loose)]), {
      contentType: 'x',
    });
    await bucket.put(referrersKey(writer.name, loose.digest), encodeReferrers([row(loose)]), { contentType: 'x' });
    await gc(bucket, { grace: 0 });
    expect(
      decodeReferrers(bucket.objects.get(referrersKey(writer.name, gone.digest))?.bytes ?? new Uint8Array()).map(
        ({ digest }) => digest,
      ),
    ).toEqual([tagged.digest]);
    expect(bucket.objects.has(referrersKey(writer.name, loose.digest))).toBe(false);
  });

  it('stay where they list what is not stored (yet)', async () => {
    const { bucket, writer } = setup();
    const image = await writer.image('image');
    await writer.tag('v1', [image]);
    const key = referrersKey(writer.name, image.digest);
    await bucket.put(
      key,
      encodeReferrers([{ mediaType: 'x', digest: (await writer.blob('elsewhere')).digest, size: 1 }]),
      { contentType: 'x' },
    );
    await gc(bucket, { grace: 0 });
    expect(bucket.objects.has(key)).toBe(true);
  });
});

describe('beside a publisher', () => {
  /**
   * A bucket with an old image that nothing needs and gc has noted long ago: what a publisher finds and does not send
   * again.
   */
  async function noted(): Promise<{
    bucket: Bucket;
    writer: Writer;
    image: Made;
    publish: () => Promise<void>;
    sentAgain: () => number;
  }> {
    const { bucket, writer } = setup();
    const image = await writer.image('skipped');
    await gc(bucket);
    bucket.now += 2 * DAY;
    let sent = 0;
    // gc needs fewer turns than the lease has.
    const guard = await guardAgainstGc(bucket, { wait: () => new Promise((resolve) => setImmediate(resolve)) });
    const publish = async (): Promise<void> => {
      for (
        let missing = await guard.secure(keysOf(writer, image));
        missing.length > 0;
        missing = await guard.secure(keysOf(writer, image))
      ) {
        sent += 1;
        await writer.image('skipped');
      }
      await writer.tag('v1', [image]);
    };
    return { bucket, writer, image, publish, sentAgain: () => sent };
  }

  it('costs the publisher one head where gc was never at work', async () => {
    const { bucket, writer } = setup();
    const image = await writer.image('a');
    const guard = await guardAgainstGc(bucket);
    const operations: string[] = [];
    bucket.before = (operation, key) => void operations.push(`${operation} ${key}`);
    expect(await guard.secure(keysOf(writer, image))).toEqual([]);
    expect(operations).toEqual([`head ${GC_JOURNAL_KEY}`]);
  });

  // The publisher acts as a whole just before that operation of gc, counted from the beginning of its run.
  it('loses nothing, at whichever moment of the run the publisher writes its tag', async () => {
    let steps = 0;
    {
      const { bucket } = await noted();
      bucket.before = () => {
        steps += 1;
      };
      await gc(bucket);
    }
    expect(steps).toBeGreaterThan(8);
    for (let moment = 1; moment <= steps; moment += 1) {
      const { bucket, writer, image, publish } = await noted();
      let count = 0;
      let publishing: Promise<void> | undefined;
      bucket.before = async () => {
        count += 1;
        if (count !== moment) return;
        // While gc deletes the publisher waits for it, so gc may not wait for the publisher.
        publishing = publish();
        await Promise.race([publishing, new Promise((resolve) => setImmediate(resolve))]);
      };
      await gc(bucket);
      await publishing;
      expect({ moment, state: writer.state(image) }).toEqual({ moment, state: 'all' });
    }
  });

  it('makes the publisher send again what a run deleted after it had looked', async () => {
    const { bucket, writer, image, publish, sentAgain } = await noted();
    await gc(bucket);
    expect(writer.state(image)).toBe('none');
    await publish();
    expect([writer.state(image), sentAgain()]).toEqual(['all', 1]);
  });

  it('does not delete what a publisher has secured, even if its tag comes after marking', async () => {
    const { bucket, writer, image, publish } = await noted();
    const guard = await guardAgainstGc(bucket);
    await guard.secure(keysOf(writer, image));
    expect((await gc(bucket)).deleted.objects).toBe(0);
    await publish();
    expect(writer.state(image)).toBe('all');
  });

  it('secures several images of one run at once', async () => {
    const { bucket, writer } = setup();
    const images = await Promise.all(['a', 'b', 'c', 'd'].map((text) => writer.image(text)));
    await gc(bucket);
    const guard = await guardAgainstGc(bucket);
    expect(await Promise.all(images.map((image) => guard.secure(keysOf(writer, image))))).toEqual([[], [], [], []]);
    expect(decodeJournal(bucket.objects.get(GC_JOURNAL_KEY)?.bytes ?? new Uint8Array()).unreferenced.size).toBe(0);
  });

  it('refuses a journal of a newer version rather than to guess', async () => {
    const bucket = new Bucket();
    await bucket.put(GC_JOURNAL_KEY, new TextEncoder().encode('{"version":2}'), { contentType: 'application/json' });
    await expect(gc(bucket)).rejects.toThrow('gc.json');
    await expect(guardAgainstGc(bucket)).rejects.toThrow('gc.json');
  });
});
