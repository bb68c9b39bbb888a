/** Verifies what belongs to one repository: tag objects, manifests, the tag list, referrers records. */
import type { Digest } from '../../registry/digest.ts';
import { isFetched } from '../../registry/origin-mark.ts';
import { manifestKey, referrersKey, tagKey, tagListKey } from '../../registry/keys.ts';
import { isListForm } from '../../registry/media-type.ts';
import { parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';
import { decodeOriginMark } from '../../registry/origin-mark.ts';
import type { RealmName } from '../../registry/realms.ts';
import type { TagRecord } from '../../registry/records.ts';
import type { ListEntry } from '../../registry/sorted-list.ts';
import type { ListedObject, WriteStore } from '../../registry/store.ts';
import { readLinks } from '../../manifest/links.ts';
import { forEachLimit } from '../../bucket/concurrency.ts';
import { readObject } from '../../bucket/read-object.ts';
import { writeList } from '../../bucket/list-object.ts';
import {
  descriptorOf,
  readReferrersRecord,
  type StoredManifest,
  writeReferrersRecord,
} from '../../bucket/referrers.ts';
import {
  formLinksOf,
  listTags,
  READS_AT_ONCE,
  type RepositoryListing,
  type RepositoryRecords,
} from '../../bucket/survey.ts';
import { sha256Option } from '../../bucket/write-image.ts';
import { isTombstone, readTag, type TagReading } from '../../bucket/read-tag.ts';
import { compareDetail, compareNamesWith, compareReferrers, readList } from './check-lists.ts';
import { checkManifest, checkTag, contentTypeOf } from './check-manifests.ts';
import { verifySignatures } from './check-signatures.ts';
import { tagEntryOf } from '../../bucket/tag-entry.ts';
import type { Report } from './faults.ts';
import { readOrReport } from './unreadable.ts';

/** A verified repository, with what marking needs of it. */
export interface RepositoryVerified {
  readonly listing: RepositoryListing;
  readonly records: RepositoryRecords;
  /** Tags that were fetched from an upstream: their blobs are fetched when a client pulls them. */
  readonly fetched: ReadonlySet<Tag>;
}

interface Context {
  readonly store: WriteStore;
  readonly name: RepositoryName;
  readonly realm: RealmName;
  readonly listing: RepositoryListing;
  readonly report: Report;
  readonly onRead: () => void;
}

/** Verifies a repository without its blobs, which repositories share. */
export async function verifyRepository(
  store: WriteStore,
  name: RepositoryName,
  listing: RepositoryListing,
  realm: RealmName,
  { report, onRead }: Pick<Context, 'report' | 'onRead'>,
): Promise<RepositoryVerified> {
  const context: Context = { store, name, realm, listing, report, onRead };
  const records: RepositoryRecords = { tags: new Map(), manifests: new Map() };
  const tagRecords = new Map<Tag, TagRecord>();
  // The tags that contain a manifest: the source of a repair.
  const inTags = new Map<Digest, Tag>();
  const derivedLists = new Set<Digest>();
  const fetched = new Set<Tag>();
  const tombstones = new Set<Tag>();
  await forEachLimit(listing.tags, READS_AT_ONCE, async ([tag, { key }]) => {
    const reading = await readOrReport(report, `${name}:${tag}`, () => readTag(store, key));
    onRead();
    if (reading === null) return;
    if (reading === 'unreadable') {
      records.tags.set(tag, null);
      return;
    }
    for (const { kind, message } of checkTag(reading)) await report(kind, `${name}:${tag}`, message);
    if (reading.kind !== 'read') {
      records.tags.set(tag, null);
      return;
    }
    if (decodeOriginMark(reading.info.metadata) !== null) fetched.add(tag);
    if (isTombstone(reading.info)) {
      tombstones.add(tag);
      return;
    }
    tagRecords.set(tag, reading.record);
    records.tags.set(tag, formLinksOf(reading));
    for (const { digest, form, source } of reading.record.forms) {
      inTags.set(digest, tag);
      if (isListForm(form) && source.kind === 'derived') derivedLists.add(digest);
    }
  });
  const stored = await verifyManifests(context, inTags);
  for (const digest of listing.manifests.keys()) if (!stored.has(digest)) records.manifests.set(digest, null);
  for (const [digest, { links }] of stored) records.manifests.set(digest, links);
  await verifyChildren(context, records, stored, derivedLists);
  await verifyTagList(context, { tagRecords, tombstones });
  await verifyReferrers(context, stored);
  await verifySignatures(store, listing.signatures, report);
  return { listing, records, fetched };
}

/** Checks every manifest by digest, and that those of the tags are stored. Gives the readable ones. */
async function verifyManifests(
  context: Context,
  inTags: ReadonlyMap<Digest, Tag>,
): Promise<Map<Digest, StoredManifest>> {
  const { store, name, listing, report, onRead } = context;
  const stored = new Map<Digest, StoredManifest>();
  await forEachLimit(listing.manifests, READS_AT_ONCE, async ([digest, { key }]) => {
    const object = await readOrReport(report, `${name}@${digest}`, () => readObject(store, key));
    onRead();
    if (object === null || object === 'unreadable') return;
    const links = readLinks(object.bytes);
    const where = `${name}@${digest}`;
    const [flaw] = checkManifest(object.bytes, digest);
    const right = contentTypeOf(object.bytes);
    if (flaw !== undefined) {
      await report(flaw.kind, where, flaw.message, () =>
        restore(context, digest, inTags.get(digest), object.info.etag),
      );
    } else if (right !== null && object.info.contentType !== right) {
      await report('manifest-type', where, `${object.info.contentType ?? 'none'}, it is ${right}`, async () => {
        const put = { contentType: right, metadata: object.info.metadata, onlyIf: { etag: object.info.etag } };
        return (await store.put(key, object.bytes, put)) !== 'precondition-failed';
      });
    }
    if (links !== null)
      stored.set(digest, { links, size: object.bytes.length, contentType: right ?? object.info.contentType ?? '' });
  });
  for (const [digest, tag] of inTags) {
    if (listing.manifests.has(digest)) continue;
    // Published since the listing: then it is stored by now.
    if ((await store.head(manifestKey(name, digest))) !== null) continue;
    await report('manifest-missing', `${name}:${tag}`, digest, () => restore(context, digest, tag, undefined));
  }
  return stored;
}

/**
 * Writes a manifest again from a tag object; false if that is damaged as well, or another process wrote it meanwhile.
 */
async function restore(
  { store, name }: Context,
  digest: Digest,
  tag: Tag | undefined,
  etag: string | undefined,
): Promise<boolean> {
  const reading = tag === undefined ? null : await readTag(store, tagKey(name, tag));
  if (reading?.kind !== 'read') return false;
  const index = reading.record.forms.findIndex((form) => form.digest === digest);
  const bytes = reading.manifests[index];
  const form = reading.record.forms[index];
  if (bytes === undefined || form === undefined || checkManifest(bytes, digest).length > 0) return false;
  const result = await store.put(manifestKey(name, digest), bytes, {
    contentType: contentTypeOf(bytes) ?? form.mediaType,
    onlyIf: etag === undefined ? 'absent' : { etag },
    ...(form.form === 'docker-schema1' ? {} : sha256Option(digest)),
  });
  return result !== 'precondition-failed';
}

async function verifyChildren(
  { name, report }: Context,
  records: RepositoryRecords,
  stored: ReadonlyMap<Digest, StoredManifest>,
  derivedLists: ReadonlySet<Digest>,
): Promise<void> {
  for (const [tag, forms] of records.tags) {
    for (const { digest: list, links } of forms ?? []) {
      for (const { digest, platform } of links?.children ?? []) {
        if (stored.has(digest)) continue;
        const what = platform === undefined ? digest : `${platform.os}/${platform.architecture} ${digest}`;
        await report(derivedLists.has(list) ? 'child-missing' : 'child-left-out', `${name}:${tag}`, what);
      }
    }
  }
}

async function verifyTagList(
  context: Context,
  {
    tagRecords,
    tombstones,
  }: { readonly tagRecords: ReadonlyMap<Tag, TagRecord>; readonly tombstones: ReadonlySet<Tag> },
): Promise<void> {
  const { store, name, report } = context;
  const key = tagListKey(name);
  // The list before the tags: a publisher writes the list last, so the tags that it names exist by then.
  const object = await readOrReport(report, key, () => readObject(store, key));
  if (object === 'unreadable') return;
  const tags = await listTags(store, name);
  for (const tag of tombstones) tags.delete(tag);
  const reading = object === null ? null : readList(object.info, object.bytes);
  if (reading === null && tags.size === 0) return;
  if (reading !== null && 'newer' in reading) {
    await report('newer', key, reading.problem);
    return;
  }
  const listed = reading !== null && 'entries' in reading ? reading.entries : [];
  let problem =
    reading === null
      ? 'it is missing'
      : 'problem' in reading
        ? reading.problem
        : compareNamesWith(
            listed.map(({ name: tag }) => tag),
            [...tags.keys()],
          );
  for (const { name: tag, detail } of problem === null ? listed : []) {
    const parsed = parseTag(tag);
    if (parsed === null) continue;
    const record = tagRecords.get(parsed);
    // A tag that moved since it was read is being published.
    const etag = tags.get(parsed)?.etag;
    if (record === undefined || etag === undefined || etag !== context.listing.tags.get(parsed)?.etag) continue;
    const wrong = compareDetail(detail, record, etag);
    if (wrong !== null) problem = `of ${tag} it ${wrong}`;
  }
  if (problem === null) return;
  await report('tag-list', key, problem, async () => {
    const entries = await entriesOf(context, tags, listed);
    return (await writeList(store, key, entries, object?.info ?? null)) !== 'precondition-failed';
  });
}

/**
 * The entries that the list should have. Right entries of the old list are kept, and so are those of unreadable tags.
 */
async function entriesOf(
  { store, name, realm }: Context,
  tags: ReadonlyMap<Tag, ListedObject>,
  listed: readonly ListEntry<unknown>[],
): Promise<readonly ListEntry<unknown>[]> {
  const old = new Map(listed.map(({ name: tag, detail }) => [tag, detail]));
  const entries: ListEntry<unknown>[] = [];
  await forEachLimit(tags.keys(), READS_AT_ONCE, async (tag) => {
    const reading: TagReading | null = await readTag(store, tagKey(name, tag));
    if (reading === null) return;
    const detail = old.get(tag) ?? null;
    if (
      reading.kind !== 'read' ||
      (detail !== null && compareDetail(detail, reading.record, reading.info.etag) === null)
    ) {
      entries.push({ name: tag, detail });
      return;
    }
    entries.push({ name: tag, detail: await tagEntryOf({ store, name, realm }, reading) });
  });
  return entries;
}

async function verifyReferrers(
  { store, name, listing, report }: Context,
  stored: ReadonlyMap<Digest, StoredManifest>,
): Promise<void> {
  const expected = new Map<Digest, Set<Digest>>();
  for (const [digest, { links }] of stored) {
    if (links.subject !== undefined)
      expected.set(links.subject, (expected.get(links.subject) ?? new Set()).add(digest));
  }
  const present = new Set(stored.keys());
  for (const subject of new Set([...listing.referrers.keys(), ...expected.keys()])) {
    const key = referrersKey(name, subject);
    const record = await readOrReport(report, key, () => readReferrersRecord(store, key));
    if (record === 'unreadable') continue;
    const listed = record?.descriptors ?? null;
    const wanted = expected.get(subject) ?? new Set<Digest>();
    if (record === null && wanted.size === 0) continue;
    const problem =
      record === null
        ? 'it is missing'
        : listed === null
          ? 'it cannot be read'
          : compareReferrers(
              listed.map(({ digest }) => digest),
              wanted,
              // What the record of an upstream names is fetched when a client pulls it.
              isFetched(record.info.metadata) ? null : present,
            );
    if (problem === null) continue;
    await report('referrers', key, problem, async () => {
      const staying = (listed ?? []).filter(({ digest }) => present.has(digest));
      const added = [...wanted].flatMap((digest) => {
        const manifest = stored.get(digest);
        return manifest === undefined || staying.some((one) => one.digest === digest)
          ? []
          : [descriptorOf(digest, manifest)];
      });
      const written = await writeReferrersRecord(store, key, [...staying, ...added], record?.info ?? null);
      return written !== 'precondition-failed';
    });
  }
}
