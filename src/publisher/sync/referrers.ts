/** Referrers that came after their image: found although the tag did not move. */
import { readReferrersRecord } from '../../bucket/referrers.ts';
import { readObject } from '../../bucket/read-object.ts';
import { readLinks } from '../../manifest/links.ts';
import type { Digest } from '../../registry/digest.ts';
import { manifestKey, referrersKey } from '../../registry/keys.ts';
import type { Run } from './run.ts';

/** Referrers of referrers are followed to this depth: a signature of an attestation, and what refers to that. */
const MAX_DEPTH = 3;

/**
 * Whether the source has referrers that the bucket lacks: of the manifests, of the children of lists, and of what
 * refers to those. One request for each digest at most.
 */
export async function hasNewReferrers(run: Run, published: Iterable<Digest>): Promise<boolean> {
  for (const digest of published) if (await compareOnce(run, digest, 0)) return true;
  return false;
}

/** Tags often share manifests. */
function compareOnce(run: Run, digest: Digest, depth: number): Promise<boolean> {
  let comparison = run.compared.get(digest);
  if (comparison === undefined) {
    comparison = compare(run, digest, depth);
    run.compared.set(digest, comparison);
  }
  return comparison;
}

async function compare(run: Run, digest: Digest, depth: number): Promise<boolean> {
  const { job, options, listed } = run;
  const descriptors = (await job.source.referrers?.(digest, listed)) ?? null;
  if (descriptors === null) return false;
  const { store } = options;
  const record = descriptors.length === 0 ? null : await readReferrersRecord(store, referrersKey(job.to, digest));
  const known = new Set(record?.descriptors?.map((one) => one.digest));
  if (descriptors.some((one) => !known.has(one.digest))) return true;
  if (depth >= MAX_DEPTH) return false;
  for (const one of descriptors) if (await compareOnce(run, one.digest, depth + 1)) return true;
  if (depth > 0) return false;
  const manifest = await readObject(store, manifestKey(job.to, digest));
  for (const child of manifest === null ? [] : (readLinks(manifest.bytes)?.children ?? [])) {
    // Children for platforms that are not selected are not in the bucket.
    const isStored = (await store.head(manifestKey(job.to, child.digest))) !== null;
    if (isStored && (await compareOnce(run, child.digest, depth + 1))) return true;
  }
  return false;
}
