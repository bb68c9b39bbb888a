/** Manifests from an upstream: the `Accept` to send, and verification of the response. */
import { payloadOf, SignatureError } from '../manifest/signing/jws.ts';
import { matchesDigest, sha256Of } from '../manifest/signing/sha256.ts';
import { algorithmOf, type Digest, parseDigest } from '../registry/digest.ts';
import { formOfMediaType, MEDIA_TYPE_OF_FORM, SCHEMA1_PLAIN } from '../registry/media-type.ts';
import { isObject, type JsonObject } from '../registry/values/json.ts';
import { OriginError } from './errors.ts';

/** `Accept` for every manifest form. */
export const ACCEPT_ANY: readonly string[] = [...Object.values(MEDIA_TYPE_OF_FORM), SCHEMA1_PLAIN];

/** `Accept` for schema 1 only, as in the second request of Pulp 2. */
export const ACCEPT_SCHEMA1: readonly string[] = [SCHEMA1_PLAIN, MEDIA_TYPE_OF_FORM['docker-schema1']];

/** A verified manifest: a JSON object with the requested or reported digest. */
export interface VerifiedManifest {
  readonly bytes: Uint8Array;
  /** Of the bytes, or of the payload for a signed schema 1. */
  readonly digest: Digest;
  /** Bare media type: that of the response if it names a manifest, else the manifest's `mediaType`, if any. */
  readonly mediaType: string | undefined;
}

/**
 * Verifies a manifest. `requested`: the digest in the URL; `claimed`: the response's `Docker-Content-Digest`. For a
 * signed schema 1, registries report the digest of the payload or of the bytes, so both count. `where` is for error
 * messages. Throws {@link OriginError} `ORIGIN_PROTOCOL`.
 */
export function verifyManifest(
  bytes: Uint8Array,
  {
    where,
    requested,
    claimed,
    contentType,
  }: { where: string; requested: Digest | undefined; claimed: string | null; contentType: string | null },
): VerifiedManifest {
  const content = readObject(bytes, where);
  const payload = content.signatures === undefined ? bytes : signedPayload(bytes, where);
  for (const digest of [requested, claimed === null ? null : parseDigest(claimed)]) {
    if (
      digest === undefined ||
      digest === null ||
      matchesDigest(digest, payload) ||
      (payload !== bytes && matchesDigest(digest, bytes))
    )
      continue;
    throw new OriginError(
      'ORIGIN_PROTOCOL',
      `${where} sent a manifest whose digest is ${sha256Of(payload)}, not ${digest}`,
    );
  }
  const bare = bareType(contentType);
  const own = typeof content.mediaType === 'string' ? content.mediaType : undefined;
  return {
    bytes,
    // A manifest that was requested by sha512 keeps that digest.
    digest: requested !== undefined && algorithmOf(requested) === 'sha512' ? requested : sha256Of(payload),
    mediaType:
      bare !== undefined && (formOfMediaType(bare) !== null || own === undefined) && isManifestType(bare) ? bare : own,
  };
}

/** A media type without parameters, in lower case. */
export function bareType(contentType: string | null): string | undefined {
  const bare = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  return bare === undefined || bare === '' ? undefined : bare;
}

// crane (Pulp 2) redirects to a plain web server, whose content type for files without a suffix can be anything.
function isManifestType(bare: string): boolean {
  return formOfMediaType(bare) !== null || /^application\/vnd\..+\+json$/.test(bare);
}

function readObject(bytes: Uint8Array, where: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new OriginError('ORIGIN_PROTOCOL', `${where} did not send JSON where a manifest was expected`, {
      cause,
    });
  }
  if (!isObject(value)) {
    throw new OriginError('ORIGIN_PROTOCOL', `${where} did not send a JSON object where a manifest was expected`);
  }
  return value;
}

function signedPayload(bytes: Uint8Array, where: string): Uint8Array {
  try {
    return payloadOf(bytes);
  } catch (cause) {
    if (!(cause instanceof SignatureError)) throw cause;
    throw new OriginError(
      'ORIGIN_PROTOCOL',
      `${where} sent a schema 1 manifest with damaged signatures: ${cause.message}`,
      { cause },
    );
  }
}
