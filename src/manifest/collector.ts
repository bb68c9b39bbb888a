import type { Descriptor } from '../registry/descriptor.ts';
import { type Digest, parseDigest } from '../registry/digest.ts';
import type { Reason } from '../registry/errors.ts';
import type { Form } from '../registry/media-type.ts';
import { formatPlatform, type Platform } from '../registry/platform.ts';
import type { MissingForm } from '../registry/records.ts';
import {
  type Derivation,
  DERIVED_MAX,
  type DerivedManifest,
  type DeriveOptions,
  type ImageContent,
  type Manifest,
} from './image.ts';
import type { ImageManifest } from './read.ts';
import { type ImageForm, marksOf } from './layer-types.ts';
import { EMPTY_LAYER } from './schema1.ts';

/** Why a form cannot be made. */
export interface Refusal {
  readonly kind: 'refused';
  readonly reason: Reason;
  readonly explanation: string;
}

/** A manifest, or why there is none. */
export type Made = { readonly kind: 'made'; readonly manifest: Manifest } | Refusal;

/** How a manifest is offered by tag. */
export interface Offer {
  readonly source: DerivedManifest['source'];
  /** The platform of a list's child; absent for the list itself and for single images. */
  readonly platform?: Platform | undefined;
  readonly images: readonly ImageForm[];
}

const LIMIT = `many clients read no manifest beyond ${String(DERIVED_MAX)}`;

/** Collects what `derive` makes: each form of each platform once. */
export class Collector {
  readonly content: ImageContent;
  readonly options: DeriveOptions;
  readonly #forms: DerivedManifest[] = [];
  readonly #others = new Map<Digest, DerivedManifest>();
  readonly #missing: { missing: MissingForm; explanation: string }[] = [];
  readonly #blobs = new Map<Digest, Uint8Array>();
  readonly #warnings = new Set<string>();
  #derivedBytes = 0;

  constructor(content: ImageContent, options: DeriveOptions) {
    this.content = content;
    this.options = options;
  }

  /** A derived manifest, or a refusal where it, or all of them together, would be too long. */
  withinLimits(manifest: Manifest): Made {
    const { form, bytes } = manifest;
    const reason = form === 'docker-schema1' ? 'schema1-too-large' : 'schema2-too-large';
    const { length } = bytes;
    if (length > DERIVED_MAX)
      return { kind: 'refused', reason, explanation: `it would have ${String(length)} bytes; ${LIMIT}` };
    const most = this.options.mostDerived ?? Infinity;
    if (this.#derivedBytes + length > most)
      return {
        kind: 'refused',
        reason,
        explanation: `all derived manifests of the tag would have more than ${String(most)} bytes`,
      };
    this.#derivedBytes += length;
    return { kind: 'made', manifest };
  }

  /** The layers that derived forms of an image name: gzip copies where they exist. */
  layersFor({ layers }: ImageManifest): readonly Descriptor[] {
    return layers.map((layer) => this.content.recompressed.get(layer.digest) ?? layer);
  }

  /** The layers that a derived schema 1 names: also the copies with explicit whiteouts. */
  layersForSchema1(image: ImageManifest): readonly Descriptor[] {
    const copies = this.content.whiteoutCopies?.get(image.config.digest);
    return this.layersFor(image).map((layer, at) => copies?.[at] ?? layer);
  }

  /**
   * Offers a manifest by tag, unless the tag has one of its form for the platform. Beside one with nonstandard layer
   * types, a clean one is offered too. `images`: the images that it lists, or itself.
   */
  form(manifest: Manifest, { source, platform, images }: Offer): void {
    const marks = marksOf(images);
    const same = this.#forms.filter((one) => one.form === manifest.form && isSamePlace(one.platform, platform));
    if (same.some(({ nonstandard }) => nonstandard === undefined)) return;
    if (same.length > 0 && marks.nonstandard !== undefined) return;
    this.#forms.push({ ...manifest, source, ...(platform && { platform }), ...marks });
  }

  other(manifest: Manifest, source: DerivedManifest['source']): void {
    if (!this.#others.has(manifest.digest)) this.#others.set(manifest.digest, { ...manifest, source });
  }

  lacks(form: Form, { reason, explanation }: Refusal, platform?: Platform): void {
    this.#missing.push({ missing: { form, reason, ...(platform === undefined ? {} : { platform }) }, explanation });
  }

  blob(digest: Digest, bytes: Uint8Array): void {
    this.#blobs.set(digest, bytes);
  }

  emptyLayer(): void {
    const digest = parseDigest(EMPTY_LAYER.digest);
    if (digest !== null) this.blob(digest, EMPTY_LAYER.bytes);
  }

  warn(message: string): void {
    this.#warnings.add(message);
  }

  derivation(): Derivation {
    const offered = new Set(this.#forms.map(({ digest }) => digest));
    return {
      // Published roots first, then other forms for the whole tag, then those for one platform.
      forms: this.#forms
        .map((form, at) => ({ form, at }))
        .sort((a, b) => Number(a.form.platform !== undefined) - Number(b.form.platform !== undefined) || a.at - b.at)
        .map(({ form }) => form),
      missing: this.#missing.map(({ missing }) => missing),
      explanations: this.#missing.map(({ explanation }) => explanation),
      others: [...this.#others.values()].filter(({ digest }) => !offered.has(digest)),
      blobs: [...this.#blobs].map(([digest, bytes]) => ({ digest, bytes })),
      warnings: [...this.#warnings],
    };
  }
}

function isSamePlace(a: Platform | undefined, b: Platform | undefined): boolean {
  return (a === undefined ? '' : formatPlatform(a)) === (b === undefined ? '' : formatPlatform(b));
}
