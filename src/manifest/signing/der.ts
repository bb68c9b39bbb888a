/** Just enough ASN.1 DER (X.690) to read key files and certificates and to write public keys. */

/** Tags that are used here. */
export const DER = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
} as const;

/** One element: its tag, what it contains, and its whole encoding. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

/** Bytes that are not DER. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** Reads elements that stand side by side. Throws {@link DerError}. */
export function readDer(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at;
    const tag = bytes[at++] ?? 0;
    let length = bytes[at++] ?? 0;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets === 0 || octets > 4 || at + octets > bytes.length) throw new DerError('bad length');
      length = 0;
      for (let index = 0; index < octets; index += 1) length = length * 256 + (bytes[at++] ?? 0);
    }
    if (at + length > bytes.length) throw new DerError('cut short');
    elements.push({ tag, content: bytes.subarray(at, at + length), whole: bytes.subarray(start, at + length) });
    at += length;
  }
  return elements;
}

/** Reads the elements inside one that must have the tag. Throws {@link DerError}. */
export function readDerInside(element: DerElement | undefined, tag: number): DerElement[] {
  if (element?.tag !== tag) throw new DerError(`expected tag ${String(tag)}`);
  return readDer(element.content);
}

/** Writes one element. */
export function writeDer(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  const size: number[] = [];
  if (length < 0x80) size.push(length);
  else {
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) size.unshift(rest & 0xff);
    size.unshift(0x80 | size.length);
  }
  const bytes = new Uint8Array(1 + size.length + length);
  bytes.set([tag, ...size]);
  let at = 1 + size.length;
  for (const content of contents) {
    bytes.set(content, at);
    at += content.length;
  }
  return bytes;
}

/** Writes a non-negative integer given in big-endian bytes: no leading zeros but the one that keeps it positive. */
export function writeDerInteger(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const digits = bytes.subarray(start);
  return (digits[0] ?? 0) & 0x80 ? writeDer(DER.integer, Uint8Array.of(0), digits) : writeDer(DER.integer, digits);
}

/** An integer's bytes without the leading zero that DER may add. */
export function derIntegerBytes(element: DerElement | undefined): Uint8Array {
  if (element?.tag !== DER.integer) throw new DerError('expected an integer');
  let start = 0;
  while (start < element.content.length - 1 && element.content[start] === 0) start += 1;
  return element.content.subarray(start);
}

/** Object identifiers, as the content bytes of an OID element in hex. */
export const OIDS = {
  ecPublicKey: '2a8648ce3d0201',
  rsaEncryption: '2a864886f70d010101',
  'P-256': '2a8648ce3d030107',
  'P-384': '2b81040022',
  'P-521': '2b81040023',
} as const;
