/** Which published forms of a tag stay when another form of it is published: a decision, pure. */
import type { Digest } from '../../registry/digest.ts';
import type { Form } from '../../registry/media-type.ts';
import { areFormsOfOneImage, type ImageIdentity } from './image-identity.ts';

/** A published root: what it is and which images it stands for. */
export interface PublishedRoot {
  readonly form: Form;
  readonly digest: Digest;
  readonly identities: readonly ImageIdentity[];
}

/** Why a form that was published before does not stay: the same form came anew, it is of another image, or `--replace` was asked for. */
export type DropReason = 'same-form' | 'other-image' | 'replace';

/** What becomes of the forms that were there. */
export interface FormMerge {
  readonly kept: readonly PublishedRoot[];
  readonly dropped: readonly { readonly root: PublishedRoot; readonly why: DropReason }[];
}

/**
 * Decides. A form that came anew replaces the one of its kind; one of another kind stays if both are forms of one image (somebody uploads schema 1 and schema 2
 * one after the other), and goes if they are not (the tag moved on): a tag never has forms of two images.
 */
export function mergeForms(
  existing: readonly PublishedRoot[],
  fresh: readonly PublishedRoot[],
  replace: boolean,
): FormMerge {
  const kept: PublishedRoot[] = [];
  const dropped: { root: PublishedRoot; why: DropReason }[] = [];
  for (const root of existing) {
    // The very same manifest is neither kept nor dropped.
    if (fresh.some(({ digest }) => digest === root.digest)) continue;
    if (replace) dropped.push({ root, why: 'replace' });
    else if (fresh.some(({ form }) => form === root.form)) dropped.push({ root, why: 'same-form' });
    else if (fresh.every(({ identities }) => areFormsOfOneImage(identities, root.identities))) kept.push(root);
    else dropped.push({ root, why: 'other-image' });
  }
  return { kept, dropped };
}
