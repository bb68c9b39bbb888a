/**
 * Schema 2 made from a schema 1 that stands alone: a config rebuilt from the `v1Compatibility` texts, as Docker rebuilds it when it pulls a schema 1 (the same bytes,
 * hence the same image ID), around the same layers.
 */
import type { Descriptor } from '../registry/descriptor.ts';
import { type Digest, parseDigest } from '../registry/digest.ts';
import type { Reason } from '../registry/errors.ts';
import { MEDIA_TYPES } from '../registry/media-type.ts';
import type { Platform } from '../registry/platform.ts';
import { ByteWriter } from './json/byte-writer.ts';
import { writeGoObject } from './json/go-object.ts';
import { readGoTime, ZERO_TIME } from './json/go-time.ts';
import type { Manifest, UnpackedLayer } from './image.ts';
import {
  checkJson,
  decodeString,
  elementsOf,
  JsonSyntaxError,
  kindOf,
  type Member,
  membersOf,
  type Span,
} from './json/json-bytes.ts';
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

/** One entry of a schema 1, base first. */
interface Entry {
  readonly blob: Digest;
  readonly text: Uint8Array;
  readonly members: readonly Member[];
  readonly throwaway: boolean;
}

/** Members of a v1Compatibility that belong to the v1 API and not to the image (docker/docker, `image/v1`). */
const V1_ONLY: ReadonlySet<string> = new Set(['id', 'parent', 'Size', 'parent_id', 'layer_id', 'throwaway']);

const LAYER_TYPE = {
  gzip: MEDIA_TYPES.dockerLayerGzip,
  none: MEDIA_TYPES.dockerLayerTar,
  zstd: MEDIA_TYPES.dockerLayerZstd,
} as const;

/** Makes a schema 2. `unpacked` must tell of every layer that is not throwaway. */
export function fromSchema1(
  schema1: Pick<Manifest, 'bytes'>,
  unpacked: ReadonlyMap<Digest, UnpackedLayer>,
): FromSchema1Result {
  let entries: readonly Entry[];
  try {
    entries = readEntries(payloadOf(schema1.bytes));
  } catch (error) {
    if (!(error instanceof HistoryError || error instanceof JsonSyntaxError || error instanceof SignatureError))
      throw error;
    return { kind: 'refused', reason: 'schema2-history-mismatch', explanation: error.message };
  }
  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const { blob, throwaway } of entries) {
    if (throwaway) continue;
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
}

/** The layers of a schema 1 that hold something, base first, each once: those that must be unpacked to make a schema 2. Empty where it cannot be read. */
export function layersOfSchema1(bytes: Uint8Array): readonly Digest[] {
  try {
    return [...new Set(readEntries(payloadOf(bytes)).flatMap(({ blob, throwaway }) => (throwaway ? [] : [blob])))];
  } catch (error) {
    if (error instanceof HistoryError || error instanceof JsonSyntaxError || error instanceof SignatureError) return [];
    throw error;
  }
}

/** The platform that the top entry of a schema 1 tells; null if it does not. */
export function platformOfSchema1(bytes: Uint8Array): Platform | null {
  try {
    const top = readEntries(payloadOf(bytes)).at(-1);
    const text = (key: string): string | null => (top === undefined ? null : textOf(top, key));
    const [os, architecture] = [text('os'), text('architecture')];
    return os === null || os === '' || architecture === null || architecture === '' ? null : { os, architecture };
  } catch (error) {
    if (error instanceof HistoryError || error instanceof JsonSyntaxError || error instanceof SignatureError)
      return null;
    throw error;
  }
}

/** A history that cannot be understood. */
class HistoryError extends Error {}

function readEntries(payload: Uint8Array): readonly Entry[] {
  const root = checkJson(payload);
  if (kindOf(payload, root) !== 'object') throw new HistoryError('the schema 1 is not an object');
  const members = membersOf(payload, root);
  const blobs = listAt(payload, members, 'fsLayers').map((layer) => parseDigest(stringAt(payload, layer, 'blobSum')));
  const texts = listAt(payload, members, 'history').map((entry) =>
    new TextEncoder().encode(stringAt(payload, entry, 'v1Compatibility')),
  );
  if (blobs.length === 0 || blobs.length !== texts.length) {
    throw new HistoryError(
      `the schema 1 has ${String(blobs.length)} layers and ${String(texts.length)} history entries`,
    );
  }
  const entries = blobs.map((blob, index): Entry => {
    const text = texts[index] ?? new Uint8Array();
    if (blob === null) throw new HistoryError(`layer ${String(index)} of the schema 1 has no digest that can be read`);
    const value = checkJson(text);
    if (kindOf(text, value) !== 'object') throw new HistoryError(`history entry ${String(index)} is not an object`);
    const own = membersOf(text, value);
    const throwaway = own.findLast(({ key }) => key === 'throwaway');
    return { blob, text, members: own, throwaway: throwaway !== undefined && kindOf(text, throwaway.value) === 'true' };
  });
  return entries.reverse();
}

function configOf(entries: readonly Entry[], diffIds: readonly string[]): Uint8Array {
  const top = entries.at(-1);
  const values = new Map<string, Uint8Array>();
  if (top !== undefined) {
    for (const { key, value } of top.members)
      if (!V1_ONLY.has(key)) values.set(key, top.text.subarray(value.start, value.end));
  }
  values.set('rootfs', new TextEncoder().encode(JSON.stringify({ type: 'layers', diff_ids: diffIds })));
  values.set('history', historyOf(entries));
  const writer = new ByteWriter();
  writeGoObject(writer, values);
  return writer.bytes();
}

function historyOf(entries: readonly Entry[]): Uint8Array {
  const writer = new ByteWriter().text('[');
  entries.forEach((entry, index) => {
    const created = readGoTime(textOf(entry, 'created') ?? '')?.text ?? ZERO_TIME;
    writer.text(index === 0 ? '{"created":' : ',{"created":').string(created);
    const author = textOf(entry, 'author') ?? '';
    if (author !== '') writer.text(',"author":').string(author);
    const command = commandOf(entry);
    if (command !== '') writer.text(',"created_by":').string(command);
    const comment = textOf(entry, 'comment') ?? '';
    if (comment !== '') writer.text(',"comment":').string(comment);
    if (entry.throwaway) writer.text(',"empty_layer":true');
    writer.text('}');
  });
  return writer.text(']').bytes();
}

/** The command that made a layer: `container_config.Cmd`, its words joined by spaces. */
function commandOf({ text, members }: Entry): string {
  const container = members.findLast(({ key }) => key === 'container_config');
  if (container === undefined || kindOf(text, container.value) !== 'object') return '';
  const command = membersOf(text, container.value).findLast(({ key }) => key === 'Cmd');
  if (command === undefined || kindOf(text, command.value) !== 'array') return '';
  return elementsOf(text, command.value)
    .filter((word) => kindOf(text, word) === 'string')
    .map((word) => decodeString(text, word))
    .join(' ');
}

function textOf({ text, members }: Entry, key: string): string | null {
  const member = members.findLast((one) => one.key === key);
  return member !== undefined && kindOf(text, member.value) === 'string' ? decodeString(text, member.value) : null;
}

function listAt(bytes: Uint8Array, members: readonly Member[], key: string): Span[] {
  const member = members.findLast((one) => one.key === key);
  if (member === undefined || kindOf(bytes, member.value) !== 'array')
    throw new HistoryError(`the schema 1 has no list ${key}`);
  return elementsOf(bytes, member.value);
}

function stringAt(bytes: Uint8Array, object: Span, key: string): string {
  const member =
    kindOf(bytes, object) === 'object' ? membersOf(bytes, object).findLast((one) => one.key === key) : undefined;
  if (member === undefined || kindOf(bytes, member.value) !== 'string')
    throw new HistoryError(`an entry of the schema 1 has no ${key}`);
  return decodeString(bytes, member.value);
}
