/**
 * An image config as docker/distribution reads it (Go's `encoding/json`): names match in any case, repeated members are
 * applied in document order, and `null` changes nothing but lists and objects. Config bytes are never parsed and
 * printed again; copied values stay spans.
 */
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
import { readGoTime, ZERO_TIME } from './json/go-time.ts';
import { foldName } from './json/go-types.ts';
import { shortText } from './json/short-text.ts';

/** One entry of the history, base first. */
export interface HistoryEntry {
  /** RFC 3339, as Go writes it. */
  readonly created: string;
  readonly author: string;
  readonly createdBy: string;
  readonly comment: string;
  readonly emptyLayer: boolean;
}

/** What the conversion needs of a config. */
export interface ImageConfig {
  /** The config's exact bytes. */
  readonly bytes: Uint8Array;
  readonly architecture: string;
  /** Null where there is no `rootfs`. */
  readonly rootfs: { readonly layers: number; readonly baseLayer: string } | null;
  readonly history: readonly HistoryEntry[];
  /** Top-level members, decoded key → raw value; of a repeated key the last. */
  readonly members: ReadonlyMap<string, Span>;
  /**
   * What other readers would read differently: repeated known members, lax times. Empty for configs that real tools
   * write.
   */
  readonly ambiguities: readonly string[];
}

/** A config that cannot be read. */
export class ImageConfigError extends Error {
  override readonly name = 'ImageConfigError';
  readonly code: 'SYNTAX' | 'TYPE';

  constructor(code: ImageConfigError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Keeps a byte order mark, which `TextDecoder` drops by default. */
const RAW = new TextDecoder('utf-8', { ignoreBOM: true });

interface MutableEntry {
  created: string;
  author: string;
  createdBy: string;
  comment: string;
  emptyLayer: boolean;
}

/** Reads a config. `null` as the whole document reads as an empty config. Throws {@link ImageConfigError}. */
export function readImageConfig(bytes: Uint8Array): ImageConfig {
  let document: Span;
  try {
    document = checkJson(bytes);
  } catch (error) {
    if (error instanceof JsonSyntaxError)
      throw new ImageConfigError('SYNTAX', `the image config is not JSON: ${error.message}`, error);
    throw error;
  }
  const kind = kindOf(bytes, document);
  if (kind !== 'object' && kind !== 'null')
    throw new ImageConfigError('TYPE', `the image config is not an object but ${kind}`);
  return kind === 'null' ? new Reader(bytes).config([]) : new Reader(bytes).config(membersOf(bytes, document));
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #ambiguities: string[] = [];
  #architecture = '';
  #rootfs: { layers: number; baseLayer: string } | null = null;
  // Go decodes a repeated list on top of the previous elements, up to its capacity. So elements beyond `length` are
  // kept until the list has to grow.
  #entries: MutableEntry[] = [];
  #length = 0;
  #room = 0;
  /** The history entry that is being read; null outside the history. */
  #entry: number | null = null;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  config(members: readonly Member[]): ImageConfig {
    const raw = new Map<string, Span>();
    this.#noteRepeats(members, ['architecture', 'history', 'rootfs'], 'the config');
    for (const { key, value } of members) {
      raw.set(key, value);
      switch (foldName(key)) {
        case 'architecture':
          this.#architecture = this.#string(value, 'architecture') ?? this.#architecture;
          break;
        case 'history':
          this.#readHistory(value);
          break;
        case 'rootfs':
          this.#readRootfs(value);
          break;
      }
    }
    if (new Set(members.map(({ key }) => key)).size !== members.length)
      this.#ambiguities.push('the config repeats a member');
    return {
      bytes: this.#bytes,
      architecture: this.#architecture,
      rootfs: this.#rootfs,
      history: this.#entries.slice(0, this.#length),
      members: raw,
      ambiguities: this.#ambiguities,
    };
  }

  #readRootfs(value: Span): void {
    if (this.#isNull(value)) {
      this.#rootfs = null;
      return;
    }
    const rootfs = (this.#rootfs ??= { layers: 0, baseLayer: '' });
    const members = this.#members(value, 'rootfs');
    this.#noteRepeats(members, ['type', 'diff_ids', 'base_layer'], 'rootfs');
    for (const { key, value: member } of members) {
      switch (foldName(key)) {
        case 'type':
          this.#checkString(member, 'rootfs.type');
          break;
        case 'base_layer':
          rootfs.baseLayer = this.#string(member, 'rootfs.base_layer') ?? rootfs.baseLayer;
          break;
        case 'diff_ids': {
          const ids = this.#isNull(member) ? [] : this.#elements(member, 'rootfs.diff_ids');
          for (const id of ids) this.#checkString(id, 'rootfs.diff_ids');
          rootfs.layers = ids.length;
          break;
        }
      }
    }
  }

  #readHistory(value: Span): void {
    const elements = this.#isNull(value) ? [] : this.#elements(value, 'history');
    if (elements.length === 0) {
      this.#entries = [];
      this.#length = this.#room = 0;
      return;
    }
    let length = this.#length;
    elements.forEach((element, index) => {
      if (index >= this.#room) {
        this.#room = Math.max(4, this.#room + (this.#room >> 1));
        this.#entries.length = Math.min(this.#entries.length, length);
      }
      length = Math.max(length, index + 1);
      const entry = (this.#entries[index] ??= {
        created: ZERO_TIME,
        author: '',
        createdBy: '',
        comment: '',
        emptyLayer: false,
      });
      this.#entry = index;
      if (!this.#isNull(element)) this.#readEntry(element, entry);
    });
    this.#entry = null;
    this.#length = elements.length;
  }

  #readEntry(value: Span, entry: MutableEntry): void {
    const members = this.#members(value, '');
    this.#noteRepeats(members, ENTRY_MEMBERS, '');
    for (const { key, value: member } of members) {
      switch (foldName(key)) {
        case 'created':
          entry.created = this.#time(member, 'created') ?? entry.created;
          break;
        case 'author':
          entry.author = this.#string(member, 'author') ?? entry.author;
          break;
        case 'created_by':
          entry.createdBy = this.#string(member, 'created_by') ?? entry.createdBy;
          break;
        case 'comment':
          entry.comment = this.#string(member, 'comment') ?? entry.comment;
          break;
        case 'empty_layer': {
          const kind = kindOf(this.#bytes, member);
          if (kind === 'true' || kind === 'false') entry.emptyLayer = kind === 'true';
          else if (kind !== 'null') throw this.#wrongType('empty_layer', 'a boolean', kind);
          break;
        }
      }
    }
  }

  #time(value: Span, where: string): string | null {
    const kind = kindOf(this.#bytes, value);
    if (kind === 'null') return null;
    if (kind !== 'string') throw this.#wrongType(where, 'a time', kind);
    // The raw token: Go does not resolve escapes in a time.
    const [start, end] = [value.start + 1, value.end - 1];
    const text = shortText(this.#bytes, start, end) ?? RAW.decode(this.#bytes.subarray(start, end));
    const time = readGoTime(text);
    if (time === null)
      throw new ImageConfigError(
        'TYPE',
        `${this.#place(where)} is not an RFC 3339 time: ${JSON.stringify(text.slice(0, 80))}`,
      );
    if (time.lax) this.#ambiguities.push(`${this.#place(where)} is a time that only some programs read: ${text}`);
    return time.text;
  }

  #string(value: Span, where: string): string | null {
    return this.#checkString(value, where) ? decodeString(this.#bytes, value) : null;
  }

  /** Whether there is a string; not for `null`, and anything else is an error. */
  #checkString(value: Span, where: string): boolean {
    const kind = kindOf(this.#bytes, value);
    if (kind !== 'string' && kind !== 'null') throw this.#wrongType(where, 'a string', kind);
    return kind === 'string';
  }

  #members(value: Span, where: string): Member[] {
    const kind = kindOf(this.#bytes, value);
    if (kind !== 'object') throw this.#wrongType(where, 'an object', kind);
    return membersOf(this.#bytes, value);
  }

  #elements(value: Span, where: string): Span[] {
    const kind = kindOf(this.#bytes, value);
    if (kind !== 'array') throw this.#wrongType(where, 'an array', kind);
    return elementsOf(this.#bytes, value);
  }

  #isNull(value: Span): boolean {
    return kindOf(this.#bytes, value) === 'null';
  }

  #noteRepeats(members: readonly Member[], known: readonly string[], where: string): void {
    const names = members.map(({ key }) => foldName(key));
    for (const name of known) {
      if (names.indexOf(name) !== names.lastIndexOf(name))
        this.#ambiguities.push(`${this.#place(where)} has ${name} more than once`);
    }
  }

  #wrongType(where: string, expected: string, kind: string): ImageConfigError {
    return new ImageConfigError('TYPE', `${this.#place(where)} of the image config is not ${expected} but ${kind}`);
  }

  /** What is being read, in words. Only made for error messages: a history may have thousands of entries. */
  #place(where: string): string {
    if (this.#entry === null) return where;
    return `history[${String(this.#entry)}]${where === '' ? '' : `.${where}`}`;
  }
}

const ENTRY_MEMBERS = ['created', 'author', 'created_by', 'comment', 'empty_layer'] as const;
