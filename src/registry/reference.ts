import { type Digest, parseDigest } from './digest.ts';
import { parseTag, type Tag } from './name.ts';

/** What stands behind `/manifests/`: a tag or a digest. */
export type Reference =
  { readonly kind: 'tag'; readonly tag: Tag } | { readonly kind: 'digest'; readonly digest: Digest };

/** A reference that could not be read: a digest with a bad form or an algorithm that is not served, or a tag outside the grammar. */
export interface BadReference {
  readonly kind: 'bad-digest' | 'bad-tag';
}

/** Reads the reference of a manifest URL. A colon cannot stand in a tag, so anything with one is meant as a digest. */
export function parseReference(text: string): Reference | BadReference {
  if (text.includes(':')) {
    const digest = parseDigest(text);
    return digest === null ? { kind: 'bad-digest' } : { kind: 'digest', digest };
  }
  const tag = parseTag(text);
  return tag === null ? { kind: 'bad-tag' } : { kind: 'tag', tag };
}
