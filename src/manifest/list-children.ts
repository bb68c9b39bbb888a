/** The images of a list or index, including those of nested lists, without attestations and artifacts. */
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import { isListForm, MEDIA_TYPES } from '../registry/media-type.ts';
import type { Platform } from '../registry/platform.ts';
import { membersOfConfig, platformOfMembers } from './config-members.ts';
import type { ImageContent, Manifest } from './image.ts';
import { type ImageManifest, readImageManifest, readListManifest } from './read.ts';
import { isImage } from './layer-types.ts';

/** One image of a list: its platform and its manifest. */
export interface Child {
  readonly platform: Platform;
  readonly manifest: Manifest;
  readonly image: ImageManifest;
}

/** The children of a list, including those of nested lists. */
export interface Children {
  readonly images: readonly Child[];
  /** Platforms of images that are not in the content. */
  readonly absent: readonly Platform[];
  /** Every manifest below it. */
  readonly all: readonly Manifest[];
}

/** Collects the children of a list. A child that is not in the content counts as absent. */
export function childrenOf(content: ImageContent, list: Manifest): Children {
  const images: Child[] = [];
  const absent: Platform[] = [];
  const all = new Map<Digest, Manifest>();
  const visit = (manifest: Manifest, outer: Platform | undefined): void => {
    for (const descriptor of readListManifest(manifest)) {
      const told = platformOf(descriptor) ?? outer;
      const child = content.children.get(descriptor.digest);
      if (child === undefined) {
        if (told !== undefined && !isAccompanying(descriptor)) absent.push(told);
        continue;
      }
      const seen = all.has(child.digest);
      all.set(child.digest, child);
      if (isListForm(child.form)) {
        // No list can name itself. One that is named twice is read once.
        if (!seen) visit(child, told);
        continue;
      }
      if (child.form === 'docker-schema1' || isAccompanying(descriptor)) continue;
      const image = readImageManifest(child);
      if (!isImage(image)) continue;
      const platform = told ?? platformOfMembers(membersOfConfig(content.configs.get(image.config.digest)));
      if (platform !== null) images.push({ platform, manifest: child, image });
    }
  };
  visit(list, undefined);
  return { images, absent, all: [...all.values()] };
}

/** The platforms of the images of a list; none if one image does not tell its platform, as in a nested list. */
export function platformsOfList(list: Pick<Manifest, 'bytes'>): readonly Platform[] {
  const platforms: Platform[] = [];
  for (const descriptor of readListManifest(list)) {
    if (isAccompanying(descriptor)) continue;
    const platform = platformOf(descriptor);
    if (platform === undefined) return [];
    platforms.push(platform);
  }
  return platforms;
}

/** Attestations have an unknown platform in an index, or an annotation with what they refer to (BuildKit). */
function isAccompanying({ platform, annotations, artifactType }: Descriptor): boolean {
  return (
    platform?.os === 'unknown' ||
    annotations?.['vnd.docker.reference.type'] !== undefined ||
    (artifactType !== undefined && artifactType !== MEDIA_TYPES.ociConfig)
  );
}

function platformOf({ platform }: Descriptor): Platform | undefined {
  return platform === undefined || platform.os === '' || platform.os === 'unknown' ? undefined : platform;
}
