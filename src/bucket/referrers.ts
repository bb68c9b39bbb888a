/** What comes along with an image: manifests that refer to it (signatures, attestations, SBOMs), and the records by which they are found. */
import type { DerivedManifest, Manifest } from '../manifest/image.ts';
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import { referrersKey } from '../registry/keys.ts';
import { isListForm, MEDIA_TYPE_OF_FORM } from '../registry/media-type.ts';
import type { RepositoryName } from '../registry/name.ts';
import { decodeReferrers, encodeReferrers } from '../registry/referrers.ts';
import type { WriteStore } from '../registry/store.ts';
import { readLinks } from '../manifest/links.ts';
import { readObject } from './survey.ts';
import { verifiedManifest } from './read-image.ts';
import { type RetryOptions, untilWritten } from '../publisher/publish/retry.ts';
import type { SourceImage } from '../publisher/sources/source.ts';
import { descriptorOf } from '../publisher/verify/check-lists.ts';

/** Most manifests that come along with one image: beyond that something is made to hurt. */
const MOST = 1_000;

/** What comes along: manifests, and what each subject's record is to list. */
export interface Accompanying {
  readonly manifests: readonly DerivedManifest[];
  readonly records: ReadonlyMap<Digest, readonly Descriptor[]>;
}

/** Finds what refers to the manifests, and what refers to that, all the way. With `follow` false only what they say themselves (`subject`) is recorded. */
export async function readAccompanying(
  source: SourceImage,
  manifests: readonly Manifest[],
  follow: boolean,
): Promise<Accompanying> {
  const found = new Map<Digest, Manifest>();
  const records = new Map<Digest, Descriptor[]>();
  const record = (subject: Digest, descriptor: Descriptor): void => {
    const listed = records.get(subject) ?? [];
    if (!listed.some(({ digest }) => digest === descriptor.digest)) records.set(subject, [...listed, descriptor]);
  };
  const seen = new Set<Digest>();
  const queue = [...manifests];
  for (let manifest = queue.shift(); manifest !== undefined; manifest = queue.shift()) {
    if (seen.has(manifest.digest)) continue;
    seen.add(manifest.digest);
    const links = readLinks(manifest.bytes);
    if (links?.subject !== undefined) {
      record(
        links.subject,
        descriptorOf(
          manifest.digest,
          { links, size: manifest.bytes.length, contentType: manifest.mediaType },
          links.configMediaType,
        ),
      );
    }
    for (const descriptor of follow && found.size < MOST ? await source.referrers(manifest.digest) : []) {
      const { digest } = descriptor;
      const known = found.get(digest) ?? manifests.find((one) => one.digest === digest);
      const given = known === undefined ? await source.manifest(digest) : null;
      if (known === undefined && given === null) continue;
      const referrer =
        known ??
        verifiedManifest(
          { mediaType: descriptor.mediaType, ...(given ?? { bytes: new Uint8Array() }) },
          digest,
          'manifest',
        );
      if (known === undefined) found.set(digest, referrer);
      queue.push(referrer);
      // One that came by a fallback tag does not say its subject: the source does.
      if (readLinks(referrer.bytes)?.subject !== manifest.digest) record(manifest.digest, descriptor);
      if (isListForm(referrer.form)) {
        for (const child of readLinks(referrer.bytes)?.children ?? []) {
          const bytes = await source.manifest(child.digest);
          if (bytes !== null)
            found.set(
              child.digest,
              verifiedManifest({ mediaType: child.mediaType, ...bytes }, child.digest, 'manifest'),
            );
        }
      }
    }
  }
  return {
    manifests: [...found.values()].map((manifest) => ({ ...manifest, source: { kind: 'published' } })),
    records,
  };
}

/** Adds to the referrers records what they lack. Gives the keys of all of them. */
export async function writeReferrers(
  store: WriteStore,
  name: RepositoryName,
  records: Accompanying['records'],
  options: RetryOptions,
): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const [subject, descriptors] of records) {
    const key = referrersKey(name, subject);
    keys.push(key);
    await untilWritten(
      `the list of what refers to ${subject}`,
      async () => {
        const object = await readObject(store, key);
        const before = object === null ? [] : decodeReferrers(object.bytes);
        const added = descriptors.filter(({ digest }) => !before.some((one) => one.digest === digest));
        if (added.length === 0) return undefined;
        const result = await store.put(key, encodeReferrers([...before, ...added]), {
          contentType: MEDIA_TYPE_OF_FORM['oci-index'],
          onlyIf: object === null ? 'absent' : { etag: object.info.etag },
        });
        return result === 'precondition-failed' ? result : undefined;
      },
      options,
    );
  }
  return keys;
}
