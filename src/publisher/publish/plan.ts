/** What publishing one tag writes: decided before anything is written, pure. */
import type { Derivation, DerivedManifest, ImageContent } from '../../manifest/image.ts';
import { EMPTY_LAYER } from '../../manifest/schema1.ts';
import { tagRecordOf } from '../../manifest/tag-record.ts';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { blobKey, manifestKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import type { RealmName } from '../../registry/realms.ts';
import { encodeTag, type TagRecord } from '../../registry/records.ts';
import { CommandError } from '../cli/errors.ts';
import { blobsOf, readLinks } from '../../manifest/links.ts';

/** Where a blob's bytes come from: they are here, the source has them, or they are made from a layer of the source. */
export type BlobOrigin =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'source' }
  | { readonly kind: 'recompressed'; readonly from: Digest };

/** A blob that a manifest of the tag names. */
export interface PlannedBlob {
  readonly key: string;
  readonly digest: Digest;
  readonly role: 'config' | 'layer';
  /** Bytes, where a manifest says so (schema 1 does not). */
  readonly size: number | undefined;
  readonly origin: BlobOrigin;
  /** A foreign layer: it has addresses of its own, so it may be missing. */
  readonly optional: boolean;
}

/** A manifest that is stored by digest. */
export interface PlannedManifest {
  readonly key: string;
  readonly name: RepositoryName;
  readonly manifest: DerivedManifest;
}

/** Everything that a tag needs, and its object. */
export interface TagPlan {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly blobs: readonly PlannedBlob[];
  /** In the order in which they are written: what a list names before the list. */
  readonly manifests: readonly PlannedManifest[];
  readonly record: TagRecord;
  readonly body: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
  /** `unchanged`: the tag object says all of this already. */
  readonly change: 'new' | 'moved' | 'unchanged';
}

/** What a plan is made from. */
export interface PlanInput {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly realm: RealmName;
  readonly content: Pick<ImageContent, 'configs' | 'recompressed'>;
  readonly derivation: Derivation;
  /** Manifests that refer to the image, published with it. */
  readonly referrers: readonly DerivedManifest[];
  /** The tag object as it is: null if there is none or it cannot be read. */
  readonly existing: { readonly record: TagRecord; readonly manifests: readonly Uint8Array[] } | null;
  /** RFC 3339 UTC, whole seconds. */
  readonly now: string;
}

/** Plans. Throws {@link CommandError} if two manifests do not agree on a blob's size. */
export function planTag(input: PlanInput): TagPlan {
  const { name, tag, derivation, referrers, existing, now } = input;
  const all = [...derivation.others, ...referrers, ...derivation.forms];
  const { record, bytes } = tagRecordOf(derivation, now);
  const unchanged = existing !== null && isSameTag(existing, { record, manifests: bytes });
  const settled = unchanged ? { ...record, updated: existing.record.updated } : record;
  return {
    name,
    tag,
    blobs: blobsOfAll(all, input),
    manifests: all.map((manifest) => ({ key: manifestKey(name, manifest.digest), name, manifest })),
    record: settled,
    ...encodeTag(settled, bytes),
    change: unchanged ? 'unchanged' : existing === null ? 'new' : 'moved',
  };
}

function isSameTag(
  a: { record: TagRecord; manifests: readonly Uint8Array[] },
  b: { record: TagRecord; manifests: readonly Uint8Array[] },
): boolean {
  const told = ({ record, manifests }: typeof a): string =>
    encodeTag({ ...record, updated: '' }, manifests).metadata['gantry-tag'] ?? '';
  const long = ({ record, manifests }: typeof a): Buffer =>
    Buffer.from(encodeTag({ ...record, updated: '' }, manifests).body);
  return told(a) === told(b) && long(a).equals(long(b));
}

function blobsOfAll(
  manifests: readonly DerivedManifest[],
  { realm, content, derivation }: PlanInput,
): readonly PlannedBlob[] {
  const made = new Map(derivation.blobs.map(({ digest, bytes }) => [digest, bytes]));
  const copies = new Map([...content.recompressed].map(([from, { digest }]) => [digest, from]));
  const planned = new Map<Digest, PlannedBlob>();
  for (const { bytes } of manifests) {
    const links = readLinks(bytes);
    for (const { digest, size, foreign } of links === null ? [] : blobsOf(links)) {
      const known = planned.get(digest);
      if (known?.size !== undefined && size !== undefined && known.size !== size) {
        throw new CommandError(
          `one manifest says that ${digest} has ${String(known.size)} bytes, another ${String(size)}`,
          {
            hint: 'One of them was made wrongly: build the image again.',
          },
        );
      }
      const small =
        made.get(digest) ?? content.configs.get(digest) ?? (digest === EMPTY ? EMPTY_LAYER.bytes : undefined);
      const from = copies.get(digest);
      planned.set(digest, {
        key: blobKey(realm, digest),
        digest,
        role: known?.role ?? (links?.config?.digest === digest ? 'config' : 'layer'),
        size: known?.size ?? size ?? small?.length,
        origin:
          small !== undefined
            ? { kind: 'bytes', bytes: small }
            : from !== undefined
              ? { kind: 'recompressed', from }
              : { kind: 'source' },
        optional: foreign && known?.optional !== false,
      });
    }
  }
  return [...planned.values()];
}

const EMPTY = parseDigest(EMPTY_LAYER.digest);
