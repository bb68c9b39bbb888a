/**
 * Derives every form of a tag from what was published: pure, over bytes, the same in the publisher and in the Worker.
 *
 * What was published is never altered and wins over anything derived of its kind. An image gives a schema 2 (of an OCI manifest, or of a schema 1 that stands alone) and a
 * schema 1; an OCI index gives a Docker list of schema 2 children; a list of either kind gives a schema 1 for each of its platforms. What cannot be made leaves a reason.
 */
import type { Digest } from '../registry/digest.ts';
import { FORMS, isListForm, MEDIA_TYPE_OF_FORM } from '../registry/media-type.ts';
import { DEFAULT_PLATFORM, formatPlatform, type Platform } from '../registry/platform.ts';
import { Collector, type Refusal } from './collector.ts';
import { membersOfConfig } from './config-members.ts';
import { fromSchema1, platformOfSchema1 } from './from-schema1.ts';
import { readGoTime } from './json/go-time.ts';
import type { Derivation, DeriveOptions, ImageContent, Manifest } from './image.ts';
import { type Child, type Children, childrenOf } from './list-children.ts';
import { type ImageManifest, readImageManifest } from './read.ts';
import { buildSchema1 } from './schema1.ts';
import { buildDockerList, buildSchema2, isForeign, isImage, isZstd } from './schema2.ts';
import { sha256Of } from './signing/sha256.ts';

/** Graph layers that engines up to 1.9 can stack, less a few for what is built on top. */
const MANY_ENTRIES = 125;

/** Larger documents are refused by docker/distribution and by skopeo. */
const LARGE_DOCUMENT = 4 * 1024 * 1024;

/** Time of signing where the image tells none. */
const NO_TIME = '1970-01-01T00:00:00Z';

/** Derives. Never throws for what an image may contain; the content's digests must have been verified. */
export function derive(content: ImageContent, options: DeriveOptions): Derivation {
  const into = new Collector(content, options);
  const roots = [...content.roots].sort((a, b) => FORMS.indexOf(a.form) - FORMS.indexOf(b.form));
  const lists = roots.filter(({ form }) => isListForm(form));
  const published = roots.find(({ form }) => form === 'docker-schema1');
  // Beside a list, a published schema 1 stands for one of its platforms.
  const own =
    published === undefined || lists.length === 0 ? undefined : (platformOfSchema1(published.bytes) ?? undefined);
  for (const root of roots) into.form(root, PUBLISHED, root === published ? own : undefined);
  const image =
    roots.find(({ form }) => form === 'docker-schema2') ?? roots.find(({ form }) => form === 'oci-manifest');
  if (image !== undefined) deriveImage(into, roots, image, published);
  else if (published !== undefined && lists.length === 0) deriveFromSchema1(into, published);
  if (lists.length > 0) deriveLists(into, lists, image === undefined, own);
  return into.derivation();
}

const PUBLISHED = { kind: 'published' } as const;

/** A schema 1, or why there is none. */
type Schema1 = { readonly kind: 'made'; readonly manifest: Manifest } | Refusal;

/** Forms of an image that stands by itself. */
function deriveImage(into: Collector, roots: readonly Manifest[], root: Manifest, schema1: Manifest | undefined): void {
  const image = readImageManifest(root);
  if (root.form === 'oci-manifest' && !roots.some(({ form }) => form === 'docker-schema2')) {
    const made = schema2Of(into, image);
    if (made.kind === 'made') into.form(made.manifest, { kind: 'derived', from: root.digest });
    else into.lacks('docker-schema2', made);
  }
  if (schema1 !== undefined) return;
  const made = schema1Of(into, image);
  if (made.kind === 'made') into.form(made.manifest, { kind: 'derived', from: root.digest });
  else into.lacks('docker-schema1', made);
}

function deriveFromSchema1(into: Collector, root: Manifest): void {
  const made = fromSchema1(root, into.content.unpacked);
  if (made.kind === 'refused') {
    into.lacks('docker-schema2', made);
    return;
  }
  into.blob(made.configDigest, made.config);
  into.form(made.manifest, { kind: 'derived', from: root.digest });
}

/** Forms of lists. `alone`: no image was published beside them, so that theirs of the default platform stands for the tag. */
function deriveLists(into: Collector, lists: readonly Manifest[], alone: boolean, own: Platform | undefined): void {
  const found = lists.map((list) => childrenOf(into.content, list));
  const index = lists.findIndex(({ form }) => form === 'oci-index');
  const hasDockerList = lists.some(({ form }) => form === 'docker-list');
  const schema2s = new Map<Digest, Manifest>();
  for (const { images } of found) {
    for (const { manifest, image } of images) {
      if (manifest.form === 'docker-schema2') schema2s.set(manifest.digest, manifest);
      else {
        const made = schema2Of(into, image);
        if (made.kind === 'made') schema2s.set(manifest.digest, made.manifest);
      }
    }
  }
  const root = lists[index];
  const ofIndex = found[index];
  if (root !== undefined && ofIndex !== undefined && !hasDockerList) deriveDockerList(into, root, ofIndex, schema2s);
  // A Docker list comes second, and its schema 2 children win over derived ones of the same platform.
  const images = [...found.flatMap(({ images }) => images)].sort(
    (a, b) => Number(a.manifest.form !== 'docker-schema2') - Number(b.manifest.form !== 'docker-schema2'),
  );
  const byPlatform = new Map<string, Child>();
  for (const image of images)
    if (!byPlatform.has(formatPlatform(image.platform))) byPlatform.set(formatPlatform(image.platform), image);
  const distinct = [...byPlatform.values()];
  const preferred =
    distinct.find(({ platform }) => isDefault(platform)) ?? (distinct.length === 1 ? distinct[0] : undefined);
  if (alone && preferred !== undefined) {
    for (const { manifest, platform } of images.filter(
      ({ platform }) => formatPlatform(platform) === formatPlatform(preferred.platform),
    )) {
      into.form(manifest, PUBLISHED, platform);
      const schema2 = schema2s.get(manifest.digest);
      if (schema2 !== undefined && !into.has('docker-schema2', platform))
        into.form(schema2, { kind: 'derived', from: manifest.digest }, platform);
    }
  }
  deriveSchema1s(into, {
    images: preferred === undefined ? distinct : [preferred, ...distinct.filter((one) => one !== preferred)],
    found,
    own,
  });
  for (const { all } of found) for (const manifest of all) into.other(manifest, PUBLISHED);
  for (const [from, schema2] of schema2s)
    into.other(schema2, schema2.digest === from ? PUBLISHED : { kind: 'derived', from });
}

function deriveDockerList(
  into: Collector,
  index: Manifest,
  { images }: Children,
  schema2s: ReadonlyMap<Digest, Manifest>,
): void {
  const children = images.flatMap(({ platform, manifest }) => {
    const schema2 = schema2s.get(manifest.digest);
    if (schema2 !== undefined) return [{ platform, manifest: schema2 }];
    const made = schema2Of(into, readImageManifest(manifest));
    if (made.kind === 'refused') into.lacks('docker-schema2', made, platform);
    return [];
  });
  if (children.length > 0) {
    into.form(buildDockerList(children), { kind: 'derived', from: index.digest });
    return;
  }
  const [first] = images;
  const why = first === undefined ? NOT_AN_IMAGE.schema2 : schema2Of(into, first.image);
  into.lacks('docker-list', why.kind === 'refused' ? why : NOT_AN_IMAGE.schema2);
}

function deriveSchema1s(
  into: Collector,
  { images, found, own }: { images: readonly Child[]; found: readonly Children[]; own: Platform | undefined },
): void {
  for (const { platform, manifest, image } of images) {
    if (own?.os === platform.os && own.architecture === platform.architecture) continue;
    const made = schema1Of(into, image);
    if (made.kind === 'made') into.form(made.manifest, { kind: 'derived', from: manifest.digest }, platform);
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
    ![...images.map(({ platform }) => platform), ...found.flatMap(({ absent }) => absent)].some(isDefault)
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

function schema2Of(
  into: Collector,
  image: ImageManifest,
): { readonly kind: 'made'; readonly manifest: Manifest } | Refusal {
  if (!isImage(image)) return { kind: 'refused', reason: 'schema2-not-an-image', explanation: notAnImage(image) };
  const made = buildSchema2(image.config, into.layersFor(image));
  return made.kind === 'refused' ? made : { kind: 'made', manifest: made.manifest };
}

function schema1Of(into: Collector, image: ImageManifest): Schema1 {
  const { content, options } = into;
  if (!isImage(image)) return { kind: 'refused', reason: 'schema1-not-an-image', explanation: notAnImage(image) };
  const layers = into.layersFor(image);
  if (options.mode === 'strict') {
    const foreign = layers.find(isForeign);
    if (foreign !== undefined)
      return {
        kind: 'refused',
        reason: 'schema1-foreign-layers',
        explanation: `the layer ${foreign.digest} is fetched from an address of its own`,
      };
    const packed = layers.find(isZstd);
    if (packed !== undefined)
      return {
        kind: 'refused',
        reason: 'schema1-zstd-layers',
        explanation: `the layer ${packed.digest} is packed with zstd`,
      };
  }
  const config = content.configs.get(image.config.digest);
  if (config === undefined)
    return {
      kind: 'refused',
      reason: 'schema1-config-invalid',
      explanation: `the config ${image.config.digest} is not there`,
    };
  const { name, tag } = options;
  const built = buildSchema1({ config, layers: layers.map(({ digest }) => digest), name, tag }, options.mode);
  if (built.kind === 'refused') return built;
  const bytes = options.signer.sign(built.payload, timeOf(config));
  if (built.needsEmptyLayer) into.emptyLayer();
  if (built.entries > MANY_ENTRIES)
    into.warn(`the schema 1 has ${String(built.entries)} entries: engines before 1.10 stack at most 127 layers`);
  if (bytes.length > LARGE_DOCUMENT)
    into.warn(
      `the schema 1 has ${String(bytes.length)} bytes: many clients read no manifest beyond ${String(LARGE_DOCUMENT)}`,
    );
  return {
    kind: 'made',
    manifest: {
      form: 'docker-schema1',
      mediaType: MEDIA_TYPE_OF_FORM['docker-schema1'],
      digest: sha256Of(built.payload),
      bytes,
    },
  };
}

function notAnImage({ config, layers }: ImageManifest): string {
  const types = [...new Set([config.mediaType, ...layers.map(({ mediaType }) => mediaType)])];
  return `its config and layers are ${types.join(', ')}`;
}

/** When the image was made, for the signature: RFC 3339 UTC in whole seconds, so that signing anew gives the same bytes. */
function timeOf(config: Uint8Array): string {
  const { created } = membersOfConfig(config);
  // `Date` reads other forms too, and some of them in the machine's own time zone.
  const time = typeof created === 'string' && readGoTime(created) !== null ? new Date(created) : null;
  if (time === null || Number.isNaN(time.getTime()) || time.getUTCFullYear() < 1 || time.getUTCFullYear() > 9999)
    return NO_TIME;
  return `${time.toISOString().slice(0, 19)}Z`;
}

function isDefault({ os, architecture }: Platform): boolean {
  return os === DEFAULT_PLATFORM.os && architecture === DEFAULT_PLATFORM.architecture;
}
