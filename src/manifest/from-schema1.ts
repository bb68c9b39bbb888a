/**
 * Schema 2 made from a schema 1 that stands alone: the config that Docker 20.10 makes when it pulls the schema 1
 * (the same bytes, hence the same image ID), around the same layers. What Docker refuses is refused here.
 *
 * Docker's code for it: `pullSchema1` in moby's `distribution/pull_v2.go`, `image/v1` and `image.NewFromJSON`.
 */
import type { Descriptor } from '../registry/descriptor.ts';
import { type Digest, parseDigest } from '../registry/digest.ts';
import type { Reason } from '../registry/errors.ts';
import { MEDIA_TYPES } from '../registry/media-type.ts';
import type { Platform } from '../registry/platform.ts';
import { ByteWriter } from './json/byte-writer.ts';
import { HISTORY, IMAGE, ROOT_FS, SCHEMA1, THROWAWAY, V1_IMAGE, type V1Image } from './json/docker-types.ts';
import { writeGoObject } from './json/go-object.ts';
import {
  decodeGo,
  field,
  goSlice,
  goString,
  goStruct,
  type GoType,
  GoTypeError,
  itemsOf,
  sliceOf,
} from './json/go-types.ts';
import { HISTORY_MAX, type Manifest, type UnpackedLayer } from './image.ts';
import { checkJson, JsonSyntaxError, membersOf } from './json/json-bytes.ts';
import { payloadOf, SignatureError } from './signing/jws.ts';
import { buildSchema2 } from './schema2.ts';
import { sha256Of } from './signing/sha256.ts';

/** A schema 2 and its config, or why there is none. */
export type FromSchema1Result =
  | {
      readonly kind: 'manifest';
      readonly manifest: Manifest;
      readonly config: Uint8Array;
      readonly configDigest: Digest;
    }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly explanation: string };

/** One entry of a schema 1. */
interface Entry {
  readonly blob: Digest;
  /** The `v1Compatibility` text, and what Docker reads of it. */
  readonly text: Uint8Array;
  readonly image: V1Image;
  readonly throwaway: boolean;
}

/** Members of the v1 API, not of the image (moby's `MakeConfigFromV1Config`). Case matters here. */
const V1_ONLY = ['id', 'parent', 'Size', 'parent_id', 'layer_id', 'throwaway'] as const;

/** The text of an older engine is read and written anew (moby's `noFallbackMinVersion`). */
const REENCODED_BELOW = '1.8.3';

const LAYER_TYPE = {
  gzip: MEDIA_TYPES.dockerLayerGzip,
  none: MEDIA_TYPES.dockerLayerTar,
  zstd: MEDIA_TYPES.dockerLayerZstd,
} as const;

/** Makes a schema 2. `unpacked`: the layers that could be unpacked; null if nobody has tried. */
export function fromSchema1(
  schema1: Pick<Manifest, 'bytes'>,
  unpacked: ReadonlyMap<Digest, UnpackedLayer> | null,
): FromSchema1Result {
  try {
    const payload = payloadOf(schema1.bytes);
    const { length } = itemsOf(decodeGo(SCHEMA1, payload).history);
    if (length > HISTORY_MAX) {
      return {
        kind: 'refused',
        reason: 'schema2-too-large',
        explanation: `the schema 1 has ${String(length)} entries; at most ${String(HISTORY_MAX)} are converted`,
      };
    }
    const entries = readEntries(payload);
    const layers: Descriptor[] = [];
    const diffIds: string[] = [];
    for (const { blob, throwaway } of entries) {
      if (throwaway) continue;
      if (unpacked === null)
        return {
          kind: 'refused',
          reason: 'schema2-layers-unread',
          explanation: 'its layers have not been unpacked yet',
        };
      const layer = unpacked.get(blob);
      if (layer === undefined)
        return {
          kind: 'refused',
          reason: 'schema2-layers-unreadable',
          explanation: `the layer ${blob} is missing, damaged or packed in a way that is not read`,
        };
      layers.push({ mediaType: LAYER_TYPE[layer.compression], digest: blob, size: layer.size });
      diffIds.push(layer.diffId);
    }
    const config = configOf(entries, diffIds);
    const configDigest = sha256Of(config);
    const built = buildSchema2(
      { mediaType: MEDIA_TYPES.dockerConfig, digest: configDigest, size: config.length },
      layers,
    );
    return built.kind === 'refused' ? built : { kind: 'manifest', manifest: built.manifest, config, configDigest };
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { kind: 'refused', reason: 'schema2-history-mismatch', explanation: error.message };
  }
}

/**
 * The config that Docker makes of a schema 1's payload. `diffIdOf`: the digest of a layer's unpacked tar.
 * Where Docker refuses, it throws an error that {@link isUnreadable} accepts.
 */
export function configFromSchema1(payload: Uint8Array, diffIdOf: (blob: Digest) => string): Uint8Array {
  const entries = readEntries(payload);
  return configOf(
    entries,
    entries.filter(({ throwaway }) => !throwaway).map(({ blob }) => diffIdOf(blob)),
  );
}

/**
 * The layers of a schema 1 that hold something, base first, each once: those that must be unpacked to make a schema 2.
 * Empty where it cannot be read.
 */
export function layersOfSchema1(bytes: Uint8Array): readonly Digest[] {
  try {
    return [...new Set(readEntries(payloadOf(bytes)).flatMap(({ blob, throwaway }) => (throwaway ? [] : [blob])))];
  } catch (error) {
    if (isUnreadable(error)) return [];
    throw error;
  }
}

const PLATFORM = goStruct({ os: field(goString), architecture: field(goString) });

/** The platform in the top entry of a schema 1; null if there is none. */
export function platformOfSchema1(bytes: Uint8Array): Platform | null {
  try {
    const [top] = itemsOf(decodeGo(SCHEMA1, payloadOf(bytes)).history);
    const { os, architecture } =
      top === undefined ? PLATFORM.zero : decodeGo(PLATFORM, new TextEncoder().encode(top.v1Compatibility));
    return os === '' || architecture === '' ? null : { os, architecture };
  } catch (error) {
    if (isUnreadable(error)) return null;
    throw error;
  }
}

/**
 * Whether a schema 1 has an empty `name`. Docker 1.6 and 1.7 crash on it ("index out of range" in `verifyTrustedKeys`).
 * `skopeo copy --format v2s1` writes one into a `dir:` folder when its source is a schema 2.
 */
export function isNameless(bytes: Uint8Array): boolean {
  try {
    return decodeGo(SCHEMA1, payloadOf(bytes)).name === '';
  } catch (error) {
    if (isUnreadable(error)) return false;
    throw error;
  }
}

/** A history that Docker refuses. */
class HistoryError extends Error {}

/** Whether an error says that a schema 1 cannot be read. */
export function isUnreadable(error: unknown): error is Error {
  return (
    error instanceof HistoryError ||
    error instanceof GoTypeError ||
    error instanceof JsonSyntaxError ||
    error instanceof SignatureError
  );
}

/** The entries, base first, those left out that repeat the one below. */
function readEntries(payload: Uint8Array): readonly Entry[] {
  const { schemaVersion, fsLayers, history } = decodeGo(SCHEMA1, payload);
  const blobs = itemsOf(fsLayers);
  const texts = itemsOf(history);
  if (schemaVersion !== 1n) throw new HistoryError(`the schema 1 has schemaVersion ${String(schemaVersion)}`);
  if (blobs.length === 0 || blobs.length !== texts.length) {
    throw new HistoryError(
      `the schema 1 has ${String(blobs.length)} layers and ${String(texts.length)} history entries`,
    );
  }
  const all = texts.map(({ v1Compatibility }, index) => {
    const text = new TextEncoder().encode(v1Compatibility);
    const image = readText(index, () => decodeGo(V1_IMAGE, text));
    if (!/^[0-9a-f]{64}$/.test(image.id))
      throw new HistoryError(`history entry ${String(index)} has no id of 64 hexadecimal digits`);
    return { blob: blobs[index]?.blobSum ?? '', text, image };
  });
  return withoutRepeats(all)
    .map(({ blob, text, image }, index): Entry => {
      const digest = parseDigest(blob);
      if (digest === null)
        throw new HistoryError(`layer ${String(index)} of the schema 1 has no digest that can be read`);
      return { blob: digest, text, image, throwaway: readText(index, () => decodeGo(THROWAWAY, text)).throwaway };
    })
    .reverse();
}

/**
 * Leaves out each entry that has the id of the one below it, and checks that every other names the one below as its
 * parent (moby's `fixManifestLayers`). Newest first.
 */
function withoutRepeats<T extends { readonly image: V1Image }>(entries: readonly T[]): readonly T[] {
  const base = entries.at(-1)?.image;
  if (base?.parent !== '') throw new HistoryError('the base layer of the schema 1 has a parent');
  const seen = new Set<string>();
  return entries.filter(({ image }, index) => {
    const above = entries[index - 1]?.image;
    const below = entries[index + 1]?.image;
    if (image.id !== above?.id && seen.has(image.id))
      throw new HistoryError(`the id ${image.id} occurs more than once in the history`);
    seen.add(image.id);
    if (image.id === below?.id) return false;
    if (below !== undefined && image.parent !== below.id)
      throw new HistoryError(`history entry ${String(index)} does not have the one below as its parent`);
    return true;
  });
}

function configOf(entries: readonly Entry[], diffIds: readonly string[]): Uint8Array {
  const top = entries.at(-1);
  const text =
    top === undefined || !isOlder(top.image.docker_version, REENCODED_BELOW) ? top?.text : written(V1_IMAGE, top.image);
  const values = new Map<string, Uint8Array>();
  if (text !== undefined)
    for (const { key, value } of membersOf(text, checkJson(text)))
      values.set(key, text.subarray(value.start, value.end));
  for (const key of V1_ONLY) values.delete(key);
  values.set('rootfs', written(ROOT_FS, { type: 'layers', diff_ids: sliceOf(diffIds) }));
  values.set('history', written(goSlice(HISTORY), sliceOf(entries.map(historyOf))));
  const writer = new ByteWriter();
  writeGoObject(writer, values);
  const config = writer.bytes();
  checkConfig(config);
  return config;
}

/** What Docker checks before it stores an image. The text may have members that fold to `rootfs` or `history`. */
function checkConfig(config: Uint8Array): void {
  const { rootfs, history } = decodeGo(IMAGE, config);
  if (rootfs === null) throw new HistoryError('the config has no rootfs');
  if (itemsOf(history).filter(({ empty_layer }) => !empty_layer).length > itemsOf(rootfs.diff_ids).length) {
    throw new HistoryError('the history has more entries with a layer than there are layers');
  }
}

function historyOf({
  image: { created, author, container_config, comment },
  throwaway,
}: Entry): (typeof HISTORY)['zero'] {
  return { created, author, created_by: (container_config.Cmd ?? []).join(' '), comment, empty_layer: throwaway };
}

function written<T>(type: GoType<T>, value: T): Uint8Array {
  const writer = new ByteWriter();
  type.write(writer, value);
  return writer.bytes();
}

function readText<T>(index: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isUnreadable(error))
      throw new HistoryError(`history entry ${String(index)}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Whether a version is older (moby's `api/types/versions`): numbers between dots; what is no number counts as 0. */
function isOlder(version: string, than: string): boolean {
  const [left, right] = [version, than].map((text) => text.split('.').map(toNumber));
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index += 1) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** Go's `strconv.Atoi`, 0 for what it refuses. Beyond 2^53 only the order with small numbers counts. */
function toNumber(text: string): number {
  return /^[+-]?\d+$/.test(text) ? Number(text) : 0;
}
