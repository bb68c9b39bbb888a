/**
 * libtrust's "pretty JWS": a JSON document that contains its signatures. Signed schema 1 manifests have this format.
 *
 * The payload is the document without `signatures`: its first `formatLength` bytes and `formatTail`, both given in the
 * `protected` header of each signature. No signature covers the bytes after the first `formatLength` bytes, so only the
 * payload may be read.
 */
import { sign, verify } from 'node:crypto';
import { fromBase64, fromBase64Url, toBase64Url } from '../../registry/base64.ts';
import type { Signer } from '../image.ts';
import {
  checkJson,
  elementsOf,
  JsonSyntaxError,
  kindOf,
  type Member,
  membersOf,
  type Span,
} from '../json/json-bytes.ts';
import { signEcdsa } from './ecdsa.ts';
import {
  CURVES,
  KeyError,
  type PrivateKey,
  type PublicKey,
  publicJwk,
  readCertificateKey,
  readPublicJwk,
} from './key.ts';

/** A signed document that is not accepted. The message says why. */
export class SignatureError extends Error {
  override readonly name = 'SignatureError';
}

const encoder = new TextEncoder();

/** Keeps a byte order mark, so that it is a JSON syntax error. */
const RAW = new TextDecoder('utf-8', { ignoreBOM: true });

/** Makes a signer. Its nonces follow RFC 6979: the same payload, time and key give the same bytes. */
export function createSigner(key: PrivateKey): Signer {
  return { sign: (payload, time) => signPayload(key, payload, time) };
}

/** Signs a payload, which is a JSON object, and returns the signed document. `time`: RFC 3339, UTC, whole seconds. */
export function signPayload(key: PrivateKey, payload: Uint8Array, time: string): Uint8Array {
  const length = formatLengthOf(payload);
  const tail = payload.subarray(length);
  const protectedText = toBase64Url(
    encoder.encode(JSON.stringify({ formatLength: length, formatTail: toBase64Url(tail), time })),
  );
  const message = signingInput(protectedText, payload);
  const block = {
    header: { jwk: publicJwk(key.public), alg: key.public.kty === 'EC' ? CURVES[key.public.crv].algorithm : 'RS256' },
    signature: toBase64Url(signMessage(key, message)),
    protected: protectedText,
  };
  // A payload with line breaks is indented by three spaces, so the signatures are, too. Others are compact.
  const pretty = tail[0] === 0x0a;
  const added = pretty
    ? `,\n   "signatures": ${JSON.stringify([block], null, 3).replaceAll('\n', '\n   ')}\n}`
    : `,"signatures":${JSON.stringify([block])}}`;
  const addedBytes = encoder.encode(added);
  const document = new Uint8Array(length + addedBytes.length);
  document.set(payload.subarray(0, length));
  document.set(addedBytes, length);
  return document;
}

/** Verifies all signatures of a document. Returns its payload and the signing keys. Throws {@link SignatureError}. */
export function verifyDocument(document: Uint8Array): {
  readonly payload: Uint8Array;
  readonly keys: readonly PublicKey[];
} {
  const { blocks, members } = blocksOf(document);
  const { formatLength, formatTail } = formatOf(blocks, document.length);
  // No signature covers members after the signed part, but other programs may read them.
  const unsigned = members.filter(({ value }) => value.start >= formatLength);
  if (unsigned.length !== 1 || unsigned[0]?.key !== 'signatures')
    throw new SignatureError('the document has members that are not signed');
  const payload = cutPayload(document, { formatLength, formatTail });
  const keys = blocks.map((block) => {
    const key = keyOf(block);
    const signature = fromBase64Url(block.signature);
    if (signature === null) throw new SignatureError('a signature is not base64url');
    if (!verifyMessage(key, block.algorithm, signingInput(block.protected, payload), signature)) {
      throw new SignatureError('a signature does not match the payload');
    }
    return key;
  });
  return { payload, keys };
}

/**
 * The payload of a signed document, without verification: use it to compute the digest, never to trust the content.
 * Throws {@link SignatureError} if the document has no valid structure.
 */
export function payloadOf(document: Uint8Array): Uint8Array {
  return cutPayload(document, formatOf(blocksOf(document).blocks, document.length));
}

function cutPayload(
  document: Uint8Array,
  { formatLength, formatTail }: { formatLength: number; formatTail: Uint8Array },
): Uint8Array {
  const payload = new Uint8Array(formatLength + formatTail.length);
  payload.set(document.subarray(0, formatLength));
  payload.set(formatTail, formatLength);
  return payload;
}

interface Block {
  readonly protected: string;
  readonly signature: string;
  readonly algorithm: string;
  readonly jwk: unknown;
  readonly chain: readonly unknown[];
}

function blocksOf(document: Uint8Array): { readonly blocks: readonly Block[]; readonly members: readonly Member[] } {
  let signatures: unknown;
  let members: readonly Member[];
  try {
    const whole = checkJson(document);
    if (kindOf(document, whole) !== 'object') throw new SignatureError('the signed document is not an object');
    members = membersOf(document, whole);
    const member = members.findLast(({ key }) => key === 'signatures');
    if (member === undefined) throw new SignatureError('the document has no signatures');
    if (kindOf(document, member.value) === 'array')
      for (const block of elementsOf(document, member.value)) refuseAmbiguous(document, block);
    signatures = JSON.parse(new TextDecoder().decode(document.subarray(member.value.start, member.value.end)), finite);
  } catch (error) {
    if (error instanceof JsonSyntaxError)
      throw new SignatureError(`the signed document is not JSON: ${error.message}`, { cause: error });
    if (error instanceof RangeError) throw new SignatureError('the signatures are nested too deep', { cause: error });
    throw error;
  }
  if (!Array.isArray(signatures) || signatures.length === 0) throw new SignatureError('the document has no signatures');
  const blocks = signatures.map((value: unknown) => {
    const { header, signature, protected: protectedText } = (value ?? {}) as Record<string, unknown>;
    const { alg, jwk, x5c } = (header ?? {}) as Record<string, unknown>;
    if (typeof signature !== 'string' || typeof protectedText !== 'string' || typeof alg !== 'string') {
      throw new SignatureError('a signature block lacks its header, signature or protected');
    }
    return { protected: protectedText, signature, algorithm: alg, jwk, chain: Array.isArray(x5c) ? x5c : [] };
  });
  return { blocks, members };
}

/**
 * Refuses signature blocks that programs read differently. Go ignores the case of names and takes the last of repeated
 * members that is not null; other parsers do not. No tool writes such blocks.
 */
function refuseAmbiguous(document: Uint8Array, block: Span): void {
  if (kindOf(document, block) !== 'object') return;
  const names = new Set<string>();
  for (const { key, value } of membersOf(document, block)) {
    const name = key.replaceAll('\u017f', 's').replaceAll('\u212a', 'k').toLowerCase();
    if (names.has(name) || (name !== key && BLOCK_MEMBERS.has(name)))
      throw new SignatureError('a signature block is ambiguous');
    names.add(name);
    if (key === 'header' || key === 'jwk') refuseAmbiguous(document, value);
  }
}

const BLOCK_MEMBERS: ReadonlySet<string> = new Set(['header', 'signature', 'protected', 'alg', 'jwk', 'x5c']);

/** libtrust refuses numbers beyond Go's float64; `JSON.parse` would read them as infinite. */
function finite(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new SignatureError('a number in the signatures is too large');
  return value;
}

function formatOf(blocks: readonly Block[], documentLength: number): { formatLength: number; formatTail: Uint8Array } {
  let agreed: { formatLength: number; tailText: string; formatTail: Uint8Array } | null = null;
  for (const block of blocks) {
    const bytes = fromBase64Url(block.protected);
    let header: unknown;
    try {
      header = bytes === null ? null : JSON.parse(RAW.decode(bytes));
    } catch (cause) {
      throw new SignatureError('the protected header of a signature is not JSON', { cause });
    }
    const { formatLength, formatTail: tail } = (header ?? {}) as Record<string, unknown>;
    const formatTail = typeof tail === 'string' ? fromBase64Url(tail) : null;
    if (
      typeof formatLength !== 'number' ||
      !Number.isSafeInteger(formatLength) ||
      formatLength < 0 ||
      formatTail === null
    ) {
      throw new SignatureError('the protected header of a signature has no formatLength or formatTail');
    }
    if (formatLength > documentLength) throw new SignatureError('formatLength is larger than the document');
    const tailText = toBase64Url(formatTail);
    if (agreed !== null && (agreed.formatLength !== formatLength || agreed.tailText !== tailText)) {
      throw new SignatureError('the signatures do not agree on what they sign');
    }
    agreed = { formatLength, tailText, formatTail };
  }
  if (agreed === null) throw new SignatureError('the document has no signatures');
  return agreed;
}

function keyOf(block: Block): PublicKey {
  try {
    const [leaf] = block.chain;
    if (leaf !== undefined) {
      const der = typeof leaf === 'string' ? fromBase64(leaf) : null;
      if (der === null) throw new SignatureError('a certificate is not base64');
      return readCertificateKey(der);
    }
    return readPublicJwk(block.jwk);
  } catch (error) {
    if (error instanceof KeyError)
      throw new SignatureError(`the key of a signature is not usable: ${error.message}`, { cause: error });
    throw error;
  }
}

/** What a signature covers (RFC 7515, section 5.1). */
function signingInput(protectedText: string, payload: Uint8Array): Uint8Array {
  return encoder.encode(`${protectedText}.${toBase64Url(payload)}`);
}

/** JOSE algorithms for RSA (RFC 7518, section 3.3) and their hashes. */
const RSA_HASHES: Readonly<Record<string, string>> = { RS256: 'sha256', RS384: 'sha384', RS512: 'sha512' };

function verifyMessage(key: PublicKey, algorithm: string, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.kty === 'RSA') {
    const name = Object.hasOwn(RSA_HASHES, algorithm) ? RSA_HASHES[algorithm] : undefined;
    // A shorter modulus can be factored; a longer one would take seconds to verify.
    const size = fromBase64Url(key.n)?.length ?? 0;
    return (
      name !== undefined && size >= 128 && size <= 1024 && verify(name, message, { key, format: 'jwk' }, signature)
    );
  }
  const curve = CURVES[key.crv];
  // The algorithm must be the curve's own; the signature is r‖s, each of the curve's length, never DER.
  if (algorithm !== curve.algorithm || signature.length !== curve.size * 2) return false;
  return verify(curve.hash, message, { key, format: 'jwk', dsaEncoding: 'ieee-p1363' }, signature);
}

function signMessage(key: PrivateKey, message: Uint8Array): Uint8Array {
  if (key.kty === 'RSA') return sign('sha256', message, { key: key.jwk, format: 'jwk' });
  return signEcdsa(CURVES[key.public.crv], key.d, message);
}

/** The length of the payload without its final `}` and the white space before it. */
function formatLengthOf(payload: Uint8Array): number {
  const isSpace = (byte: number | undefined): boolean =>
    byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
  let end = payload.length - 1;
  while (isSpace(payload[end])) end -= 1;
  if (payload[end] !== 0x7d) throw new TypeError('the payload is not a JSON object');
  end -= 1;
  while (isSpace(payload[end])) end -= 1;
  return end + 1;
}
