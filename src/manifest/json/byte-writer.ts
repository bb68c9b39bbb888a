import { utf8Length } from './json-bytes.ts';

const HEX = '0123456789abcdef';

/** Characters that are escaped between two checks of the capacity, so that the buffer stays below twice its content. */
const STRETCH = 4_096;

/** ASCII text up to this length is copied by a loop: a call of the encoder costs more. */
const SHORT = 128;

/** A growing buffer for JSON whose exact bytes matter. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  /** `room`: the expected number of bytes. */
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

  /** Appends bytes unchanged. */
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
   * Appends bytes as a JSON string, as Go before 1.22 does: it escapes `<`, `>`, `&`, U+2028 and U+2029, writes control
   * characters other than LF, CR and TAB as `\u00xx`, and each byte that is not UTF-8 as the six characters `\ufffd`.
   */
  stringOfBytes(bytes: Uint8Array): this {
    this.byte(0x22);
    for (let at = 0; at < bytes.length;) at = this.#escape(bytes, at, Math.min(at + STRETCH, bytes.length));
    return this.byte(0x22);
  }

  /**
   * Appends a checked JSON value, compacted as by Go's `json.Compact` with HTML escaping: no white space outside of
   * strings, `<`, `>`, `&`, U+2028 and U+2029 escaped, everything else unchanged.
   */
  compact(bytes: Uint8Array): this {
    let quoted = false;
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(at + STRETCH, bytes.length);
      // A chunk may exceed its end by one character or one escape sequence.
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

  /** The bytes so far, without a copy: valid until something is appended or {@link clear}ed. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Removes all bytes; the buffer is reused. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  /** Appends text if all its characters are `wanted`; otherwise changes nothing. The capacity must suffice. */
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

  /** Escapes the characters that begin before `end`; returns the position after the last of them. */
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

/** The escape sequence of each byte below 0x80 in a JSON string; null if it needs none. */
const ASCII_ESCAPES: readonly (Uint8Array | null)[] = Array.from({ length: 128 }, (_, byte) => {
  if (byte === 0x22) return ENCODER.encode('\\"');
  if (byte === 0x5c) return ENCODER.encode('\\\\');
  if (byte === 0x0a) return ENCODER.encode('\\n');
  if (byte === 0x0d) return ENCODER.encode('\\r');
  if (byte === 0x09) return ENCODER.encode('\\t');
  const plain = byte >= 0x20 && byte !== 0x3c && byte !== 0x3e && byte !== 0x26;
  return plain ? null : ENCODER.encode(`\\u00${HEX[byte >> 4] ?? ''}${HEX[byte & 15] ?? ''}`);
});

/** 1 for each byte that needs no escape: faster than {@link ASCII_ESCAPES}. */
const PLAIN = Uint8Array.from(ASCII_ESCAPES, (escape) => (escape === null ? 1 : 0));
const ANY = new Uint8Array(128).fill(1);

const REPLACEMENT = ENCODER.encode('\\ufffd');
const LINE_SEPARATOR = ENCODER.encode('\\u2028');
const PARAGRAPH_SEPARATOR = ENCODER.encode('\\u2029');

/** Copies bytes to a position; returns the position after them. */
function put(out: Uint8Array, at: number, bytes: Uint8Array | null | undefined): number {
  if (bytes === null || bytes === undefined) return at;
  for (let index = 0; index < bytes.length; index += 1) out[at + index] = bytes[index] ?? 0;
  return at + bytes.length;
}

function isLineSeparator(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xe2 && bytes[at + 1] === 0x80 && (bytes[at + 2] === 0xa8 || bytes[at + 2] === 0xa9);
}
