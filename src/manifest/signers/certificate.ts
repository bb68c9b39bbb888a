/**
 * The names in an X.509 certificate (RFC 5280, encoded as DER), as the certificate claims them. Nothing is verified:
 * neither its signature nor who issued it.
 */

/** The claims of a certificate. Null where it makes none. */
export interface CertificateClaims {
  /** The subject's alternative name (an email address or a URI, as Fulcio writes it), otherwise its common name. */
  readonly subject: string | null;
  /** The OpenID Connect issuer (Fulcio's extension), otherwise the common name of the certificate's issuer. */
  readonly issuer: string | null;
}

/** Object identifiers, as DER encodes them, in hexadecimal. */
const OID = {
  commonName: '550403',
  subjectAltName: '551d11',
  // 1.3.6.1.4.1.57264.1: Fulcio's "oid-info.md".
  fulcioIssuer: '2b0601040183bf300101',
  fulcioIssuerV2: '2b0601040183bf300108',
} as const;

/** Tags of DER (X.690, section 8) and of general names (RFC 5280, section 4.2.1.6). */
const TAG = { sequence: 0x30, octets: 0x04, oid: 0x06, extensions: 0xa3, version: 0xa0, otherName: 0xa0 } as const;
const NAMES: ReadonlySet<number> = new Set([0x81, 0x82, 0x86]);

/** Longest claim, in characters. */
const CLAIM_MAX = 400;

/** Reads a certificate; null if it cannot be read. */
export function claimsOfCertificate(der: Uint8Array): CertificateClaims | null {
  try {
    const [certificate] = elementsOf(der);
    const [body] = elementsOf(bodyOf(certificate, TAG.sequence));
    const members = elementsOf(bodyOf(body, TAG.sequence));
    // After the optional version: serial number, algorithm, issuer, validity, subject, key.
    const at = members[0]?.tag === TAG.version ? 1 : 0;
    const extensions = extensionsOf(members);
    const issuer = extensions.get(OID.fulcioIssuerV2);
    const older = extensions.get(OID.fulcioIssuer);
    return {
      subject: alternativeName(extensions.get(OID.subjectAltName)) ?? commonName(members[at + 4]),
      issuer:
        (issuer === undefined ? null : claim(elementsOf(issuer)[0]?.body)) ??
        claim(older) ??
        commonName(members[at + 2]),
    };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

interface Element {
  readonly tag: number;
  readonly body: Uint8Array;
}

/** The elements of a DER value, one after the other. Throws RangeError if a length leads out of it. */
function elementsOf(bytes: Uint8Array): readonly Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = byteAt(bytes, at);
    const first = byteAt(bytes, at + 1);
    const more = first < 0x80 ? 0 : first & 0x7f;
    if (more > 3 || first === 0x80) throw new RangeError('a length of DER is too long');
    let length = more === 0 ? first : 0;
    for (let index = 0; index < more; index += 1) length = length * 256 + byteAt(bytes, at + 2 + index);
    const start = at + 2 + more;
    if (start + length > bytes.length) throw new RangeError('an element of DER is cut off');
    elements.push({ tag, body: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return elements;
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new RangeError('the DER value is cut off');
  return byte;
}

function bodyOf(element: Element | undefined, tag: number): Uint8Array {
  if (element?.tag !== tag) throw new RangeError('the certificate has another structure');
  return element.body;
}

/** The values of the extensions, by object identifier. */
function extensionsOf(members: readonly Element[]): ReadonlyMap<string, Uint8Array> {
  const [list] = elementsOf(members.find(({ tag }) => tag === TAG.extensions)?.body ?? new Uint8Array());
  const values = new Map<string, Uint8Array>();
  for (const extension of list === undefined ? [] : elementsOf(list.body)) {
    const parts = elementsOf(extension.body);
    const value = parts.find(({ tag }) => tag === TAG.octets);
    if (value !== undefined) values.set(hexOf(bodyOf(parts[0], TAG.oid)), value.body);
  }
  return values;
}

function alternativeName(value: Uint8Array | undefined): string | null {
  if (value === undefined) return null;
  const [list] = elementsOf(value);
  const names = list === undefined ? [] : elementsOf(list.body);
  const plain = names.find(({ tag }) => NAMES.has(tag));
  if (plain !== undefined) return claim(plain.body);
  // Fulcio writes user names as an "other name": an identifier, and a text in an explicit tag.
  const other = names.find(({ tag }) => tag === TAG.otherName);
  const wrapped = other === undefined ? undefined : elementsOf(other.body)[1];
  return wrapped === undefined ? null : claim(elementsOf(wrapped.body)[0]?.body);
}

function commonName(name: Element | undefined): string | null {
  for (const set of name === undefined ? [] : elementsOf(name.body))
    for (const pair of elementsOf(set.body)) {
      const [type, value] = elementsOf(pair.body);
      if (type !== undefined && hexOf(type.body) === OID.commonName) return claim(value?.body);
    }
  return null;
}

function claim(bytes: Uint8Array | undefined): string | null {
  if (bytes === undefined || bytes.length === 0) return null;
  return new TextDecoder().decode(bytes).slice(0, CLAIM_MAX);
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
