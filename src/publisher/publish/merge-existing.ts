/** What was published under a tag before, read as an image again, and joined with what comes now. */
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

/** What comes now, and where to. */
export interface MergeInput {
  readonly store: WriteStore;
  readonly name: RepositoryName;
  readonly realm: RealmName;
  /** No form that was published before stays. */
  readonly replace: boolean;
  readonly image: ReadImage;
  readonly source: ImageSource;
  readonly signal: AbortSignal | undefined;
}

/** Both together. */
export interface MergedImage {
  readonly content: Pick<ImageContent, 'roots' | 'children' | 'configs'>;
  readonly merge: FormMerge;
  /** Gives the blobs of both. */
  readonly source: ImageSource;
  readonly warnings: readonly string[];
}

/** Adds the forms that stay of what was published before. */
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
      // It goes whatever it is of: it need not be read.
      olds.push({ root: { form: form.form, digest: form.digest, identities: [] }, content: NOTHING });
      continue;
    }
    try {
      const { content } = await readImage(openStoredImage(place, existing, [form]), { signal });
      olds.push(...rootsOf(content).map((root) => ({ root, content })));
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      warnings.push(
        `the ${FORM_TITLE[form.form]} that was published before cannot be read any more and goes: ${error.message}`,
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

/** Layers of what stays need not be in the source: they are in the bucket. */
function withFallback(source: ImageSource, bucket: ImageSource): ImageSource {
  return {
    roots: source.roots,
    manifest: (digest) => source.manifest(digest),
    blob: async (digest, options) => (await source.blob(digest, options)) ?? bucket.blob(digest, options),
    referrers: (subject) => source.referrers(subject),
    close: () => source.close(),
  };
}
