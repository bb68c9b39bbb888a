/**
 * Whether two manifests are forms of one image although their bytes differ: the same layers, creation time and run
 * settings. Conversions between schema 1, schema 2 and OCI keep all three; a rebuilt image differs in one of them.
 */
import { membersOfConfig } from '../../manifest/config-members.ts';
import type { ImageContent, Manifest } from '../../manifest/image.ts';
import { EMPTY_LAYER } from '../../manifest/schema1.ts';
import { isListForm } from '../../registry/media-type.ts';
import { isObject, type JsonObject, listOf, objectOf, parseJson, textOf } from '../../registry/values/json.ts';
import { readLinks } from '../../manifest/links.ts';

/** The parts of an image that are the same in every form. */
export interface ImageIdentity {
  /** Digests of the layer blobs, base first, without the empty layer of schema 1. */
  readonly layers: readonly string[];
  /** Digests of the unpacked layers; null where the form does not contain them. */
  readonly diffIds: readonly string[] | null;
  /** When the image was created, in milliseconds since 1970; null where the form does not contain it. */
  readonly created: number | null;
  /** The run settings (entry point, environment …) as canonical text. */
  readonly settings: string;
}

/** The images of a manifest: one, or those of a list without attestations. Empty if nothing can be read. */
export function identitiesOf(
  manifest: Manifest,
  content: Pick<ImageContent, 'children' | 'configs'>,
): readonly ImageIdentity[] {
  const links = readLinks(manifest.bytes);
  if (links === null) return [];
  if (isListForm(manifest.form)) {
    return links.children.flatMap(({ digest, platform }) => {
      const child = platform?.os === 'unknown' ? undefined : content.children.get(digest);
      return child === undefined ? [] : identitiesOf(child, content);
    });
  }
  const layers = links.layers.map(({ digest }) => digest).filter((digest) => digest !== EMPTY_LAYER.digest);
  if (manifest.form === 'docker-schema1') {
    const { created, config } = topOfSchema1(manifest.bytes);
    return [{ layers: layers.reverse(), diffIds: null, created: timeOf(created), settings: settingsOf(config) }];
  }
  const bytes = links.config === undefined ? undefined : content.configs.get(links.config.digest);
  const { created, config, rootfs } = membersOfConfig(bytes);
  const diffIds = isObject(rootfs) && Array.isArray(rootfs.diff_ids) ? rootfs.diff_ids.map(String) : null;
  // The config of an artifact has no known members: only an equal one is the same.
  if (diffIds === null) return [{ layers, diffIds, created: null, settings: links.config?.digest ?? '' }];
  return [{ layers, diffIds, created: timeOf(created), settings: settingsOf(config) }];
}

/**
 * Whether two roots are forms of one image, or one is a list that contains the other, or both are lists of the same
 * images.
 */
export function areFormsOfOneImage(a: readonly ImageIdentity[], b: readonly ImageIdentity[]): boolean {
  if (a.length === 0 || b.length === 0) return false;
  const inside = (few: readonly ImageIdentity[], many: readonly ImageIdentity[]): boolean =>
    few.every((one) => many.some((other) => isSame(one, other)));
  if (a.length === 1) return inside(a, b);
  if (b.length === 1) return inside(b, a);
  return inside(a, b) && inside(b, a);
}

function isSame(a: ImageIdentity, b: ImageIdentity): boolean {
  const sameLayers =
    isEqual(a.layers, b.layers) || (a.diffIds !== null && b.diffIds !== null && isEqual(a.diffIds, b.diffIds));
  return (
    sameLayers && (a.created === null || b.created === null || a.created === b.created) && a.settings === b.settings
  );
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

// The settings that OCI and Docker configs share. Converters drop the rest (Healthcheck, OnBuild …) for OCI.
const SETTINGS = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
] as const;

function settingsOf(config: unknown): string {
  if (!isObject(config)) return '[]';
  const present = SETTINGS.flatMap((key) => (isEmpty(config[key]) ? [] : [[key, sorted(config[key])]]));
  return JSON.stringify(present);
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value).length === 0)
  );
}

function sorted(value: unknown): unknown {
  return isObject(value) ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)) : value;
}

function topOfSchema1(bytes: Uint8Array): JsonObject {
  const { history } = objectOf(parseJson(bytes));
  const text = textOf(objectOf(listOf(history)[0]).v1Compatibility);
  return text === null ? {} : objectOf(parseJson(text));
}

function timeOf(created: unknown): number | null {
  const time = typeof created === 'string' ? Date.parse(created) : NaN;
  return Number.isNaN(time) ? null : time;
}
