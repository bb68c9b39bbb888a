/**
 * Docker image manifest v2, schema 1, made from an image config: byte for byte as docker/distribution 2.8's builder
 * makes it.
 *
 * Schema 1 has one entry for each history entry, newest first, each with the JSON of the v1 API (`v1Compatibility`).
 * IDs are reproducible, because engines up to 1.7 trust an ID that they know. The payload has an indentation of three
 * spaces, and its sha256 is the digest of the manifest.
 */
import { hash } from 'node:crypto';
import type { Reason } from '../registry/errors.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import { ByteWriter } from './json/byte-writer.ts';
import { writeGoObject } from './json/go-object.ts';
import { HISTORY_MAX, LAYERS_MAX } from './image.ts';
import { type HistoryEntry, type ImageConfig, ImageConfigError, readImageConfig } from './image-config.ts';
import { sha256Hex } from './signing/sha256.ts';

/**
 * The layer for history entries without one: gzip of 1,024 zero bytes, as docker made it. No zlib makes these 32 bytes
 * again.
 */
export const EMPTY_LAYER = {
  digest: 'sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4',
  bytes: Uint8Array.from(atob('H4sIAAAJbogA/2IYBaNgFIxYAAgAAP//Lq+17wAEAAA='), (char) => char.charCodeAt(0)),
} as const;

/** The input for a schema 1 manifest. */
export interface Schema1Input {
  /** The config blob's exact bytes. */
  readonly config: Uint8Array;
  /** The layers' digests in the order of the schema 2 manifest, base first. */
  readonly layers: readonly string[];
  readonly name: RepositoryName | string;
  readonly tag: Tag | string;
}

/** A payload, or why there is none. */
export type Schema1Result =
  | {
      readonly kind: 'payload';
      readonly payload: Uint8Array;
      readonly entries: number;
      readonly needsEmptyLayer: boolean;
    }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly explanation: string };

/**
 * Makes the schema 1 payload of an image. `compat` decides as docker/distribution 2.8 does. `strict` also refuses what
 * would give a broken or ambiguous image: layers without a history entry, repeated members, lax times, a parent in the
 * only layer.
 */
export function buildSchema1(input: Schema1Input, mode: 'strict' | 'compat'): Schema1Result {
  const badLayer = input.layers.find((layer) => !LAYER_DIGEST.test(layer));
  if (badLayer !== undefined)
    return refused(
      'schema1-layer-digest',
      `layer digest ${JSON.stringify(badLayer)} is not sha256, sha384 or sha512 in lower case`,
    );
  if (input.layers.length > LAYERS_MAX)
    return refused('schema1-too-large', `the image has ${String(input.layers.length)} layers; ${MOST} are converted`);
  let config: ImageConfig;
  try {
    config = readImageConfig(input.config);
  } catch (error) {
    if (error instanceof ImageConfigError) return refused('schema1-config-invalid', error.message);
    throw error;
  }
  const { history, rootfs } = config;
  if (history.length === 0) return refused('schema1-no-history', 'the image config has no history');
  if (history.length > HISTORY_MAX)
    return refused('schema1-too-large', `the history has ${String(history.length)} entries; ${MOST} are converted`);
  if (rootfs === null) return refused('schema1-config-invalid', 'the image config has no rootfs');
  if (rootfs.layers !== input.layers.length) {
    return refused(
      'schema1-history-mismatch',
      `rootfs names ${String(rootfs.layers)} layers, the manifest ${String(input.layers.length)}`,
    );
  }
  const real = history.filter(({ emptyLayer }) => !emptyLayer).length;
  if (real > input.layers.length) {
    return refused(
      'schema1-history-mismatch',
      `history has ${String(real)} entries with a layer, the manifest ${String(input.layers.length)} layers`,
    );
  }
  if (mode === 'strict') {
    if (real < input.layers.length) {
      return refused(
        'schema1-history-mismatch',
        `history has only ${String(real)} entries for ${String(input.layers.length)} layers; the others would be lost`,
      );
    }
    const [ambiguity] = config.ambiguities;
    if (ambiguity !== undefined) return refused('schema1-config-ambiguous', ambiguity);
    if (history.length === 1 && config.members.has('parent'))
      return refused('schema1-base-has-parent', 'the config of a one-entry image has a parent of its own');
  }
  return {
    kind: 'payload',
    payload: payloadOf(input, config),
    entries: history.length,
    needsEmptyLayer: real < history.length,
  };
}

const MOST = `at most ${String(HISTORY_MAX)}`;

const LAYER_DIGEST = /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/;

function refused(reason: Reason, explanation: string): Schema1Result {
  return { kind: 'refused', reason, explanation };
}

function payloadOf({ layers, name, tag }: Schema1Input, config: ImageConfig): Uint8Array {
  const { history } = config;
  const entries = entriesOf(config, layers);
  const writer = new ByteWriter(config.bytes.length * 2.5);
  writer.text('{\n   "schemaVersion": 1,\n   "name": ').string(name).text(',\n   "tag": ').string(tag);
  writer.text(',\n   "architecture": ').string(config.architecture).text(',\n   "fsLayers": [');
  entries.forEach(({ blobSum }, index) => {
    if (index > 0) writer.text(',');
    writer.text('\n      {\n         "blobSum": ').string(blobSum).text('\n      }');
  });
  writer.text('\n   ],\n   "history": [');
  // One buffer for all texts, of which there is one for each entry.
  const text = new ByteWriter();
  entries.forEach(({ entry, id, parent }, index) => {
    if (index > 0) writer.text(',');
    text.clear();
    if (index === 0) topText(text, config, entry, { id, parent });
    else lowerText(text, entry, { id, parent: index === history.length - 1 ? baseParentOf(config) : parent });
    writer.text('\n      {\n         "v1Compatibility": ').stringOfBytes(text.view()).text('\n      }');
  });
  return writer.text('\n   ]\n}').bytes();
}

/** The schema 1 entry of a history entry, top first. */
interface Schema1Entry {
  readonly entry: HistoryEntry;
  readonly blobSum: string;
  readonly id: string;
  /** Empty for the base. */
  readonly parent: string;
}

function entriesOf({ history, bytes }: ImageConfig, layers: readonly string[]): readonly Schema1Entry[] {
  const seed = new ByteWriter();
  let layer = 0;
  let parent = '';
  const entries = history.map((entry, index) => {
    const blobSum = entry.emptyLayer ? EMPTY_LAYER.digest : (layers[layer++] ?? '');
    const hashed = seed
      .clear()
      .text(blobSum.slice(blobSum.indexOf(':') + 1))
      .text(' ')
      .text(parent);
    if (index === history.length - 1) hashed.text(' ').raw(bytes);
    const id = sha256Hex(hashed.view());
    const made = { entry, blobSum, id, parent };
    parent = id;
    return made;
  });
  return entries.reverse();
}

/**
 * Windows: the name of the base layer takes the place of a parent in the text, but not in the hash. Empty for others.
 */
function baseParentOf({ rootfs }: ImageConfig): string {
  const base = rootfs?.baseLayer ?? '';
  return base === '' ? '' : hash('sha384', new TextEncoder().encode(base), 'hex').slice(0, 64);
}

function lowerText(writer: ByteWriter, entry: HistoryEntry, { id, parent }: Pick<Schema1Entry, 'id' | 'parent'>): void {
  writer.text('{"id":').string(id);
  if (parent !== '') writer.text(',"parent":').string(parent);
  if (entry.comment !== '') writer.text(',"comment":').string(entry.comment);
  writer
    .text(',"created":')
    .string(entry.created)
    .text(',"container_config":{"Cmd":[')
    .string(entry.createdBy)
    .text(']}');
  if (entry.author !== '') writer.text(',"author":').string(entry.author);
  if (entry.emptyLayer) writer.text(',"throwaway":true');
  writer.text('}');
}

function topText(
  writer: ByteWriter,
  config: ImageConfig,
  entry: HistoryEntry,
  { id, parent }: Pick<Schema1Entry, 'id' | 'parent'>,
): void {
  const values = new Map<string, Uint8Array>();
  for (const [key, { start, end }] of config.members) values.set(key, config.bytes.subarray(start, end));
  values.delete('rootfs');
  values.delete('history');
  values.set('id', new ByteWriter().string(id).bytes());
  if (parent !== '') values.set('parent', new ByteWriter().string(parent).bytes());
  if (entry.emptyLayer) values.set('throwaway', new ByteWriter().text('true').bytes());
  writeGoObject(writer, values);
}
