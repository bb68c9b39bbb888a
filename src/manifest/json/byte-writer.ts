import { utf8Length } from './json-bytes.ts';

const HEX = '0123456789abcdef';

/** How much of a string is escaped before it is looked whether there is room again: whatever the input, less than twice what is written is ever kept. */
const STRETCH = 4_096;

/** Text up to this length is written by hand where it is ASCII: calling the encoder costs more than the text. */
const SHORT = 128;

/** Bytes put together in one growing buffer; what JSON is written with where bytes matter. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  /** `room`: how many bytes are expected. */
  constructor(room = 256) {
    this.#bytes = new Uint8Array(room);
  }

  /** Appends text as UTF-8. */
  text(text: string): this {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    this.#reserve(text.length * 3);
    if (text.length <= SHORT && this.#ascii(text, ANY)) return this;
    this.#length += ENCODER.encodeInto(text, this.#bytes.subarray(this.#length)).written;
    return this;
  }

  /** Appends one byte. */
  byte(byte: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
    return this;
  }

  /** Appends bytes as they are. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Appends a decoded string as a JSON string, quotes included. */
  string(text: string): this {
    if (text.length > SHORT) return this.stringOfBytes(ENCODER.encode(text));
    const before = this.#length;
    this.byte(0x22).#reserve(text.length + 1);
    if (this.#ascii(text, PLAIN)) return this.byte(0x22);
    this.#length = before;
    return this.stringOfBytes(ENCODER.encode(text));
  }

  /**
   * Appends bytes as a JSON string, as Go before 1.22 writes one: `<`, `>`, `&`, U+2028 and U+2029 escaped, control characters but LF, CR and TAB as `\u00xx`,
   * a byte that is not UTF-8 as the six characters `\ufffd`.
   */
  stringOfBytes(bytes: Uint8Array): this {
    this.byte(0x22);
    for (let at = 0; at < bytes.length;) at = this.#escape(bytes, at, Math.min(at + STRETCH, bytes.length));
    return this.byte(0x22);
  }

  /** Appends a checked raw JSON value compactly, as Go's `json.Compact` with HTML escaping: white space outside strings gone, `<`, `>`, `&`, U+2028/9 escaped, all else as it is. */
  compact(bytes: Uint8Array): this {
    let quoted = false;
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(at + STRETCH, bytes.length);
      // A stretch may run over its end by one character, or by what stands behind a backslash.
      this.#reserve((end - at + 3) * 6);
      const out = this.#bytes;
      let to = this.#length;
      for (; at < end; at += 1) {
        const byte = bytes[at] ?? 0;
        if (!quoted && (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09)) continue;
        if (byte === 0x22) quoted = !quoted;
        if (byte === 0x3c || byte === 0x3e || byte === 0x26) to = put(out, to, ASCII_ESCAPES[byte]);
        else if (byte === 0xe2 && isLineSeparator(bytes, at)) {
          to = put(out, to, bytes[at + 2] === 0xa8 ? LINE_SEPARATOR : PARAGRAPH_SEPARATOR);
          at += 2;
        } else {
          out[to++] = byte;
          if (quoted && byte === 0x5c) out[to++] = bytes[++at] ?? 0;
        }
      }
      this.#length = to;
    }
    return this;
  }

  /** The bytes so far, as a copy. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** The bytes so far, as they lie in the buffer: good until something is appended or {@link clear}ed. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Begins anew in the same buffer. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  /** Appends text for which there is room, if all its characters are `wanted`; else leaves everything as it is. */
  #ascii(text: string, wanted: Uint8Array): boolean {
    const out = this.#bytes;
    const from = this.#length;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (wanted[code] !== 1) return false;
      out[from + at] = code;
    }
    this.#length = from + text.length;
    return true;
  }

  /** Escapes the characters that begin before `end`; gives the place behind the last of them. */
  #escape(bytes: Uint8Array, from: number, end: number): number {
    this.#reserve((end - from + 3) * 6);
    const out = this.#bytes;
    let to = this.#length;
    let at = from;
    while (at < end) {
      const byte = bytes[at] ?? 0;
      if (byte < 0x80) {
        if (PLAIN[byte] === 1) out[to++] = byte;
        else to = put(out, to, ASCII_ESCAPES[byte]);
        at += 1;
        continue;
      }
      const length = utf8Length(bytes, at);
      if (length === 0) {
        to = put(out, to, REPLACEMENT);
        at += 1;
      } else if (isLineSeparator(bytes, at)) {
        to = put(out, to, bytes[at + 2] === 0xa8 ? LINE_SEPARATOR : PARAGRAPH_SEPARATOR);
        at += 3;
      } else for (let index = 0; index < length; index += 1) out[to++] = bytes[at++] ?? 0;
    }
    this.#length = to;
    return at;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

const ENCODER = new TextEncoder();

/** What stands for each byte below 0x80 in a JSON string; null where it stands for itself. */
const ASCII_ESCAPES: readonly (Uint8Array | null)[] = Array.from({ length: 128 }, (_, byte) => {
  if (byte === 0x22) return ENCODER.encode('\\"');
  if (byte === 0x5c) return ENCODER.encode('\\\\');
  if (byte === 0x0a) return ENCODER.encode('\\n');
  if (byte === 0x0d) return ENCODER.encode('\\r');
  if (byte === 0x09) return ENCODER.encode('\\t');
  const plain = byte >= 0x20 && byte !== 0x3c && byte !== 0x3e && byte !== 0x26;
  return plain ? null : ENCODER.encode(`\\u00${HEX[byte >> 4] ?? ''}${HEX[byte & 15] ?? ''}`);
});

/** 1 for each byte that stands for itself: quicker to look at than {@link ASCII_ESCAPES}. */
const PLAIN = Uint8Array.from(ASCII_ESCAPES, (escape) => (escape === null ? 1 : 0));
const ANY = new Uint8Array(128).fill(1);

const REPLACEMENT = ENCODER.encode('\\ufffd');
const LINE_SEPARATOR = ENCODER.encode('\\u2028');
const PARAGRAPH_SEPARATOR = ENCODER.encode('\\u2029');

/** Puts some bytes at a place; gives the place behind them. */
function put(out: Uint8Array, at: number, bytes: Uint8Array | null | undefined): number {
  if (bytes === null || bytes === undefined) return at;
  for (let index = 0; index < bytes.length; index += 1) out[at + index] = bytes[index] ?? 0;
  return at + bytes.length;
}

function isLineSeparator(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xe2 && bytes[at + 1] === 0x80 && (bytes[at + 2] === 0xa8 || bytes[at + 2] === 0xa9);
}
