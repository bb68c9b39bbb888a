/** Reads an answer as a manifest: detects its form and digest, and compares them with the headers. Pure. */
import { createHash } from 'node:crypto';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { parseDigest, type Digest } from '../../registry/digest.ts';
import { type Form, formOfMediaType } from '../../registry/media-type.ts';
import { SignatureError, verifyDocument } from '../../manifest/signing/jws.ts';
import { formOfContent } from '../../manifest/links.ts';
import type { Answer } from './exchange.ts';
import type { Finding, FindingId } from './findings/findings.ts';

/** A received manifest. */
export interface ManifestAnswer {
  /** By its content; null if it is not a known manifest. */
  readonly form: Form | null;
  /** Of the body (decoded), or of the payload for schema 1. */
  readonly digest: Digest | null;
  readonly bytes: Uint8Array;
  readonly findings: readonly Finding[];
}

/** Reads a 200 answer to GET. `where` names the request in findings. */
export function readManifestAnswer(answer: Answer, where: string): ManifestAnswer {
  const findings: Finding[] = [];
  const add = (id: FindingId, seen: string): void => void findings.push({ id, seen: `${where}: ${seen}` });
  const coding = answer.headers['content-encoding'];
  if (coding !== undefined && coding !== 'identity') add('manifest-compressed', `Content-Encoding: ${coding}`);
  else if (answer.headers['content-length'] === undefined) add('manifest-chunked', 'no Content-Length');
  if (answer.cut) {
    add(
      'body-cut',
      `${String(answer.body.length)} bytes came, Content-Length: ${answer.headers['content-length'] ?? 'none'}`,
    );
    return { form: null, digest: null, bytes: answer.body, findings };
  }
  const bytes = decodeBody(answer);
  if (bytes === null) {
    add('digest-mismatch', `the body is not ${coding ?? ''}, although Content-Encoding says so`);
    return { form: null, digest: null, bytes: answer.body, findings };
  }
  const form = formOfContent(bytes);
  if (form !== null && formOfMediaType(bareType(answer.headers['content-type'])) !== form)
    add('content-type-wrong', `Content-Type: ${answer.headers['content-type'] ?? 'none'}, the body is ${form}`);
  const digest = form === 'docker-schema1' ? payloadDigest(bytes, add) : sha256(bytes);
  const header = answer.headers['docker-content-digest'];
  if (header === undefined) add('digest-missing', 'no Docker-Content-Digest');
  else if (digest !== null && header !== digest) {
    const why =
      form === 'docker-schema1' && header === sha256(bytes)
        ? 'it is that of the signed document'
        : `the body has ${digest}`;
    add('digest-wrong', `${header}; ${why}`);
  }
  if (answer.headers.etag?.startsWith('W/') === true) add('etag-weak', `ETag: ${answer.headers.etag}`);
  return { form, digest, bytes, findings };
}

/** A body without its content coding; null if it is not what `Content-Encoding` says. */
export function decodeBody({ body, headers }: Answer): Uint8Array | null {
  const coding = headers['content-encoding'] ?? 'identity';
  const decode = Object.hasOwn(DECODERS, coding) ? DECODERS[coding as keyof typeof DECODERS] : null;
  if (decode === null) return null;
  try {
    return decode(body);
  } catch {
    return null;
  }
}

const DECODERS = {
  identity: (body: Uint8Array) => body,
  gzip: (body: Uint8Array) => new Uint8Array(gunzipSync(body)),
  deflate: (body: Uint8Array) => new Uint8Array(inflateSync(body)),
  br: (body: Uint8Array) => new Uint8Array(brotliDecompressSync(body)),
  zstd: (body: Uint8Array) => new Uint8Array(zstdDecompressSync(body)),
} as const;

/** A media type without its parameters, in lower case; empty if there is none. */
export function bareType(header: string | undefined): string {
  return (header ?? '').replace(/;.*$/s, '').trim().toLowerCase();
}

/** The sha256 of some bytes. */
export function sha256(bytes: Uint8Array): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  if (digest === null) throw new TypeError('a sha256 is always a digest');
  return digest;
}

function payloadDigest(bytes: Uint8Array, add: (id: FindingId, seen: string) => void): Digest | null {
  try {
    return sha256(verifyDocument(bytes).payload);
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    add('schema1-signature', error.message);
    return null;
  }
}
