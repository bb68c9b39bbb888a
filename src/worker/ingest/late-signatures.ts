/**
 * Signatures and other referrers that come after their image: looked for whenever a tag is compared with the upstream,
 * and stored, so that clients can verify the image while the upstream fails. An unsigned image costs two requests: one
 * for its referrers, one for cosign's tag.
 */
import { mapLimit } from '../../bucket/concurrency.ts';
import { readReferrersRecord, writeReferrersRecord } from '../../bucket/referrers.ts';
import { withRetries } from '../../bucket/retry.ts';
import { blobsOf, readLinks } from '../../manifest/links.ts';
import type { Budget } from '../../origin/budget.ts';
import type { RegistryClient } from '../../origin/registry-client.ts';
import { algorithmOf, type Digest, hexOf } from '../../registry/digest.ts';
import { blobKey, referrersKey, tagKey } from '../../registry/keys.ts';
import { parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';
import { encodeOriginMark, isFetched } from '../../registry/origin-mark.ts';
import { FILL_LIMITS, fillWithin, inSlot, permitFill } from './fill-limits.ts';
import { ingestManifest } from './pull-manifest.ts';
import { storeBlob } from './pull-blob.ts';
import { isLimited, type Pull } from './pull.ts';
import { rememberReferrers } from './pull-list.ts';

/**
 * New referrers that are stored with one comparison: a Worker can make only so many requests. Others follow by pulls.
 */
const STORED_AT_ONCE = 5;

/** Blobs of one referrer that are stored, and their size in bytes: signatures are small, and SBOMs may be large. */
const BLOBS = 3;
const BLOB_MAX = 1024 * 1024;

/**
 * Looks for what refers to the manifest of a tag. `fetchTag` fetches and stores a tag that the upstream has. Throws
 * OriginError and StorageError.
 */
export async function findLateSignatures(
  pull: Pull,
  name: RepositoryName,
  subject: Digest,
  fetchTag: (tag: Tag) => Promise<unknown>,
): Promise<void> {
  if (isLimited(pull.upstream)) return;
  const key = `${referrersKey(name, subject)} late`;
  await permitFill(pull, key);
  const search = (): Promise<{ readonly blobs: readonly Digest[]; readonly tag: Tag | null }> =>
    fillWithin(pull, FILL_LIMITS.late, key, async (client, budget) => {
      const blobs = await refreshReferrers({ ...pull, client }, name, subject, budget);
      return { blobs, tag: await findSignatureTag({ ...pull, client }, name, subject) };
    });
  const late = await inSlot('documents', search, pull.urgency);
  for (const blob of late.blobs) await storeBlob(pull, name, blob);
  if (late.tag !== null) await fetchTag(late.tag);
}

/** A pull whose requests count against the budget of the search. */
type Search = Omit<Pull, 'client'> & { readonly client: RegistryClient };

/** Stores the list of referrers and their manifests. Gives their blobs that are to be stored. */
async function refreshReferrers(
  { client, ...pull }: Search,
  name: RepositoryName,
  subject: Digest,
  budget: Budget,
): Promise<readonly Digest[]> {
  const { remote, rule } = pull;
  const descriptors = await client.referrers(remote, subject);
  rememberReferrers({ ...pull, client: null }, subject, descriptors, budget.received);
  const store = withRetries(pull.store, pull.retry);
  const key = referrersKey(name, subject);
  const record = await readReferrersRecord(store, key);
  // What was published takes precedence over the upstream.
  if (record !== null && !isFetched(record.info.metadata)) return [];
  const known = new Set(record?.descriptors?.map(({ digest }) => digest));
  const added = descriptors.filter(({ digest }) => !known.has(digest));
  if (added.length === 0 && descriptors.length === known.size) return [];
  const blobs: Digest[] = [];
  for (const { digest } of added.slice(0, STORED_AT_ONCE)) {
    const stored = await ingestManifest(client, store, { name, remote, digest });
    if (stored !== 'unknown' && rule.blobs !== 'redirect') blobs.push(...smallBlobs(stored.bytes));
  }
  const mark = encodeOriginMark({ origin: rule.name, digest: subject, checked: Date.now(), gone: null });
  // Another isolate that wrote it meanwhile has asked the same upstream.
  await writeReferrersRecord(store, key, descriptors, record?.info ?? null, mark);
  const missing = await mapLimit(blobs, STORED_AT_ONCE, async (blob) =>
    (await store.head(blobKey(pull.realm, blob))) === null ? [blob] : [],
  );
  return missing.flat();
}

function smallBlobs(manifest: Uint8Array): readonly Digest[] {
  const links = readLinks(manifest);
  return (links === null ? [] : blobsOf(links))
    .filter(({ size }) => size !== undefined && size <= BLOB_MAX)
    .slice(0, BLOBS)
    .map(({ digest }) => digest);
}

/** Cosign's signature tag, if the upstream has it and the bucket does not. */
async function findSignatureTag(
  { client, remote, store }: Search,
  name: RepositoryName,
  subject: Digest,
): Promise<Tag | null> {
  const tag = parseTag(`${algorithmOf(subject)}-${hexOf(subject)}.sig`);
  // Once it is stored, it is compared like any other tag.
  if (tag === null || (await store.head(tagKey(name, tag))) !== null) return null;
  // Not HEAD: a 404 to that proves nothing, and GET would follow.
  const found = await client.manifest(remote, { kind: 'tag', tag });
  return found.kind === 'not-found' ? null : tag;
}
