/** Plans what publishing one tag writes. Pure. */
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

/**
 * Where a blob's bytes come from: memory, the source, a layer of the source that is recompressed, or a copy of one with
 * explicit whiteouts.
 */
export type BlobOrigin =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'source' }
  | { readonly kind: 'recompressed'; readonly from: Digest }
  | { readonly kind: 'with-whiteouts' };

/** A blob that a manifest of the tag names. */
export interface PlannedBlob {
  readonly key: string;
  readonly digest: Digest;
  readonly role: 'config' | 'layer';
  /** In bytes, where a manifest contains it (schema 1 does not). */
  readonly size: number | undefined;
  readonly origin: BlobOrigin;
  /** A foreign layer: it has URLs of its own, so it may be missing. */
  readonly optional: boolean;
}

/** A manifest that is stored by digest. */
export interface PlannedManifest {
  readonly key: string;
  readonly name: RepositoryName;
  readonly manifest: DerivedManifest;
}

/** Everything that a tag needs, and the tag object. */
export interface TagPlan {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly blobs: readonly PlannedBlob[];
  /** In the order of writes: children before their lists. */
  readonly manifests: readonly PlannedManifest[];
  readonly record: TagRecord;
  readonly body: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
  /** `unchanged`: the stored tag object is equal. */
  readonly change: 'new' | 'moved' | 'unchanged';
}

/** The input of {@link planTag}. */
export interface PlanInput {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly realm: RealmName;
  readonly content: Pick<ImageContent, 'configs' | 'recompressed' | 'whiteoutCopies'>;
  readonly derivation: Derivation;
  /** Manifests that refer to the image, published with it. */
  readonly referrers: readonly DerivedManifest[];
  /** The stored tag object; null if there is none or it cannot be read. */
  readonly existing: { readonly record: TagRecord; readonly manifests: readonly Uint8Array[] } | null;
  /** RFC 3339 UTC, whole seconds. */
  readonly now: string;
}

/** Plans. Throws {@link CommandError} if two manifests give different sizes of one blob. */
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
  const indexOf = ({ record, manifests }: typeof a): string =>
    encodeTag({ ...record, updated: '' }, manifests).metadata['gantry-tag'] ?? '';
  const long = ({ record, manifests }: typeof a): Buffer =>
    Buffer.from(encodeTag({ ...record, updated: '' }, manifests).body);
  return indexOf(a) === indexOf(b) && long(a).equals(long(b));
}

function blobsOfAll(
  manifests: readonly DerivedManifest[],
  { realm, content, derivation }: PlanInput,
): readonly PlannedBlob[] {
  const made = new Map(derivation.blobs.map(({ digest, bytes }) => [digest, bytes]));
  const copies = new Map([...content.recompressed].map(([from, { digest }]) => [digest, from]));
  const withWhiteouts = new Map(
    [...(content.whiteoutCopies?.values() ?? [])]
      .flat()
      .flatMap((copy) => (copy === null ? [] : [[copy.digest, copy]])),
  );
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
        size: known?.size ?? size ?? small?.length ?? withWhiteouts.get(digest)?.size,
        origin:
          small !== undefined
            ? { kind: 'bytes', bytes: small }
            : from !== undefined
              ? { kind: 'recompressed', from }
              : { kind: withWhiteouts.has(digest) ? 'with-whiteouts' : 'source' },
        optional: foreign && known?.optional !== false,
      });
    }
  }
  return [...planned.values()];
}

const EMPTY = parseDigest(EMPTY_LAYER.digest);
