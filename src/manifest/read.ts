/**
 * Reads manifests: their form, their digest, and what they name. Strict, because everything that is read is published.
 */
import type { Descriptor } from '../registry/descriptor.ts';
import { parseDigest } from '../registry/digest.ts';
import { type Form, formOfMediaType, isListForm, MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../registry/media-type.ts';
import type { Platform } from '../registry/platform.ts';
import { isObject, type JsonObject } from '../registry/values/json.ts';
import type { Manifest } from './image.ts';
import { checkJson, JsonSyntaxError } from './json/json-bytes.ts';
import { SignatureError, verifyDocument } from './signing/jws.ts';
import { sha256Of } from './signing/sha256.ts';

/** Bytes that are not a manifest of a known form. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

/** An image manifest's config and layers, base first. */
export interface ImageManifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** Media types without meaning for manifests: the content decides. */
const GENERIC: ReadonlySet<string> = new Set([
  '',
  MEDIA_TYPES.json,
  MEDIA_TYPES.octetStream,
  'text/plain',
  'application/x-gzip',
]);

/**
 * Reads a manifest: its form (by its own `mediaType`, then by the argument, then by its members), its media type and
 * its digest. A schema 1 must have valid signatures, and its digest is that of its payload. Throws {@link
 * ManifestError}.
 */
export function readManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  const value = parseObject(bytes);
  const contentType = bareType(mediaType);
  if (value.schemaVersion === 1) return readSchema1(bytes, contentType);
  if (value.schemaVersion !== 2) {
    throw new ManifestError(`the manifest has schemaVersion ${String(value.schemaVersion)}; 1 and 2 are known`);
  }
  const form = formOf(value, contentType);
  if (isListForm(form) ? value.layers !== undefined || value.config !== undefined : value.manifests !== undefined) {
    // Some readers would see a list, others an image (CVE-2021-41190).
    throw new ManifestError('the manifest has members of a list and of an image, so it can be read in two ways');
  }
  if (isListForm(form)) listOf(value);
  else imageOf(value);
  return { form, mediaType: MEDIA_TYPE_OF_FORM[form], digest: sha256Of(bytes), bytes };
}

/** The config and layers of a schema 2 or OCI manifest. Throws {@link ManifestError}. */
export function readImageManifest({ bytes }: Pick<Manifest, 'bytes'>): ImageManifest {
  return imageOf(parseObject(bytes));
}

/** The children of a list or index, in order. Throws {@link ManifestError}. */
export function readListManifest({ bytes }: Pick<Manifest, 'bytes'>): readonly Descriptor[] {
  return listOf(parseObject(bytes));
}

function readSchema1(bytes: Uint8Array, contentType: string): Manifest {
  const form = 'docker-schema1';
  if (!GENERIC.has(contentType) && formOfMediaType(contentType) !== form)
    throw new ManifestError(`the manifest is a schema 1, but its Content-Type is ${contentType}`);
  try {
    const { payload } = verifyDocument(bytes);
    return { form, mediaType: MEDIA_TYPE_OF_FORM[form], digest: sha256Of(payload), bytes };
  } catch (error) {
    if (error instanceof SignatureError)
      throw new ManifestError(`the signature of the schema 1 manifest is not valid: ${error.message}`, {
        cause: error,
      });
    throw error;
  }
}

function formOf(value: JsonObject, contentType: string): Form {
  const own = value.mediaType;
  if (own !== undefined && typeof own !== 'string')
    throw new ManifestError('the mediaType of the manifest is not a string');
  const inside = own === undefined || own === '' ? null : formOfMediaType(own);
  if (own !== undefined && own !== '' && (inside === null || inside === 'docker-schema1')) {
    throw new ManifestError(`the mediaType of the manifest is ${JSON.stringify(own)}, which is not supported`);
  }
  const outside = GENERIC.has(contentType) ? null : formOfMediaType(contentType);
  if (!GENERIC.has(contentType) && outside === null)
    throw new ManifestError(`the Content-Type of the manifest is ${contentType}, which is not supported`);
  if (inside !== null && outside !== null && inside !== outside)
    throw new ManifestError(`the mediaType of the manifest is ${String(own)}, but its Content-Type is ${contentType}`);
  const form =
    inside ??
    outside ??
    (value.manifests !== undefined ? 'oci-index' : value.config !== undefined ? 'oci-manifest' : null);
  if (form === null || form === 'docker-schema1')
    throw new ManifestError('the manifest names neither a config nor other manifests');
  return form;
}

function imageOf(value: JsonObject): ImageManifest {
  const layers = value.layers;
  if (!Array.isArray(layers)) throw new ManifestError('the manifest has no list of layers');
  return {
    config: descriptorOf(value.config, 'the config'),
    layers: layers.map((layer: unknown, index) => descriptorOf(layer, `layer ${String(index)}`)),
  };
}

function listOf(value: JsonObject): readonly Descriptor[] {
  const manifests = value.manifests;
  if (!Array.isArray(manifests)) throw new ManifestError('the list has no list of manifests');
  return manifests.map((manifest: unknown, index) => descriptorOf(manifest, `manifest ${String(index)} of the list`));
}

function descriptorOf(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw new ManifestError(`${what} has no descriptor`);
  const { mediaType, digest: text, size, urls, annotations, artifactType, platform } = value;
  const digest = typeof text === 'string' ? parseDigest(text) : null;
  if (digest === null) throw new ManifestError(`${what} has no sha256 or sha512 digest but ${String(text)}`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw new ManifestError(`${what} has no size in bytes`);
  if (mediaType !== undefined && typeof mediaType !== 'string')
    throw new ManifestError(`the mediaType of ${what} is not a string`);
  return {
    mediaType: mediaType ?? '',
    digest,
    size,
    ...(Array.isArray(urls) ? { urls: urls.filter((url) => typeof url === 'string') } : {}),
    ...(isObject(annotations) ? { annotations: annotations as Record<string, string> } : {}),
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    ...(isPlatform(platform) ? { platform } : {}),
  };
}

function isPlatform(value: unknown): value is Platform {
  return isObject(value) && typeof value.os === 'string' && typeof value.architecture === 'string';
}

function parseObject(bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    // Go's grammar, which is stricter than JSON.parse about bytes, and the same for the other readers of the field.
    checkJson(bytes);
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof JsonSyntaxError || error instanceof SyntaxError || error instanceof RangeError) {
      throw new ManifestError(`the manifest is not JSON: ${error.message}`, { cause: error });
    }
    throw error;
  }
  if (!isObject(value)) throw new ManifestError('the manifest is not a JSON object');
  return value;
}

function bareType(mediaType: string | undefined): string {
  return (mediaType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
