/** What is published, and what is told of it at its end. */
import type { TagReading } from '../../bucket/read-tag.ts';
import { type ReadImage, titleOf } from '../../bucket/read-image.ts';
import type { Referrers } from '../../bucket/referrers.ts';
import type { Derivation } from '../../manifest/image.ts';
import type { Digest } from '../../registry/digest.ts';
import type { Form } from '../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import type { Platform } from '../../registry/platform.ts';
import type { MissingForm, TagForm } from '../../registry/records.ts';
import type { Recompress } from './layers.ts';
import type { FormMerge, PublishedRoot } from './merge-forms.ts';
import type { TagPlan } from './plan.ts';
import type { Sent } from './transfer.ts';

/** What is published, and how. */
export interface PublishRequest {
  readonly name: RepositoryName;
  readonly tag: Tag;
  /** Drop all forms that were published before. */
  readonly replace?: boolean;
  /** Publish only these platforms of a list. */
  readonly platforms?: readonly Platform[];
  /** Which layers get a gzip copy for the derived forms. */
  readonly recompress?: Recompress | undefined;
  /** Name copies of layers with explicit whiteouts in derived schema 1 manifests, in place of opaque ones. */
  readonly rewriteOpaque?: boolean;
  /** Publish the referrers of the image as well. Default: true. */
  readonly referrers?: boolean;
  /** Move an immutable tag whose rule allows it. */
  readonly force?: boolean;
  /** Plan only, write nothing. */
  readonly dryRun?: boolean;
  /** See {@link import('../../manifest/image.ts').DeriveOptions}. */
  readonly mode?: 'strict' | 'compat';
}

/** What was done, or would be done. Sizes in bytes. */
export interface PublishResult {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly change: TagPlan['change'];
  readonly dryRun: boolean;
  readonly forms: readonly TagForm[];
  /** With an explanation for people beyond the reason. */
  readonly missing: readonly (MissingForm & { readonly explanation: string })[];
  /** Forms that were published before and are kept. */
  readonly kept: readonly Pick<PublishedRoot, 'form' | 'digest'>[];
  readonly dropped: readonly {
    readonly form: Form;
    readonly digest: Digest;
    readonly why: FormMerge['dropped'][number]['why'];
  }[];
  readonly blobs: {
    readonly total: number;
    readonly present: number;
    readonly sent: number;
    readonly sentBytes: number;
  };
  readonly manifests: { readonly total: number; readonly present: number };
  /** How many referrers were published. */
  readonly referrers: number;
  /** Tags that belong to the image by its digest (cosign's) and were published; absent if there are none. */
  readonly companions?: readonly Tag[];
  readonly warnings: readonly string[];
}

/** What the publisher should look at: images that were left out, a lost tag object, and what derivation warns of. */
export function warningsOf(
  { leftOut }: ReadImage,
  existing: TagReading | null,
  derivation: Derivation,
): readonly string[] {
  return [
    ...(leftOut.length > 0
      ? [`the list names ${String(leftOut.length)} that were left out: ${leftOut.map(titleOf).join(', ')}`]
      : []),
    ...(existing?.kind === 'corrupt'
      ? [`the previous tag object could not be read (${existing.message}); other published forms of the tag are lost`]
      : []),
    ...derivation.warnings,
  ];
}

/** What is told of one image that was published, or would be. */
export function resultOf({
  request,
  referrers,
  plan,
  derivation,
  merge,
  present,
  sent,
  warnings,
}: {
  readonly request: PublishRequest;
  readonly referrers: Referrers;
  readonly plan: TagPlan;
  readonly derivation: Derivation;
  readonly merge: FormMerge;
  /** Keys that were in the bucket before. */
  readonly present: ReadonlySet<string>;
  readonly sent: Sent;
  readonly warnings: readonly string[];
}): PublishResult {
  const there = (planned: readonly { key: string }[]): number => planned.filter(({ key }) => present.has(key)).length;
  return {
    name: request.name,
    tag: request.tag,
    change: plan.change,
    dryRun: request.dryRun === true,
    forms: plan.record.forms,
    missing: derivation.missing.map((missing, index) => ({
      ...missing,
      explanation: derivation.explanations[index] ?? '',
    })),
    kept: merge.kept.map(({ form, digest }) => ({ form, digest })),
    dropped: merge.dropped.map(({ root: { form, digest }, why }) => ({ form, digest, why })),
    blobs: { total: plan.blobs.length, present: there(plan.blobs), sent: sent.blobs, sentBytes: sent.bytes },
    manifests: { total: plan.manifests.length, present: there(plan.manifests) },
    referrers: referrers.manifests.length,
    warnings,
  };
}
