/** Verifies a bucket, or one repository of it, and repairs it from what is stored. */
import type { Digest } from '../../registry/digest.ts';
import { blobKey, CATALOG_KEY, GC_JOURNAL_KEY, parseKey } from '../../registry/keys.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { NewerVersionError } from '../../registry/unreadable-record.ts';
import { type RealmName, realmOf, type RealmTable } from '../../registry/realms.ts';
import { writeList } from '../../bucket/list-object.ts';
import type { ListedObject, WriteStore } from '../../registry/store.ts';
import { blobsOf, type ManifestLinks } from '../../manifest/links.ts';
import { markRepository } from '../gc/mark.ts';
import { forEachLimit } from '../../bucket/concurrency.ts';
import { listBlobs, listRepositories, READS_AT_ONCE, type RepositoryListing } from '../../bucket/survey.ts';
import { readObject } from '../../bucket/read-object.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { decodeJournal, EMPTY_JOURNAL, encodeJournal } from '../gc/journal.ts';
import { checkListed, hashBlob, type NeededBlob, sampleOf } from './check-blobs.ts';
import { compareNamesWith, readList } from './check-lists.ts';
import type { Fault, Report } from './faults.ts';
import { readOrReport } from './unreadable.ts';
import { type RepositoryVerified, verifyRepository } from './repository.ts';

/** The options of {@link verify}. */
export interface VerifyOptions {
  readonly table: RealmTable;
  /** Verify only this repository. */
  readonly name?: RepositoryName;
  /** The share of the blobs that is hashed, 0 to 1; everything else is always checked. */
  readonly sample: number;
  readonly repair: boolean;
  /** Blobs hashed at once. */
  readonly jobs: number;
  readonly random?: () => number;
  readonly onProgress?: (progress: VerifyProgress) => void;
}

/** Progress. `total` is 0 where it is not known. Bytes are those of hashed blobs. */
export interface VerifyProgress {
  readonly what: string;
  readonly done: number;
  readonly total: number;
  readonly bytes: number;
}

/** What was checked, and the faults. */
export interface VerifyReport {
  readonly repositories: number;
  readonly tags: number;
  readonly manifests: number;
  readonly blobs: number;
  readonly hashed: { readonly blobs: number; readonly bytes: number };
  readonly faults: readonly Fault[];
}

/** Verifies a bucket. Throws StorageError. */
export async function verify(store: WriteStore, options: VerifyOptions): Promise<VerifyReport> {
  const faults: Fault[] = [];
  const report: Report = async (kind, where, message, repair) => {
    const repaired = options.repair && repair !== undefined && (await repair());
    faults.push({ kind, where, message, repaired });
  };
  const progress = (what: string, done: number, total: number, bytes = 0): void =>
    options.onProgress?.({ what, done, total, bytes });

  progress('listing', 0, 0);
  const whole = options.name === undefined ? await listBlobs(store) : null;
  const { repositories, strange } = await listRepositories(store, options.name);
  for (const key of [...(whole?.strange ?? []), ...strange]) await report('strange-key', key, 'nothing reads it');

  if (options.name !== undefined && repositories.size === 0)
    throw usageError(`nothing is stored under ${options.name}`, 'List the repositories with: gantry ls');
  const total = [...repositories.values()].reduce((sum, { tags, manifests }) => sum + tags.size + manifests.size, 0);
  let done = 0;
  const verified = new Map<RepositoryName, RepositoryVerified>();
  for (const [name, listing] of repositories) {
    const onRead = (): void => progress('reading records', (done += 1), total);
    const result = await verifyRepository(store, name, listing, realmOf(options.table, name), { report, onRead });
    verified.set(name, result);
  }
  if (options.name === undefined) {
    await verifyCatalog(store, repositories, report);
    await verifyJournal(store, report);
  }
  const { blobs, hashed } = await verifyBlobs(store, verified, whole?.blobs ?? null, options, report, progress);
  return {
    repositories: repositories.size,
    tags: sum(repositories, ({ tags }) => tags.size),
    manifests: sum(repositories, ({ manifests }) => manifests.size),
    blobs,
    hashed,
    faults,
  };
}

function sum(
  repositories: ReadonlyMap<RepositoryName, RepositoryListing>,
  count: (listing: RepositoryListing) => number,
): number {
  return [...repositories.values()].reduce((all, listing) => all + count(listing), 0);
}

/** A repository is known if it has tags or a tag list. */
async function verifyCatalog(
  store: WriteStore,
  repositories: ReadonlyMap<RepositoryName, RepositoryListing>,
  report: Report,
): Promise<void> {
  const present = [...repositories]
    .filter(([, { tags, tagList }]) => tags.size > 0 || tagList !== undefined)
    .map(([name]) => name);
  const object = await readOrReport(report, CATALOG_KEY, () => readObject(store, CATALOG_KEY));
  if (object === 'unreadable') return;
  const reading = object === null ? null : readList(object.info, object.bytes);
  if (reading === null && present.length === 0) return;
  if (reading !== null && 'newer' in reading) {
    await report('newer', CATALOG_KEY, reading.problem);
    return;
  }
  const listed = reading !== null && 'entries' in reading ? reading.entries : [];
  const problem =
    reading === null
      ? 'it is missing'
      : 'problem' in reading
        ? reading.problem
        : compareNamesWith(
            listed.map(({ name }) => name),
            present,
          );
  if (problem === null) return;
  await report('catalog', CATALOG_KEY, problem, async () => {
    const details = new Map(listed.map(({ name, detail }) => [name, detail]));
    const entries = present.map((name) => ({ name, detail: details.get(name) ?? null }));
    // A write that fails lost against a publisher, whose list is right; the next run checks it.
    return (await writeList(store, CATALOG_KEY, entries, object?.info ?? null)) !== 'precondition-failed';
  });
}

/** The journal of garbage collection: `gc` and publishers refuse to work over one that is damaged. */
async function verifyJournal(store: WriteStore, report: Report): Promise<void> {
  const object = await readOrReport(report, GC_JOURNAL_KEY, () => readObject(store, GC_JOURNAL_KEY));
  if (object === null || object === 'unreadable') return;
  try {
    decodeJournal(object.bytes);
  } catch (error) {
    if (error instanceof NewerVersionError) {
      await report('newer', GC_JOURNAL_KEY, error.message);
      return;
    }
    if (!(error instanceof CommandError)) throw error;
    // Emptied, the grace period starts anew: nothing is deleted that was not seen unreferenced for all of it.
    await report('gc-journal', GC_JOURNAL_KEY, error.message, async () => {
      const put = { contentType: 'application/json', onlyIf: { etag: object.info.etag } };
      return (await store.put(GC_JOURNAL_KEY, encodeJournal(EMPTY_JOURNAL), put)) !== 'precondition-failed';
    });
  }
}

async function verifyBlobs(
  store: WriteStore,
  verified: ReadonlyMap<RepositoryName, RepositoryVerified>,
  listed: ReadonlyMap<string, ReadonlyMap<Digest, ListedObject>> | null,
  options: VerifyOptions,
  report: Report,
  progress: (what: string, done: number, total: number, bytes: number) => void,
): Promise<{ blobs: number; hashed: { blobs: number; bytes: number } }> {
  const needed = new Map<string, NeededBlob>();
  for (const [name, repository] of verified) collectNeeded(needed, name, realmOf(options.table, name), repository);

  const found = new Map<string, Pick<ListedObject, 'key' | 'size'>>();
  for (const blobs of listed?.values() ?? []) for (const object of blobs.values()) found.set(object.key, object);
  if (listed === null) {
    await forEachLimit(needed.values(), READS_AT_ONCE, async ({ key }) => {
      const info = await store.head(key);
      if (info !== null) found.set(key, info);
    });
  }
  const bad = new Set<string>();
  for (const blob of needed.values()) {
    const flaw = checkListed(blob, found.get(blob.key) ?? null);
    if (flaw === null) continue;
    bad.add(blob.key);
    if (flaw.kind === 'blob-missing')
      await report(blob.published ? flaw.kind : 'blob-not-fetched', blob.where, flaw.message);
  }

  // A blob of a wrong size is always hashed: either the blob or the manifest is wrong.
  const all = [...found.values()];
  const chosen = new Set(sampleOf(all, options.sample, options.random ?? Math.random));
  for (const object of all) if (bad.has(object.key)) chosen.add(object);
  let [done, bytes] = [0, 0];
  await forEachLimit(chosen, options.jobs, async ({ key }) => {
    const blob = needed.get(key);
    const digest = blob?.digest ?? digestOfKey(key);
    const hash = async (): Promise<'right' | 'wrong' | 'gone'> => {
      if (digest === null) return 'gone';
      const onBytes = (count: number): void => progress('hashing blobs', done, chosen.size, (bytes += count));
      return hashBlob(store, key, digest, onBytes);
    };
    const where = blob?.where ?? key;
    const result = await readOrReport(report, where, hash, digest ?? undefined);
    done += 1;
    if (result === 'unreadable') return;
    // Its HEAD or listing answered. What something needs must be given by GET too; what nothing needs may have been
    // collected.
    if (result === 'gone' && blob !== undefined && digest !== null) {
      const again = await readOrReport(
        report,
        where,
        async () => ((await store.head(key)) === null ? 'gone' : hash()),
        digest,
      );
      if (again === 'gone') await report(blob.published ? 'blob-missing' : 'blob-not-fetched', blob.where, digest);
    }
    progress('hashing blobs', done, chosen.size, bytes);
    // Read twice before it counts as damaged, because the repair deletes it.
    if (result === 'wrong' && digest !== null && (await hashBlob(store, key, digest, () => undefined)) === 'wrong') {
      const remove = async (): Promise<boolean> => {
        await store.delete([key]);
        return true;
      };
      await report(
        'blob-digest',
        blob?.where ?? key,
        `${digest}${options.repair ? ', removed: publish the tag again' : ''}`,
        remove,
      );
    } else if (result === 'right' && blob !== undefined && bad.has(key)) {
      const flaw = checkListed(blob, found.get(key) ?? null);
      if (flaw !== null) await report(flaw.kind, blob.where, flaw.message);
    }
  });
  return { blobs: found.size, hashed: { blobs: done, bytes } };
}

function collectNeeded(
  needed: Map<string, NeededBlob>,
  name: RepositoryName,
  realm: RealmName,
  repository: RepositoryVerified,
): void {
  const live = markRepository(repository);
  const { fetched, records } = repository;
  // Blobs of fetched tags alone are fetched when a client pulls them.
  const ofFetched = new Set<Digest>();
  for (const tag of fetched) {
    for (const { digest, links } of records.tags.get(tag) ?? []) {
      ofFetched.add(digest);
      for (const child of links?.children ?? []) ofFetched.add(child.digest);
    }
  }
  const visit = (where: string, links: ManifestLinks | null, published: boolean): void => {
    for (const { digest, size, foreign } of links === null ? [] : blobsOf(links)) {
      const key = blobKey(realm, digest);
      if (foreign) continue;
      const known = needed.get(key);
      const sizes = new Map(known?.sizes);
      if (size !== undefined) sizes.set(size, where);
      needed.set(key, {
        digest,
        key,
        sizes,
        where: known?.where ?? where,
        published: published || known?.published === true,
      });
    }
  };
  for (const [tag, forms] of records.tags)
    for (const { links } of forms ?? []) visit(`${name}:${tag}`, links, !fetched.has(tag));
  for (const [digest, links] of records.manifests)
    if (live.manifests.has(digest)) visit(`${name}@${digest}`, links, !ofFetched.has(digest));
}

function digestOfKey(key: string): Digest | null {
  const parsed = parseKey(key);
  return parsed?.kind === 'blob' ? parsed.digest : null;
}
