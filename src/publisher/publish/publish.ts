/**
 * Publishing: reads a tag from a source, verifies it, derives its forms, and writes it so that readers see either the
 * old tag or the complete new one.
 *
 * Order of writes: blobs, manifests, referrers records, the tag object, lists. The tag object is written on the
 * condition that it has not changed since it was read. If another publisher changed it, this one reads it again, merges
 * the forms again, and writes over it.
 */
import { derive } from '../../manifest/derive.ts';
import { isNameless } from '../../manifest/from-schema1.ts';
import type { Signer } from '../../manifest/image.ts';
import { blobKey, tagKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { PUBLIC_REALM, type RealmName, realmOf, type RealmTable } from '../../registry/realms.ts';
import { ORIGIN_METADATA } from '../../registry/origin-mark.ts';
import { publishedDigests } from '../../registry/records.ts';
import type { WriteStore } from '../../registry/store.ts';
import { addReferrers, type Referrers, readReferrers } from '../../bucket/referrers.ts';
import { CommandError } from '../cli/errors.ts';
import type { EventSink } from './events.ts';
import { createTransfer, type Sent, type Transfer } from './transfer.ts';
import { type GcGuard, guardAgainstGc } from '../gc/guard.ts';
import { readTag } from '../../bucket/read-tag.ts';
import { mergeExisting } from './merge-existing.ts';
import { prepareWhiteouts, type WhiteoutWork } from './whiteout-copies.ts';
import { layersToScan, opaqueWarnings } from './opaque-warnings.ts';
import { type LayerWork, prepareLayers } from './layers.ts';
import { readSettings } from '../../bucket/format.ts';
import { refuseMove } from '../../bucket/settings/immutable-tags.ts';
import { openLists, refuseNewerLists, type Lists } from '../../bucket/lists.ts';
import { planTag, type PlannedBlob } from './plan.ts';
import { summaryOfPlan } from './plan-summary.ts';
import { type PublishRequest, type PublishResult, resultOf, warningsOf } from './request.ts';
import { readImage, type ReadImage } from '../../bucket/read-image.ts';
import { type ConflictOptions, untilWritten } from '../../bucket/retry.ts';
import { writeTagInTime } from './write-tag-in-time.ts';
import type { ImageSource } from '../../bucket/image-source.ts';

/** Blobs sent at once by default. */
export const DEFAULT_JOBS = 6;

/** The options of {@link createPublisher}. */
export interface PublisherOptions {
  readonly store: WriteStore;
  readonly realms: RealmTable;
  /** Signs derived schema 1 manifests. */
  readonly signer: Signer;
  /** Blobs sent at once, for all images together. */
  readonly jobs?: number;
  /** Read and hash what the bucket already has, instead of trusting its size; what does not match is sent again. */
  readonly check?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal | undefined;
  readonly now?: () => Date;
  /** How long a sweep of garbage collection may stand still; for tests. */
  readonly leaseMs?: number;
  /** How long the write of a tag object is tried, in milliseconds; for tests. */
  readonly tagWriteLimit?: number;
  /** Sleeps; for tests. */
  readonly wait?: (milliseconds: number) => Promise<void>;
}

/** Publishes images into one bucket. */
export interface Publisher {
  /**
   * Publishes the source's image; does not close the source. Throws {@link CommandError}, ImageError,
   * ImmutableTagError and StorageError; the tag is then unchanged.
   */
  publish(source: ImageSource, request: PublishRequest): Promise<PublishResult>;
  /** Mends the lists of a repository, which an earlier run may have left behind ({@link Lists}). */
  reconcile(name: RepositoryName): Promise<void>;
}

/** Makes a publisher, one for each run. It may publish several images at once. */
export async function createPublisher(options: PublisherOptions): Promise<Publisher> {
  const { store, signal, wait } = options;
  const onEvent = options.onEvent ?? ((): void => undefined);
  const retry: ConflictOptions = { signal, ...(wait === undefined ? {} : { wait }) };
  const guard = await guardAgainstGc(store, {
    ...(wait === undefined ? {} : { wait }),
    leaseMs: options.leaseMs,
    onWait: () => onEvent({ event: 'working', what: 'waiting for garbage collection' }),
  });
  const lists = openLists(store, retry);
  const { jobs = DEFAULT_JOBS, check = false } = options;
  const transfer = createTransfer({ store, jobs, check, onEvent, signal });
  const refused = new Map<RepositoryName, Promise<void>>();
  const refuseNewer = (name: RepositoryName): Promise<void> => {
    const known = refused.get(name) ?? refuseNewerLists(store, name);
    refused.set(name, known);
    return known;
  };
  const run: Run = { options, onEvent, retry, guard, lists, refuseNewer, transfer };
  return {
    publish: (source, request) => publish(run, source, request),
    reconcile: (name) => lists.reconcile(name, realmOf(options.realms, name)),
  };
}

interface Run {
  readonly options: PublisherOptions;
  readonly onEvent: EventSink;
  readonly retry: ConflictOptions;
  readonly guard: GcGuard;
  readonly lists: Lists;
  /** Throws NewerVersionError if a newer gantry wrote the lists; looks once for each repository. */
  readonly refuseNewer: (name: RepositoryName) => Promise<void>;
  readonly transfer: Transfer;
}

/** One image that is being published. */
interface Job {
  readonly run: Run;
  readonly source: ImageSource;
  readonly request: PublishRequest;
  readonly realm: RealmName;
  readonly image: ReadImage;
  readonly referrers: Referrers;
  readonly layers: LayerWork;
  readonly whiteouts: WhiteoutWork | null;
}

async function publish(run: Run, source: ImageSource, request: PublishRequest): Promise<PublishResult> {
  const { signal, realms } = run.options;
  const realm = realmOf(realms, request.name);
  if (source.protected === true && realm === PUBLIC_REALM) {
    throw new CommandError(`the source protects this image, and ${request.name} would be public`, {
      hint: 'Give the name a realm of its own under REALMS in wrangler.toml, or choose a name that has one.',
    });
  }
  const image = await readImage(source, { platforms: request.platforms ?? [], signal });
  refuseNameless(image);
  if (request.dryRun !== true) await run.refuseNewer(request.name);
  const { roots, children } = image.content;
  const referrers = await readReferrers(source, [...roots, ...children.values()], request.referrers !== false);
  const layers = prepareLayers({
    recompress: request.recompress,
    signal,
    onEvent: run.onEvent,
    isStored: async (layer) => (await run.options.store.head(blobKey(realm, layer))) !== null,
  });
  const whiteouts = request.rewriteOpaque === true ? prepareWhiteouts({ signal, onEvent: run.onEvent }) : null;
  const job: Job = { run, source, request, realm, image, referrers, layers, whiteouts };
  const result = await untilWritten(`the tag ${request.name}:${request.tag}`, () => attempt(job), run.retry);
  const companions = request.referrers === false ? [] : await publishCompanions(run, source, request, image);
  return companions.length === 0 ? result : { ...result, companions };
}

/** Refuses a schema 1 that crashes Docker 1.6 and 1.7. Beside another form, derivation leaves it out. */
function refuseNameless({ content: { roots } }: ReadImage): void {
  const [root] = roots;
  if (roots.length !== 1 || root?.form !== 'docker-schema1' || !isNameless(root.bytes)) return;
  throw new CommandError('the schema 1 has an empty name, which crashes Docker 1.6 and 1.7', {
    hint: 'skopeo writes an empty name when it converts an image into a folder. Publish the schema 2 or OCI image: gantry derives a schema 1.',
  });
}

/**
 * Publishes the tags that belong to the image by its digest (cosign's), after the image, so that their subject exists.
 */
async function publishCompanions(
  run: Run,
  source: ImageSource,
  request: PublishRequest,
  { content }: ReadImage,
): Promise<readonly Tag[]> {
  const published: Tag[] = [];
  for (const { digest } of [...content.roots, ...content.children.values()]) {
    for (const { tag, image } of (await source.companions?.(digest)) ?? []) {
      const { name, dryRun = false } = request;
      await publish(run, { ...image, companions: () => Promise.resolve([]) }, { name, tag, dryRun });
      published.push(tag);
    }
  }
  return published;
}

async function attempt(job: Job): Promise<PublishResult | 'precondition-failed'> {
  const { run, request, realm, image, referrers } = job;
  const { name, tag } = request;
  const { store, now = () => new Date() } = run.options;
  const key = tagKey(name, tag);
  const [existing, settings] = await Promise.all([readTag(store, key), readSettings(store)]);
  if (existing?.kind === 'newer') {
    throw new CommandError(`the tag ${name}:${tag} cannot be written: ${existing.message}`, {
      hint: 'Use the newest gantry: npm install --global gantry-registry@latest',
    });
  }
  const readable = existing?.kind === 'read' ? existing : null;
  const {
    content: merged,
    merge,
    source,
    warnings,
  } = await mergeExisting(
    { store, name, realm, replace: request.replace === true, image, source: job.source, signal: run.options.signal },
    readable,
  );
  const { content: completed, open } = await job.layers.complete(merged, source);
  const copies = (await job.whiteouts?.copies(merged, source)) ?? null;
  const content = copies === null ? completed : { ...completed, whiteoutCopies: copies.byConfig };
  const derivation = derive(content, { name, tag, signer: run.options.signer, mode: request.mode ?? 'strict' });
  const plan = planTag({
    name,
    tag,
    realm,
    content,
    derivation,
    referrers: referrers.manifests,
    existing: readable,
    now: now()
      .toISOString()
      .replace(/\.\d+Z$/, 'Z'),
  });
  // The write below replaces exactly the object that this decides over. Nothing can be pulled from a damaged one.
  const before = readable === null ? [] : publishedDigests(readable.record);
  refuseMove(settings.immutable, request, { before, after: publishedDigests(plan.record) });
  const present = await run.transfer.present(plan.blobs, plan.manifests);
  const toSend = plan.blobs.filter((blob) => !present.has(blob.key));
  const bytesToSend = toSend.reduce((sum, { size }) => sum + (size ?? 0), 0);
  run.onEvent({
    event: 'plan',
    name,
    tag,
    blobs: plan.blobs.length,
    present: plan.blobs.length - toSend.length,
    toSend: toSend.length,
    bytesToSend,
  });
  const toScan = layersToScan(derivation, content);
  const report = (sent: Sent): PublishResult =>
    resultOf({
      request,
      referrers,
      plan,
      derivation,
      merge,
      present,
      sent,
      warnings: [
        ...warnings,
        ...(copies?.warnings ?? []),
        ...warningsOf(image, existing, derivation),
        ...opaqueWarnings(toScan, run.transfer),
      ],
    });
  if (request.dryRun === true) return report({ blobs: toSend.length, bytes: bytesToSend });

  const send = async (blobs: readonly PlannedBlob[]): ReturnType<Transfer['sendBlobs']> =>
    run.transfer.sendBlobs(
      blobs,
      source,
      {
        recompressed: open,
        withWhiteouts: (copy) => copies?.open(copy) ?? Promise.reject(new TypeError(`${copy} is not a copy`)),
      },
      toScan,
    );
  const { sent, absent } = await send(toSend);
  await run.transfer.sendManifests(plan.manifests.filter((manifest) => !present.has(manifest.key)));
  const referrersKeys = await addReferrers(store, name, referrers.records, run.retry);
  let etag = readable?.info.etag;
  // A tag that the Worker fetched from an upstream is written again even if it is equal: once published, it no longer
  // follows the upstream.
  const isFetched = readable?.info.metadata[ORIGIN_METADATA] !== undefined;
  if (plan.change !== 'unchanged' || isFetched) {
    const needed = [
      ...plan.blobs.map((blob) => blob.key).filter((one) => !absent.has(one)),
      ...plan.manifests.map((manifest) => manifest.key),
      ...referrersKeys,
    ];
    for (let lost = await run.guard.secure(needed); lost.length > 0; lost = await run.guard.secure(needed)) {
      run.transfer.lost(lost);
      const gone = new Set(lost);
      await send(plan.blobs.filter((blob) => gone.has(blob.key)));
      await run.transfer.sendManifests(plan.manifests.filter((manifest) => gone.has(manifest.key)));
      await addReferrers(store, name, referrers.records, run.retry);
    }
    run.options.signal?.throwIfAborted();
    // A damaged tag object is written over as well.
    const over = readable?.info ?? (existing === null ? null : await store.head(key));
    const written = await writeTagInTime(store, { key, body: plan.body, metadata: plan.metadata }, over, {
      title: `${name}:${tag}`,
      signal: run.options.signal,
      limit: run.options.tagWriteLimit,
    });
    if (written === 'precondition-failed') return written;
    etag = written.etag;
  }
  if (etag !== undefined)
    await run.lists.update(name, tag, {
      kind: 'written',
      entry: {
        ...(await summaryOfPlan(plan, content, { store, realm })),
        etag,
        digests: publishedDigests(plan.record),
      },
    });
  return report(sent);
}
