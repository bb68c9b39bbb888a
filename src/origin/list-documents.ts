/** Parsers for a registry's lists. Invalid entries are left out; an invalid document is an {@link OriginError}. */
import type { Descriptor } from '../registry/descriptor.ts';
import { parseDigest } from '../registry/digest.ts';
import { parseTag, type Tag } from '../registry/name.ts';
import { isObject, type JsonObject, objectOf } from '../registry/values/json.ts';
import { OriginError } from './errors.ts';
import { addressOf } from './transport.ts';

/** Reads a tag list (OCI distribution spec 1.1, "Listing Tags"). `url` is for error messages. */
export function readTags(bytes: Uint8Array, url: URL): readonly Tag[] {
  const { tags } = readJson(bytes, url);
  // docker-registry writes null for a repository whose tags were all deleted.
  if (tags === null) return [];
  if (!Array.isArray(tags)) throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(url)} did not send a list of tags`);
  return tags.flatMap((tag: unknown) => (typeof tag === 'string' ? (parseTag(tag) ?? []) : []));
}

/** Reads a list of referrers: an OCI index of descriptors. */
export function readDescriptors(bytes: Uint8Array): readonly Descriptor[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new OriginError('ORIGIN_PROTOCOL', 'the list of referrers is not JSON', { cause });
  }
  const { manifests } = objectOf(value);
  if (!Array.isArray(manifests)) throw new OriginError('ORIGIN_PROTOCOL', 'the list of referrers has no manifests');
  return manifests.flatMap((item: unknown) => {
    const { mediaType, digest: text, size } = objectOf(item);
    const digest = typeof text === 'string' ? parseDigest(text) : null;
    if (digest === null || typeof mediaType !== 'string' || typeof size !== 'number') return [];
    return [{ ...(item as Descriptor), digest }];
  });
}

function readJson(bytes: Uint8Array, url: URL): JsonObject {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (isObject(value)) return value;
  } catch (cause) {
    throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(url)} did not send JSON`, { cause });
  }
  throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(url)} did not send a JSON object`);
}
