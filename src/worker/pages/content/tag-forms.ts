/** Which of a tag's forms a page shows, and how they are grouped by platform. Pure. */
import type { Digest } from '../../../registry/digest.ts';
import { type Form, isListForm } from '../../../registry/media-type.ts';
import { formatPlatform, isDefaultPlatform, type Platform } from '../../../registry/platform.ts';
import { publishedDigests, type MissingForm, type TagForm, type TagRecord } from '../../../registry/records.ts';
import type { ChildView } from './image-view.ts';

/** An image of a list. */
export interface PlatformImage {
  /** `os/architecture[/variant]`. */
  readonly platform: string;
  readonly digest: Digest;
}

/** The list whose platforms a page shows: the preferred one. Null if the tag is a single image. */
export function shownList({ forms }: TagRecord): TagForm | null {
  return forms.find(({ form }) => isListForm(form)) ?? null;
}

/** The images of a list, each platform once. */
export function imagesOf(children: readonly ChildView[]): readonly PlatformImage[] {
  const byPlatform = new Map<string, PlatformImage>();
  for (const { platform, digest } of children)
    if (platform !== null && !byPlatform.has(platform)) byPlatform.set(platform, { platform, digest });
  return [...byPlatform.values()];
}

/**
 * The form of a single image, or of one platform, whose layers a page shows: one with sizes, published if there is one.
 * `platform` null: the default platform, or the only image. Null if the tag object does not contain it.
 */
export function shownForm({ forms }: TagRecord, image: PlatformImage | null = null): TagForm | null {
  const candidates = forms.filter(
    ({ form, platform, digest }) =>
      !isListForm(form) &&
      (image === null ||
        digest === image.digest ||
        (platform !== undefined && formatPlatform(platform) === image.platform)),
  );
  const rank = ({ form, platform, source }: TagForm): number =>
    (form === 'docker-schema1' ? 4 : 0) +
    (platform === undefined || isDefaultPlatform(platform) ? 0 : 2) +
    (source.kind === 'published' ? 0 : 1);
  return candidates.reduce<TagForm | null>((best, one) => (best === null || rank(one) < rank(best) ? one : best), null);
}

/** The digest that a tag is known by: that of what was published, preferred forms first. */
export function rootDigest(record: TagRecord): Digest | null {
  return publishedDigests(record)[0] ?? record.forms[0]?.digest ?? null;
}

/** The forms of one platform, or of the tag itself. */
export interface FormLine {
  /** `os/architecture[/variant]`; null for lists and single images, which stand for the whole tag. */
  readonly platform: string | null;
  readonly forms: readonly TagForm[];
  readonly missing: readonly MissingForm[];
}

/** The forms of a tag by platform: first those of the whole tag. */
export function formLines({ forms, missing }: TagRecord): readonly FormLine[] {
  const lines = new Map<string | null, { forms: TagForm[]; missing: MissingForm[] }>();
  const lineOf = (platform: Platform | undefined): { forms: TagForm[]; missing: MissingForm[] } => {
    const key = platform === undefined ? null : formatPlatform(platform);
    const line = lines.get(key) ?? { forms: [], missing: [] };
    lines.set(key, line);
    return line;
  };
  lineOf(undefined);
  for (const form of forms) lineOf(form.platform).forms.push(form);
  for (const form of missing) lineOf(form.platform).missing.push(form);
  return [...lines]
    .map(([platform, line]) => ({ platform, ...line }))
    .filter((line) => line.forms.length + line.missing.length > 0);
}

/** The schema 1 of a platform, which contains history and config; null if the tag object has none. */
export function schema1Of({ forms }: TagRecord, { platform: wanted }: PlatformImage): TagForm | null {
  const isWanted = ({ form, platform }: TagForm): boolean =>
    form === SCHEMA1 && platform !== undefined && formatPlatform(platform) === wanted;
  return forms.find(isWanted) ?? null;
}

const SCHEMA1: Form = 'docker-schema1';
