/** Manifests as an upstream sends them: what to ask for, and whether the answer is what it says it is. */
import { payloadOf, SignatureError } from '../manifest/signing/jws.ts';
import { matchesDigest, sha256Of } from '../manifest/signing/sha256.ts';
import { algorithmOf, type Digest, parseDigest } from '../registry/digest.ts';
import { formOfMediaType, MEDIA_TYPE_OF_FORM, SCHEMA1_PLAIN } from '../registry/media-type.ts';
import { OriginError } from './errors.ts';

/** `Accept` for whatever was published under a tag. */
export const ACCEPT_ANY: readonly string[] = [...Object.values(MEDIA_TYPE_OF_FORM), SCHEMA1_PLAIN];

/** `Accept` for schema 1 and nothing else, as Pulp 2 asks for it in its second question. */
export const ACCEPT_SCHEMA1: readonly string[] = [SCHEMA1_PLAIN, MEDIA_TYPE_OF_FORM['docker-schema1']];

/** A manifest that was checked: it is a JSON object and has the digest that was asked for or told. */
export interface VerifiedManifest {
  readonly bytes: Uint8Array;
  /** Of the bytes, or of the payload for a signed schema 1. */
  readonly digest: Digest;
  /** Bare media type: the answer's if that names a manifest, else what the manifest says of itself; undefined if neither tells. */
  readonly mediaType: string | undefined;
}

/**
 * Checks a manifest. `asked`: the digest it was asked by; `told`: the answer's `Docker-Content-Digest`. Registries differ in which digest they tell of a signed
 * schema 1 asked by tag, so there that of the bytes counts too. Throws {@link OriginError} `ORIGIN_PROTOCOL`; `where` is for its message.
 */
export function verifyManifest(
  bytes: Uint8Array,
  {
    where,
    asked,
    told,
    contentType,
  }: { where: string; asked: Digest | undefined; told: string | null; contentType: string | null },
): VerifiedManifest {
  const content = readObject(bytes, where);
  const payload = content.signatures === undefined ? bytes : signedPayload(bytes, where);
  for (const digest of [asked, told === null ? null : parseDigest(told)]) {
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
    // Whoever asked by sha512 goes on knowing it by that.
    digest: asked !== undefined && algorithmOf(asked) === 'sha512' ? asked : sha256Of(payload),
    mediaType:
      bare !== undefined && (formOfMediaType(bare) !== null || own === undefined) && isManifestType(bare) ? bare : own,
  };
}

/** A media type without parameters, in lower case. */
export function bareType(contentType: string | null): string | undefined {
  const bare = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  return bare === undefined || bare === '' ? undefined : bare;
}

// Behind crane stands a plain web server, which calls a manifest whatever its configuration says of files without a suffix.
function isManifestType(bare: string): boolean {
  return formOfMediaType(bare) !== null || /^application\/vnd\..+\+json$/.test(bare);
}

function readObject(bytes: Uint8Array, where: string): { readonly signatures?: unknown; readonly mediaType?: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new OriginError('ORIGIN_PROTOCOL', `${where} sent something else than JSON where a manifest was expected`, {
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new OriginError('ORIGIN_PROTOCOL', `${where} sent no JSON object where a manifest was expected`);
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
