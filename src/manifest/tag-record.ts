/** Makes the record of a tag from what was derived for it. */
import type { TagForm, TagRecord } from '../registry/records.ts';
import type { Derivation } from './image.ts';

/** The record, and the manifests' bytes in its order, as `encodeTag` takes both. `updated`: RFC 3339. */
export function tagRecordOf(
  { forms, missing }: Derivation,
  updated: string,
): { readonly record: TagRecord; readonly bytes: readonly Uint8Array[] } {
  let offset = 0;
  const rows = forms.map(({ form, mediaType, digest, bytes, source, platform, zstd, nonstandard }): TagForm => {
    const row = {
      form,
      mediaType,
      digest,
      offset,
      length: bytes.length,
      source,
      ...(platform && { platform }),
      ...(zstd && { zstd }),
      ...(nonstandard && { nonstandard }),
    };
    offset += bytes.length;
    return row;
  });
  return { record: { updated, forms: rows, missing }, bytes: forms.map(({ bytes }) => bytes) };
}
