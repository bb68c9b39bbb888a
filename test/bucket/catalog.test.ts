/** The catalogue's details of repositories: tags, the last move, and the tags that moved last. */
import { describe, expect, it } from 'vitest';
import { openLists } from '../../src/bucket/lists.ts';
import { repositorySummaryOf, summarizeTagList, SUMMARIES_MAX } from '../../src/bucket/repository-summary.ts';
import { CATALOG_KEY, tagKey, tagListKey } from '../../src/registry/keys.ts';
import { PUBLIC_REALM } from '../../src/registry/realms.ts';
import { encodeTag } from '../../src/registry/records.ts';
import { decodeSortedList, encodeSortedList } from '../../src/registry/sorted-list.ts';
import type { TagEntry } from '../../src/registry/summary.ts';
import { Bucket, nameOf, tagOf } from '../publisher/gc-bucket.ts';

const NAME = nameOf('team/app');

/** Writes a tag object, and gives its entry. */
async function tagAt(bucket: Bucket, tag: string, updated: string): Promise<TagEntry> {
  const { body, metadata } = encodeTag({ updated, forms: [], missing: [] }, []);
  const written = await bucket.put(tagKey(NAME, tagOf(tag)), body, { contentType: 'x', metadata });
  if (written === 'precondition-failed') throw new Error('not written');
  const nothing = { size: 0, platforms: [], published: [], derived: [], missing: [], digests: [] };
  return { ...nothing, updated, etag: written.etag };
}

async function publish(bucket: Bucket, tag: string, updated: string, lists = openLists(bucket)): Promise<void> {
  const entry = await tagAt(bucket, tag, updated);
  await lists.update(NAME, tagOf(tag), { kind: 'written', entry });
}

function detailIn(bucket: Bucket): unknown {
  const bytes = bucket.objects.get(CATALOG_KEY)?.bytes ?? new Uint8Array();
  return decodeSortedList(bytes).find(({ name }) => name === NAME)?.detail;
}

describe('the catalogue', () => {
  it('has the number of tags and the last move, exactly after each run', async () => {
    const bucket = new Bucket();
    await publish(bucket, '1.0', '2026-01-01T00:00:00Z');
    expect(detailIn(bucket)).toEqual({ tags: 1, updated: '2026-01-01T00:00:00Z', recent: ['1.0'] });
    const lists = openLists(bucket);
    await publish(bucket, '1.1', '2026-01-01T00:10:00Z', lists);
    await lists.reconcile(NAME, PUBLIC_REALM);
    expect(detailIn(bucket)).toEqual({ tags: 2, updated: '2026-01-01T00:10:00Z', recent: ['1.1', '1.0'] });
    await bucket.delete([tagKey(NAME, tagOf('1.1'))]);
    await openLists(bucket).reconcile(NAME, PUBLIC_REALM);
    expect(detailIn(bucket)).toEqual({ tags: 1, updated: '2026-01-01T00:00:00Z', recent: ['1.0'] });
  });

  it('is written once an hour for a repository, where a run has no end, as at the edge', async () => {
    const bucket = new Bucket();
    await publish(bucket, '1', '2026-01-01T00:00:00Z');
    const etag = bucket.objects.get(CATALOG_KEY)?.etag;
    await publish(bucket, '2', '2026-01-01T00:59:00Z');
    expect(bucket.objects.get(CATALOG_KEY)?.etag).toBe(etag);
    await publish(bucket, '3', '2026-01-01T01:00:00Z');
    expect(detailIn(bucket)).toMatchObject({ tags: 3, updated: '2026-01-01T01:00:00Z' });
  });

  it('is not written by a run that changes nothing', async () => {
    const bucket = new Bucket();
    await publish(bucket, '1', '2026-01-01T00:00:00Z');
    const etag = bucket.objects.get(CATALOG_KEY)?.etag;
    await openLists(bucket).reconcile(NAME, PUBLIC_REALM);
    expect(bucket.objects.get(CATALOG_KEY)?.etag).toBe(etag);
  });

  it('keeps the detail of whoever wrote the tag list last', async () => {
    const bucket = new Bucket();
    await publish(bucket, '1', '2026-01-01T00:00:00Z');
    const late = openLists(bucket);
    await publish(bucket, '2', '2026-01-01T00:01:00Z', late);
    let once = true;
    bucket.before = async (operation, key) => {
      if (operation !== 'head' || key !== tagListKey(NAME) || !once) return;
      once = false;
      const other = openLists(bucket);
      await publish(bucket, '3', '2026-01-01T00:02:00Z', other);
      await other.reconcile(NAME, PUBLIC_REALM);
    };
    await late.reconcile(NAME, PUBLIC_REALM);
    expect(once).toBe(false);
    expect(detailIn(bucket)).toMatchObject({ tags: 3, updated: '2026-01-01T00:02:00Z' });
  });

  it('has no details if it is large, because each change writes it whole', async () => {
    const bucket = new Bucket();
    const names = Array.from({ length: SUMMARIES_MAX }, (_, at) => ({
      name: `many/${String(at)}`,
      detail: { tags: 1 },
    }));
    const { body, metadata } = encodeSortedList(names);
    await bucket.put(CATALOG_KEY, body, { contentType: 'application/json', metadata });
    await publish(bucket, '1', '2026-01-01T00:00:00Z');
    const entries = decodeSortedList(bucket.objects.get(CATALOG_KEY)?.bytes ?? new Uint8Array());
    expect(entries).toHaveLength(SUMMARIES_MAX + 1);
    expect(entries.filter(({ detail }) => detail !== null)).toEqual([]);
    const etag = bucket.objects.get(CATALOG_KEY)?.etag;
    await openLists(bucket).reconcile(NAME, PUBLIC_REALM);
    expect(bucket.objects.get(CATALOG_KEY)?.etag).toBe(etag);
  });
});

describe('the summary of a tag list', () => {
  const entries = Array.from({ length: 300 }, (_, at) => ({
    name: `t${String(at)}`,
    detail: { updated: new Date(Date.UTC(2026, 0, 1) + at * 1_000).toISOString() },
  }));

  it('names fewer tags in a larger catalogue', () => {
    expect(summarizeTagList(entries, 1)?.recent).toHaveLength(100);
    expect(summarizeTagList(entries, 5_000)?.recent).toHaveLength(20);
    expect(summarizeTagList(entries, 1)?.recent.slice(0, 2)).toEqual(['t299', 't298']);
  });

  it('reads back, and anything else is none', () => {
    const summary = summarizeTagList(entries, 1);
    expect(repositorySummaryOf(JSON.parse(JSON.stringify(summary)))).toEqual(summary);
    for (const other of [null, 1, [], {}, { tags: 'x', updated: 'x' }]) expect(repositorySummaryOf(other)).toBeNull();
    expect(summarizeTagList([{ name: 'x', detail: null }], 1)).toBeNull();
  });
});
