/** Converts lists: to a list of the other kind, and to manifests for clients that accept no list. */
import type { Digest } from '../registry/digest.ts';
import { DEFAULT_PLATFORM, formatPlatform, isDefaultPlatform, type Platform } from '../registry/platform.ts';
import type { Collector, Made, Refusal } from './collector.ts';
import type { Manifest } from './image.ts';
import { schema1Of, schema2Of } from './image-forms.ts';
import { isCleanSchema2, type ImageForm } from './layer-types.ts';
import type { Child, Children } from './list-children.ts';
import { buildOciIndex, buildOciManifest } from './oci.ts';
import { buildDockerList } from './schema2.ts';

/** A published list and what it names. */
export interface PublishedList {
  readonly list: Manifest;
  readonly children: Children;
}

const PUBLISHED = { kind: 'published' } as const;

/**
 * Derives the forms of lists. `alone`: no image was published beside them, so the image for the default platform stands
 * for the tag. `own`: the platform of a published schema 1.
 */
export function deriveLists(
  into: Collector,
  lists: readonly PublishedList[],
  { alone, own }: { readonly alone: boolean; readonly own: Platform | undefined },
): void {
  const found = lists.map(({ children }) => children);
  const index = lists.find(({ list }) => list.form === 'oci-index');
  const dockerList = lists.find(({ list }) => list.form === 'docker-list');
  const schema2s = new Conversion(isCleanSchema2, (image) => schema2Of(into, image.image));
  const ocis = new Conversion(isOci, (image) => ociOf(into, image));
  for (const image of found.flatMap(({ images }) => images)) schema2s.of(image);
  if (dockerList !== undefined) repairDockerList(into, dockerList, schema2s);
  else if (index !== undefined) deriveDockerList(into, index, schema2s);
  if (dockerList !== undefined && index === undefined) deriveOciIndex(into, dockerList, ocis);
  // Published schema 2 children of a Docker list win over derived ones of the same platform.
  const images = [...found.flatMap(({ images }) => images)].sort(
    (a, b) => Number(a.manifest.form !== 'docker-schema2') - Number(b.manifest.form !== 'docker-schema2'),
  );
  const byPlatform = new Map<string, Child>();
  for (const image of images)
    if (!byPlatform.has(formatPlatform(image.platform))) byPlatform.set(formatPlatform(image.platform), image);
  const distinct = [...byPlatform.values()];
  const preferred =
    distinct.find(({ platform }) => isDefaultPlatform(platform)) ?? (distinct.length === 1 ? distinct[0] : undefined);
  if (alone && preferred !== undefined) {
    const place = formatPlatform(preferred.platform);
    for (const image of images.filter(({ platform }) => formatPlatform(platform) === place)) {
      const { manifest, platform } = image;
      into.form(manifest, { source: PUBLISHED, platform, images: [image] });
      offer(into, image, schema2s.of(image));
    }
    if (index === undefined) offer(into, preferred, ocis.of(preferred));
  }
  deriveSchema1s(into, {
    images: preferred === undefined ? distinct : [preferred, ...distinct.filter((one) => one !== preferred)],
    found,
    own,
  });
  for (const { all } of found) for (const manifest of all) into.other(manifest, PUBLISHED);
  for (const { manifest, from } of [...schema2s.derived, ...ocis.derived])
    into.other(manifest, { kind: 'derived', from });
}

/** Offers a converted child by tag, for clients that accept no list. */
function offer(into: Collector, { manifest: { digest }, image, platform }: Child, made: Made): void {
  if (made.kind === 'refused' || made.manifest.digest === digest) return;
  const images = made.manifest.form === 'oci-manifest' ? [{ manifest: made.manifest, image }] : [];
  into.form(made.manifest, { source: { kind: 'derived', from: digest }, platform, images });
}

/** Converts images of lists to one form, each once. */
class Conversion {
  readonly #isPublishedSo: (image: ImageForm) => boolean;
  readonly #convert: (image: ImageForm) => Made;
  readonly #made = new Map<Digest, Made>();

  /** `isPublishedSo`: whether an image has that form already. */
  constructor(isPublishedSo: (image: ImageForm) => boolean, convert: (image: ImageForm) => Made) {
    this.#isPublishedSo = isPublishedSo;
    this.#convert = convert;
  }

  of(image: ImageForm): Made {
    const { manifest } = image;
    const before = this.#made.get(manifest.digest);
    if (before !== undefined) return before;
    const made: Made = this.#isPublishedSo(image) ? { kind: 'made', manifest } : this.#convert(image);
    this.#made.set(manifest.digest, made);
    return made;
  }

  /** The converted manifests, and what they were made from. */
  get derived(): readonly { readonly manifest: Manifest; readonly from: Digest }[] {
    return [...this.#made].flatMap(([from, made]) =>
      made.kind === 'made' && made.manifest.digest !== from ? [{ manifest: made.manifest, from }] : [],
    );
  }
}

const isOci = ({ manifest }: ImageForm): boolean => manifest.form === 'oci-manifest';

function ociOf(into: Collector, { image }: ImageForm): Made {
  const manifest = buildOciManifest(image);
  return manifest === null ? NOT_AN_IMAGE.schema2 : into.withinLimits(manifest);
}

/** The images that could be converted, with their platforms. */
function childrenIn(conversion: Conversion, images: readonly Child[]) {
  return images.flatMap((image) => {
    const made = conversion.of(image);
    return made.kind === 'made' ? [{ platform: image.platform, manifest: made.manifest, image: image.image }] : [];
  });
}

function deriveDockerList(into: Collector, { list, children: { images } }: PublishedList, schema2s: Conversion): void {
  for (const image of images) {
    const made = schema2s.of(image);
    if (made.kind === 'refused') into.lacks('docker-schema2', made, image.platform);
  }
  const children = childrenIn(schema2s, images);
  if (children.length > 0) {
    const made = into.withinLimits(buildDockerList(children));
    if (made.kind === 'made') into.form(made.manifest, { source: { kind: 'derived', from: list.digest }, images: [] });
    else into.lacks('docker-list', made);
    return;
  }
  const [first] = images;
  const why = first === undefined ? NOT_AN_IMAGE.schema2 : schema2s.of(first);
  into.lacks('docker-list', why.kind === 'refused' ? why : NOT_AN_IMAGE.schema2);
}

/** Makes a list of clean images beside one with nonstandard layer types. */
function repairDockerList(into: Collector, { list, children: { images } }: PublishedList, schema2s: Conversion): void {
  const children = childrenIn(schema2s, images);
  const isRepaired = images.some((image) => {
    const made = schema2s.of(image);
    return image.manifest.form === 'docker-schema2' && made.kind === 'made' && made.manifest !== image.manifest;
  });
  if (!isRepaired) return;
  const made = into.withinLimits(buildDockerList(children));
  if (made.kind === 'made') into.form(made.manifest, { source: { kind: 'derived', from: list.digest }, images: [] });
}

function deriveOciIndex(into: Collector, { list, children: { images } }: PublishedList, ocis: Conversion): void {
  const children = childrenIn(ocis, images);
  if (children.length === 0) return;
  const made = into.withinLimits(buildOciIndex(children));
  if (made.kind === 'made')
    into.form(made.manifest, { source: { kind: 'derived', from: list.digest }, images: children });
}

function deriveSchema1s(
  into: Collector,
  { images, found, own }: { images: readonly Child[]; found: readonly Children[]; own: Platform | undefined },
): void {
  for (const { platform, manifest, image } of images) {
    if (own?.os === platform.os && own.architecture === platform.architecture) continue;
    const made = schema1Of(into, image);
    if (made.kind === 'made')
      into.form(made.manifest, { source: { kind: 'derived', from: manifest.digest }, platform, images: [] });
    else into.lacks('docker-schema1', made, platform);
  }
  for (const platform of found.flatMap(({ absent }) => absent)) {
    if (images.some((one) => formatPlatform(one.platform) === formatPlatform(platform))) continue;
    into.lacks(
      'docker-schema1',
      {
        kind: 'refused',
        reason: 'schema1-not-published',
        explanation: `the image for ${formatPlatform(platform)} was not published with the list`,
      },
      platform,
    );
  }
  if (images.length === 0 && found.every(({ absent }) => absent.length === 0))
    into.lacks('docker-schema1', NOT_AN_IMAGE.schema1);
  else if (
    own === undefined &&
    ![...images.map(({ platform }) => platform), ...found.flatMap(({ absent }) => absent)].some(isDefaultPlatform)
  ) {
    into.lacks('docker-schema1', {
      kind: 'refused',
      reason: 'schema1-no-platform',
      explanation: `the list has no image for ${formatPlatform(DEFAULT_PLATFORM)}, which engines that name no platform get`,
    });
  }
}

const NOT_AN_IMAGE = {
  schema2: {
    kind: 'refused',
    reason: 'schema2-not-an-image',
    explanation: 'none of its manifests is that of a container image',
  },
  schema1: {
    kind: 'refused',
    reason: 'schema1-not-an-image',
    explanation: 'none of its manifests is that of a container image',
  },
} as const satisfies Record<string, Refusal>;
