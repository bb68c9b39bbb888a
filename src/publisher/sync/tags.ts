/** Syncs the tags of a repository. */
import { forEachLimit } from '../../bucket/concurrency.ts';
import { type ImageSource, isCompanionTag } from '../../bucket/image-source.ts';
import { OriginError } from '../../origin/errors.ts';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { manifestKey } from '../../registry/keys.ts';
import type { Tag } from '../../registry/name.ts';
import { publishedDigests } from '../../registry/records.ts';
import { failureOf, type TagOutcome } from './outcome.ts';
import { hasNewReferrers } from './referrers.ts';
import { passedOver, type Run } from './run.ts';

/** Tags of all repositories processed at once. */
export const TAGS_AT_ONCE = 8;

/** Syncs tags; a failure of one does not stop the others. */
export async function syncTags(run: Run, tags: readonly Tag[]): Promise<void> {
  const { job, options, limit, report } = run;
  await forEachLimit(tags, TAGS_AT_ONCE, (tag) =>
    limit(async () => {
      if (run.stopped) {
        report.untried.push(tag);
        return;
      }
      options.signal?.throwIfAborted();
      let what: TagOutcome;
      let digests: readonly Digest[] | undefined;
      try {
        ({ what, digests } = await syncTag(run, tag));
      } catch (error) {
        const failure = passedOver(error, options);
        what = 'failed';
        report.failures.push({ tag, ...failureOf(failure) });
        // The failure applies to all tags; each would only wait to fail in the same way.
        if (failure.cause instanceof OriginError && STOPPING.has(failure.cause.code)) run.stopped = true;
      }
      report.tags[what].push(tag);
      options.onTag?.({ name: job.to, tag, what, ...(digests && { digests }) });
    }),
  );
}

const STOPPING: ReadonlySet<OriginError['code']> = new Set(['ORIGIN_RATE_LIMITED', 'ORIGIN_UNAUTHORIZED']);

/** What became of a tag, and what was published under it. */
interface SyncedTag {
  readonly what: TagOutcome;
  readonly digests?: readonly Digest[];
}

async function syncTag(run: Run, tag: Tag): Promise<SyncedTag> {
  const { job, options, report, published } = run;
  const { source, to, settings } = job;
  const there = options.full ? null : await published(tag);
  const upstream = there === null ? null : await source.digests(tag);
  const isSame = upstream !== null && upstream.length > 0 && upstream.every((digest) => there?.has(digest) === true);
  if (isSame && !(settings.referrers && !isCompanionTag(tag) && (await hasNewReferrers(run, there ?? []))))
    return { what: 'unchanged' };
  const { verifySignature } = settings;
  // The source's schema 1 has a digest that nobody signed; it is derived here from what was signed.
  const opened = await source.open(tag, { schema1: settings.schema1 && verifySignature === undefined });
  if (opened === null) return { what: 'gone' };
  options.onEvent({ event: 'working', what: `${to}:${tag}` });
  try {
    // Cosign's own tags are the signatures.
    if (verifySignature !== undefined && !isCompanionTag(tag)) {
      const [{ readSignaturePolicy }, { requireSignatures }] = await Promise.all([
        import('../signatures/policy.ts'),
        import('../signatures/verify.ts'),
      ]);
      await requireSignatures(opened, await readSignaturePolicy(verifySignature), options.signal);
    }
    const { platforms, recompress, referrers, mode } = settings;
    const publisher = await options.publisher();
    const result = await publisher.publish(withoutCompanions(opened), {
      name: to,
      tag,
      platforms,
      recompress,
      referrers,
      mode,
      dryRun: options.dryRun,
    });
    report.sentBytes += result.blobs.sentBytes;
    for (const warning of result.warnings) report.warnings.push(`${to}:${tag}: ${warning}`);
    const what = isSame && result.change === 'unchanged' ? 'referrers' : result.change;
    return { what, digests: publishedDigests(result) };
  } finally {
    await opened.close();
  }
}

/** Here companions are tags like any other, so that those added later are found too. */
function withoutCompanions(image: ImageSource): ImageSource {
  return {
    roots: image.roots,
    manifest: (digest) => image.manifest(digest),
    blob: (digest, options) => image.blob(digest, options),
    referrers: (subject) => image.referrers(subject),
    close: () => image.close(),
    ...(image.protected === undefined ? {} : { protected: image.protected }),
  };
}

/** Tags that belong by their name to a manifest in the bucket. */
export async function companionsOf({ job, options }: Run, listed: readonly Tag[]): Promise<readonly Tag[]> {
  const found: Tag[] = [];
  await forEachLimit(listed.filter(isCompanionTag), TAGS_AT_ONCE, async (tag) => {
    const match = /^(sha256|sha512)-([0-9a-f]+)\.\w+$/.exec(tag);
    // Fallback tags are read as lists of referrers; as tags they would repeat those.
    const subject = match === null ? null : parseDigest(`${match[1] ?? ''}:${match[2] ?? ''}`);
    if (subject !== null && (await options.store.head(manifestKey(job.to, subject))) !== null) found.push(tag);
  });
  return found;
}
