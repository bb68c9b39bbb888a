/** Reads the forms that were published under a tag before, and merges them with new ones. */
import type { ImageContent } from '../../manifest/image.ts';
import { FORM_TITLE } from '../../registry/media-type.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { RealmName } from '../../registry/realms.ts';
import type { WriteStore } from '../../registry/store.ts';
import { ImageError } from '../../bucket/image-source.ts';
import type { ReadTag } from '../../bucket/read-tag.ts';
import { identitiesOf } from './image-identity.ts';
import { mergeForms, type FormMerge, type PublishedRoot } from './merge-forms.ts';
import { readImage, type ReadImage } from '../../bucket/read-image.ts';
import { openStoredImage } from '../../bucket/stored-image.ts';
import { publishedRoots } from '../../bucket/read-tag.ts';
import type { ImageSource } from '../../bucket/image-source.ts';

/** The new image, and where it is published. */
export interface MergeInput {
  readonly store: WriteStore;
  readonly name: RepositoryName;
  readonly realm: RealmName;
  /** Drop all forms that were published before. */
  readonly replace: boolean;
  readonly image: ReadImage;
  readonly source: ImageSource;
  readonly signal: AbortSignal | undefined;
}

/** The new image with the forms that are kept. */
export interface MergedImage {
  readonly content: Pick<ImageContent, 'roots' | 'children' | 'configs'>;
  readonly merge: FormMerge;
  /** Has the blobs of both. */
  readonly source: ImageSource;
  readonly warnings: readonly string[];
}

/** Adds the forms that are kept of those published before. */
export async function mergeExisting(
  { store, name, realm, replace, image, source, signal }: MergeInput,
  existing: ReadTag | null,
): Promise<MergedImage> {
  const fresh = image.content;
  if (existing === null) return { content: fresh, merge: { kept: [], dropped: [] }, source, warnings: [] };
  const place = { store, name, realm };
  const olds: { root: PublishedRoot; content: ReadImage['content'] }[] = [];
  const warnings: string[] = [];
  const rootsOf = (content: ReadImage['content']): PublishedRoot[] =>
    content.roots.map((root) => ({ form: root.form, digest: root.digest, identities: identitiesOf(root, content) }));
  for (const form of publishedRoots(existing)) {
    if (replace || fresh.roots.some((root) => root.form === form.form)) {
      // It is dropped in any case, so it need not be read.
      olds.push({ root: { form: form.form, digest: form.digest, identities: [] }, content: NOTHING });
      continue;
    }
    try {
      const { content } = await readImage(openStoredImage(place, existing, [form]), { signal });
      olds.push(...rootsOf(content).map((root) => ({ root, content })));
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      warnings.push(
        `the ${FORM_TITLE[form.form]} that was published before can no longer be read, and is dropped: ${error.message}`,
      );
    }
  }
  const merge = mergeForms(
    olds.map(({ root }) => root),
    rootsOf(fresh),
    replace,
  );
  const kept = olds.filter(({ root }) => merge.kept.includes(root)).map(({ content }) => content);
  return {
    merge,
    warnings,
    content: {
      roots: [...fresh.roots, ...kept.flatMap(({ roots }) => roots)],
      children: new Map([...kept.flatMap(({ children }) => [...children]), ...fresh.children]),
      configs: new Map([...kept.flatMap(({ configs }) => [...configs]), ...fresh.configs]),
    },
    source: kept.length === 0 ? source : withFallback(source, openStoredImage(place, existing)),
  };
}

const NOTHING: ReadImage['content'] = { roots: [], children: new Map(), configs: new Map() };

/** Layers of kept forms are in the bucket, and need not be in the source. */
function withFallback(source: ImageSource, bucket: ImageSource): ImageSource {
  return {
    roots: source.roots,
    manifest: (digest) => source.manifest(digest),
    blob: async (digest, options) => (await source.blob(digest, options)) ?? bucket.blob(digest, options),
    referrers: (subject) => source.referrers(subject),
    close: () => source.close(),
  };
}
