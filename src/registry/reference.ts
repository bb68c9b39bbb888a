import { type Digest, parseDigest } from './digest.ts';
import { parseTag, type Tag } from './name.ts';

/** The last part of a manifest URL: a tag or a digest. */
export type Reference =
  { readonly kind: 'tag'; readonly tag: Tag } | { readonly kind: 'digest'; readonly digest: Digest };

/** An invalid reference: a digest that is malformed or has an unsupported algorithm, or an invalid tag. */
export interface BadReference {
  readonly kind: 'bad-digest' | 'bad-tag';
}

/** Parses the reference of a manifest URL. Tags have no colon, so a text with a colon is a digest. */
export function parseReference(text: string): Reference | BadReference {
  if (text.includes(':')) {
    const digest = parseDigest(text);
    return digest === null ? { kind: 'bad-digest' } : { kind: 'digest', digest };
  }
  const tag = parseTag(text);
  return tag === null ? { kind: 'bad-tag' } : { kind: 'tag', tag };
}
