/** Checks manifests and tag objects. Pure, over bytes. */
import type { Digest } from '../../registry/digest.ts';
import { type Form, FORM_TITLE, MEDIA_TYPE_OF_FORM } from '../../registry/media-type.ts';
import { isNameless } from '../../manifest/from-schema1.ts';
import { SignatureError, verifyDocument } from '../../manifest/signing/jws.ts';
import { matchesDigest } from '../../manifest/signing/sha256.ts';
import { formOfLinks, readLinks } from '../../manifest/links.ts';
import { isTombstone, type TagReading } from '../../bucket/read-tag.ts';
import type { FaultKind } from './faults.ts';

/** A fault without its location. */
export interface Flaw {
  readonly kind: FaultKind;
  readonly message: string;
}

/** The faults of a manifest with that digest: of its bytes, or of its payload for schema 1. */
export function checkManifest(bytes: Uint8Array, digest: Digest): readonly Flaw[] {
  const links = readLinks(bytes);
  const form = links === null ? null : formOfLinks(links);
  if (form !== 'docker-schema1')
    return matchesDigest(digest, bytes) ? [] : [{ kind: 'manifest-digest', message: 'its bytes have another digest' }];
  try {
    const { payload } = verifyDocument(bytes);
    return matchesDigest(digest, payload)
      ? []
      : [{ kind: 'manifest-digest', message: 'its payload has another digest' }];
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    return [{ kind: 'schema1-signature', message: error.message }];
  }
}

/**
 * The content type that a manifest must be stored with: its `mediaType`, or that of its form; null if neither is known.
 */
export function contentTypeOf(bytes: Uint8Array): string | null {
  const links = readLinks(bytes);
  if (links === null) return null;
  const form = formOfLinks(links);
  if (form === 'docker-schema1') return MEDIA_TYPE_OF_FORM['docker-schema1'];
  return links.mediaType ?? (form === null ? null : MEDIA_TYPE_OF_FORM[form]);
}

/** The faults of a tag object. */
export function checkTag(reading: TagReading): readonly Flaw[] {
  if (reading.kind !== 'read')
    return [{ kind: reading.kind === 'newer' ? 'newer' : 'tag-corrupt', message: reading.message }];
  const flaws: Flaw[] = [];
  const { record, manifests, trailing } = reading;
  if (isTombstone(reading.info)) return flaws;
  if (record.forms.length === 0) flaws.push({ kind: 'tag-layout', message: 'it has no form' });
  if (!record.forms.some(({ source }) => source.kind === 'published'))
    flaws.push({ kind: 'tag-layout', message: 'nothing of it was published' });
  if (Number.isNaN(Date.parse(record.updated)))
    flaws.push({
      kind: 'tag-layout',
      message: `it was updated at ${JSON.stringify(record.updated)}, which is not a time`,
    });
  let end = 0;
  for (const { offset, length } of [...record.forms].sort((a, b) => a.offset - b.offset)) {
    if (offset !== end)
      flaws.push({
        kind: 'tag-layout',
        message: `a form begins at byte ${String(offset)}, the one before ends at ${String(end)}`,
      });
    end = offset + length;
  }
  if (trailing > 0) flaws.push({ kind: 'tag-layout', message: `${String(trailing)} bytes belong to no form` });
  for (const [index, { form, digest }] of record.forms.entries()) {
    flaws.push(...checkForm(manifests[index] ?? new Uint8Array(), form, digest));
  }
  return flaws;
}

function checkForm(bytes: Uint8Array, form: Form, digest: Digest): readonly Flaw[] {
  const title = `${FORM_TITLE[form]} ${digest}`;
  const links = readLinks(bytes);
  const real = links === null ? null : formOfLinks(links);
  const flaws: Flaw[] = checkManifest(bytes, digest).map(({ kind, message }) => ({
    kind: kind === 'manifest-digest' ? ('tag-digest' as const) : kind,
    message: `${title}: ${message}`,
  }));
  if (flaws.length === 0 && real === 'docker-schema1' && isNameless(bytes))
    flaws.push({ kind: 'schema1-nameless', message: `${title}: its name is empty` });
  // `mediaType` is optional in OCI manifests and indexes, and a config alone does not determine an artifact's form.
  if (
    real === null ||
    (real !== form && links?.mediaType !== undefined) ||
    (real === 'docker-schema1') !== (form === 'docker-schema1')
  ) {
    if (!(real === null && flaws.length > 0))
      flaws.push({
        kind: 'tag-form',
        message: `${title}: ${real === null ? 'is not a manifest' : `is a ${FORM_TITLE[real]}`}`,
      });
  }
  return flaws;
}
