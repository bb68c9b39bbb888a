/** Which published forms of a tag are kept when another form is published: a pure decision. */
import type { Digest } from '../../registry/digest.ts';
import type { Form } from '../../registry/media-type.ts';
import { areFormsOfOneImage, type ImageIdentity } from './image-identity.ts';

/** A published root and the images that it stands for. */
export interface PublishedRoot {
  readonly form: Form;
  readonly digest: Digest;
  readonly identities: readonly ImageIdentity[];
}

/** Why a form is dropped: the same form was published again, it is of another image, or `--replace` was given. */
export type DropReason = 'same-form' | 'other-image' | 'replace';

/** The decision on each existing form. */
export interface FormMerge {
  readonly kept: readonly PublishedRoot[];
  readonly dropped: readonly { readonly root: PublishedRoot; readonly why: DropReason }[];
}

/**
 * Decides. A new form replaces the existing form of the same kind. A form of another kind is kept if both are forms of
 * one image (schema 1 and schema 2 are published one after the other), and dropped otherwise (the tag moved): a tag
 * never has forms of two images.
 */
export function mergeForms(
  existing: readonly PublishedRoot[],
  fresh: readonly PublishedRoot[],
  replace: boolean,
): FormMerge {
  const kept: PublishedRoot[] = [];
  const dropped: { root: PublishedRoot; why: DropReason }[] = [];
  for (const root of existing) {
    // An identical manifest is neither kept nor dropped.
    if (fresh.some(({ digest }) => digest === root.digest)) continue;
    if (replace) dropped.push({ root, why: 'replace' });
    else if (fresh.some(({ form }) => form === root.form)) dropped.push({ root, why: 'same-form' });
    else if (fresh.every(({ identities }) => areFormsOfOneImage(identities, root.identities))) kept.push(root);
    else dropped.push({ root, why: 'other-image' });
  }
  return { kept, dropped };
}
