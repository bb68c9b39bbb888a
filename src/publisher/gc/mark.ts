/**
 * Finds the unreferenced objects of a bucket. Pure, over listings and records.
 *
 * Tags are the roots. A tag references its forms and the manifests that they were derived from; a list references its
 * children, an image its config and layers (schema 1 its `fsLayers`, with the empty layer), and a manifest its
 * referrers (by their `subject`), recursively. Cosign's tags are tags.
 * An object that cannot be read may reference anything: then nothing that it could reference is garbage.
 */
import type { Digest } from '../../registry/digest.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { PUBLIC_REALM, realmOf, type RealmTable } from '../../registry/realms.ts';
import type { ListedObject } from '../../registry/store.ts';
import { blobsOf, type ManifestLinks } from '../../manifest/links.ts';
import type { RepositoryListing, RepositoryRecords } from '../../bucket/survey.ts';

/** One surveyed repository. `referrers`: the content of each referrers record; null if it cannot be read. */
export interface MarkedRepository {
  readonly listing: RepositoryListing;
  readonly records: RepositoryRecords;
  readonly referrers: ReadonlyMap<Digest, readonly Digest[] | null>;
}

/** The input of {@link mark}. */
export interface MarkInput {
  readonly repositories: ReadonlyMap<RepositoryName, MarkedRepository>;
  readonly blobs: ReadonlyMap<string, ReadonlyMap<Digest, ListedObject>>;
  readonly table: RealmTable;
  /** Realms that the table no longer contains and whose blobs may be deleted. */
  readonly droppedRealms: ReadonlySet<string>;
}

/** An unreferenced object. */
export interface Garbage {
  readonly kind: 'referrers' | 'signatures' | 'manifest' | 'blob';
  readonly object: ListedObject;
  /**
   * The order of deletion: an object is deleted before what it references, so that an interrupted run leaves no
   * incomplete image.
   */
  readonly rank: number;
}

/** A repository or realm that is kept although it may contain garbage, and why. */
export interface Blocked {
  readonly kind: 'repository' | 'realm';
  readonly name: string;
  readonly why: string;
}

/** A number of objects and their bytes. */
export interface Amount {
  readonly objects: number;
  readonly bytes: number;
}

/** The result of marking. */
export interface Marking {
  /** Sorted by rank, then key. */
  readonly garbage: readonly Garbage[];
  readonly kept: { readonly tags: number; readonly manifests: Amount; readonly blobs: Amount };
  readonly blocked: readonly Blocked[];
}

/** Marks the referenced objects and gives the rest. */
export function mark(input: MarkInput): Marking {
  const garbage: Garbage[] = [];
  const blocked: Blocked[] = [];
  const liveBlobs = new Map<string, Set<Digest>>();
  const blockedRealms = new Map<string, string>();
  let keptManifests = NOTHING;
  let tags = 0;

  for (const [name, repository] of input.repositories) {
    const realm = realmOf(input.table, name);
    const live = markRepository(repository);
    tags += repository.listing.tags.size;
    const blobs = liveBlobs.get(realm) ?? new Set<Digest>();
    liveBlobs.set(realm, blobs);
    for (const blob of live.blobs) blobs.add(blob);
    if (live.unreadable !== undefined) {
      blocked.push({ kind: 'repository', name, why: live.unreadable });
      blockedRealms.set(realm, `${name} belongs to it, and ${live.unreadable}`);
    }
    for (const [digest, object] of repository.listing.manifests) {
      if (live.unreadable !== undefined || live.manifests.has(digest)) keptManifests = add(keptManifests, object);
    }
    if (live.unreadable === undefined) garbage.push(...garbageOf(repository, live.manifests));
  }

  const known = new Set<string>([PUBLIC_REALM, ...input.table.map(({ realm }) => realm)]);
  let keptBlobs = NOTHING;
  for (const [realm, blobs] of input.blobs) {
    // A realm that the table does not contain was written with another table: by this one all its blobs would look
    // unreferenced.
    if (!known.has(realm) && !input.droppedRealms.has(realm))
      blockedRealms.set(realm, 'the realm table does not name it');
    const why = blockedRealms.get(realm);
    if (why !== undefined) blocked.push({ kind: 'realm', name: realm, why });
    for (const [digest, object] of blobs) {
      if (why !== undefined || liveBlobs.get(realm)?.has(digest) === true) keptBlobs = add(keptBlobs, object);
      else garbage.push({ kind: 'blob', object, rank: BLOB_RANK });
    }
  }
  garbage.sort((a, b) => a.rank - b.rank || (a.object.key < b.object.key ? -1 : 1));
  return { garbage, kept: { tags, manifests: keptManifests, blobs: keptBlobs }, blocked };
}

const NOTHING: Amount = { objects: 0, bytes: 0 };
const RECORD_RANK = -1;
const BLOB_RANK = Number.MAX_SAFE_INTEGER;

/** The number of objects and the sum of their bytes. */
export function amountOf(objects: readonly ListedObject[]): Amount {
  return objects.reduce(add, NOTHING);
}

function add(amount: Amount, object: ListedObject): Amount {
  return { objects: amount.objects + 1, bytes: amount.bytes + object.size };
}

/** What a repository references. */
export interface Live {
  readonly manifests: ReadonlySet<Digest>;
  readonly blobs: ReadonlySet<Digest>;
  /** Why the sets are incomplete: the end of a sentence. Undefined if they are complete. */
  readonly unreadable: string | undefined;
}

/** Marks one repository: the manifests, and the blobs of its realm, that its tags reference. */
export function markRepository({ listing, records }: Pick<MarkedRepository, 'listing' | 'records'>): Live {
  const manifests = new Set<Digest>();
  const blobs = new Set<Digest>();
  let unreadable: string | undefined;
  const referring = new Map<Digest, Digest[]>();
  for (const [digest, links] of records.manifests) {
    if (links?.subject !== undefined) referring.set(links.subject, [...(referring.get(links.subject) ?? []), digest]);
  }
  const queue: Digest[] = [];
  const visit = (digest: Digest): void => {
    if (manifests.has(digest)) return;
    manifests.add(digest);
    queue.push(digest);
  };
  const follow = (links: ManifestLinks): void => {
    for (const child of links.children) {
      visit(child.digest);
      // An index may contain something other than a manifest: it is referenced in any case.
      blobs.add(child.digest);
    }
    for (const blob of blobsOf(links)) blobs.add(blob.digest);
  };
  for (const [tag, forms] of records.tags) {
    if (forms === null) unreadable = `its tag ${tag} cannot be read`;
    for (const { digest, from, links } of forms ?? []) {
      visit(digest);
      if (from !== undefined) visit(from);
      if (links === null) unreadable = `a manifest of its tag ${tag} cannot be read`;
      else follow(links);
    }
  }
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    for (const referrer of referring.get(digest) ?? []) visit(referrer);
    const links = records.manifests.get(digest);
    if (links === null && listing.manifests.has(digest)) unreadable = `its manifest ${digest} cannot be read`;
    if (links !== null && links !== undefined) follow(links);
  }
  return { manifests, blobs, unreadable };
}

function garbageOf({ listing, records, referrers }: MarkedRepository, live: ReadonlySet<Digest>): Garbage[] {
  const dead = new Map([...listing.manifests].filter(([digest]) => !live.has(digest)));
  const ranks = ranksOf(dead, records);
  const garbage: Garbage[] = [...dead].map(([digest, object]) => ({
    kind: 'manifest',
    object,
    rank: ranks.get(digest) ?? 0,
  }));
  for (const [subject, object] of listing.referrers) {
    // A referrer that is listed and not stored may be at an upstream, not fetched yet: such a record is kept.
    const listed = referrers.get(subject);
    if (listed?.every((digest) => dead.has(digest)) === true)
      garbage.push({ kind: 'referrers', object, rank: RECORD_RANK });
  }
  for (const [subject, object] of listing.signatures)
    if (!live.has(subject)) garbage.push({ kind: 'signatures', object, rank: RECORD_RANK });
  return garbage;
}

/**
 * The rank of each dead manifest: 0 if no other dead one references it, otherwise one more than the highest of those.
 */
function ranksOf(dead: ReadonlyMap<Digest, ListedObject>, records: RepositoryRecords): ReadonlyMap<Digest, number> {
  const pointing = new Map<Digest, Digest[]>();
  for (const digest of dead.keys()) {
    const links = records.manifests.get(digest);
    if (links === null || links === undefined) continue;
    const targets =
      links.subject === undefined
        ? links.children.map((child) => child.digest)
        : [...links.children.map((child) => child.digest), links.subject];
    for (const target of targets) if (dead.has(target)) pointing.set(target, [...(pointing.get(target) ?? []), digest]);
  }
  const ranks = new Map<Digest, number>();
  const rankOf = (digest: Digest): number => {
    const known = ranks.get(digest);
    if (known !== undefined) return known;
    // Digests cannot form a circle, but schema 1 manifests are not known by the digest of their bytes: a manifest
    // that is being visited counts as 0.
    ranks.set(digest, 0);
    const rank = Math.max(0, ...(pointing.get(digest) ?? []).map((parent) => rankOf(parent) + 1));
    ranks.set(digest, rank);
    return rank;
  };
  for (const digest of dead.keys()) rankOf(digest);
  return ranks;
}
