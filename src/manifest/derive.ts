/**
 * Derives every form of a tag from what was published: a pure function over bytes, the same in the publisher and in the
 * Worker.
 *
 * Published bytes are never changed and win over derived forms of the same kind. An image gives a schema 2 (from an OCI
 * manifest, or from a schema 1 that stands alone), an OCI manifest (from a schema 2) and a schema 1. A list of either
 * kind gives one of the other kind, and a schema 1 for each platform. A form that cannot be made leaves a reason.
 *
 * A schema 2 with layer types that are not in its specification is served unchanged, with a mark, because some
 * libraries refuse it. They get the OCI manifest, or a clean schema 2 if one can be made.
 */
import { FORMS, isListForm } from '../registry/media-type.ts';
import { Collector, type Offer } from './collector.ts';
import { fromSchema1, isNameless, platformOfSchema1 } from './from-schema1.ts';
import type { Derivation, DeriveOptions, ImageContent, Manifest } from './image.ts';
import { schema1Of, schema2Of } from './image-forms.ts';
import { type ImageForm, isCleanSchema2 } from './layer-types.ts';
import { childrenOf } from './list-children.ts';
import { deriveLists } from './list-forms.ts';
import { buildOciManifest } from './oci.ts';
import { readImageManifest } from './read.ts';

/** Derives. Never throws for the content of an image, whose digests must be verified. */
export function derive(content: ImageContent, options: DeriveOptions): Derivation {
  const into = new Collector(content, options);
  const roots = withoutNameless(into, content.roots).sort((a, b) => FORMS.indexOf(a.form) - FORMS.indexOf(b.form));
  const lists = roots
    .filter(({ form }) => isListForm(form))
    .map((list) => ({ list, children: childrenOf(content, list) }));
  const images = roots
    .filter(({ form }) => form === 'oci-manifest' || form === 'docker-schema2')
    .map((manifest) => ({ manifest, image: readImageManifest(manifest) }));
  const schema1 = roots.find(({ form }) => form === 'docker-schema1');
  // Beside a list, a published schema 1 stands for one of its platforms.
  const own = schema1 === undefined || lists.length === 0 ? undefined : (platformOfSchema1(schema1.bytes) ?? undefined);
  for (const { list, children } of lists) into.form(list, { source: PUBLISHED, images: children.images });
  for (const one of images) into.form(one.manifest, { source: PUBLISHED, images: [one] });
  if (schema1 !== undefined) into.form(schema1, { source: PUBLISHED, platform: own, images: [] });
  if (images.length > 0) deriveImage(into, images, schema1);
  else if (schema1 !== undefined && lists.length === 0) deriveFromSchema1(into, schema1);
  if (lists.length > 0) deriveLists(into, lists, { alone: images.length === 0, own });
  return into.derivation();
}

const PUBLISHED = { kind: 'published' } as const;

/** A schema 1 without a name crashes Docker 1.6 and 1.7. Beside another form it is left out, and one is derived. */
function withoutNameless(into: Collector, roots: readonly Manifest[]): Manifest[] {
  return roots.filter(({ form, bytes }) => {
    if (form !== 'docker-schema1' || roots.length === 1 || !isNameless(bytes)) return true;
    into.warn(
      'the published schema 1 has an empty name, which crashes Docker 1.6 and 1.7: a derived one takes its place',
    );
    return false;
  });
}

/** Forms of an image that stands alone: made from its schema 2, or from its OCI manifest if there is none. */
function deriveImage(into: Collector, published: readonly ImageForm[], schema1: Manifest | undefined): void {
  const oci = published.find(({ manifest }) => manifest.form === 'oci-manifest');
  const root = published.find(({ manifest }) => manifest.form === 'docker-schema2') ?? oci;
  if (root === undefined) return;
  const { manifest, image } = root;
  const source = { kind: 'derived', from: manifest.digest } as const;
  if (!isCleanSchema2(root)) {
    const made = schema2Of(into, image);
    if (made.kind === 'made') into.form(made.manifest, { source, images: [] });
    else if (root === oci) into.lacks('docker-schema2', made);
  }
  if (oci === undefined) offerOci(into, root, source);
  if (schema1 !== undefined) return;
  const made = schema1Of(into, image);
  if (made.kind === 'made') into.form(made.manifest, { source, images: [] });
  else into.lacks('docker-schema1', made);
}

function deriveFromSchema1(into: Collector, root: Manifest): void {
  const built = fromSchema1(root, into.content.unpacked);
  if (built.kind === 'refused') {
    into.lacks('docker-schema2', built);
    return;
  }
  const made = into.withinLimits(built.manifest);
  if (made.kind === 'refused') {
    into.lacks('docker-schema2', made);
    return;
  }
  const source = { kind: 'derived', from: root.digest } as const;
  into.blob(built.configDigest, built.config);
  into.form(made.manifest, { source, images: [] });
  offerOci(into, { manifest: made.manifest, image: readImageManifest(made.manifest) }, source);
}

function offerOci(into: Collector, { image }: ImageForm, source: Offer['source']): void {
  const manifest = buildOciManifest(image);
  const made = manifest === null ? null : into.withinLimits(manifest);
  if (made?.kind === 'made') into.form(made.manifest, { source, images: [{ manifest: made.manifest, image }] });
}
