/** Makes the entry of a tag list from a tag object. */
import type { Digest } from '../registry/digest.ts';
import { type Form, isListForm } from '../registry/media-type.ts';
import { DEFAULT_PLATFORM, formatPlatform, type Platform } from '../registry/platform.ts';
import type { TagRecord } from '../registry/records.ts';
import type { TagSummary } from '../registry/summary.ts';
import { type ManifestLinks, readLinks } from './links.ts';

/** Looks up what is not in the tag object; null if it is not stored. */
export interface SummarySources {
  readonly manifest: (digest: Digest) => Promise<Uint8Array | null>;
  readonly blob: (digest: Digest) => Promise<Uint8Array | null>;
  /** Size of a blob in bytes. */
  readonly blobSize: (digest: Digest) => Promise<number | null>;
}

/** Summarises a tag. */
export async function summarizeTag(
  reading: { readonly record: TagRecord; readonly manifests: readonly Uint8Array[] },
  sources: SummarySources,
): Promise<TagSummary> {
  const { record, manifests } = reading;
  const forms = record.forms.map((form, index) => ({ form, links: readLinks(manifests[index] ?? new Uint8Array()) }));
  const published = forms.filter(({ form }) => form.source.kind === 'published' && form.platform === undefined);
  // Schema 1 has neither the sizes of its layers nor a platform member, so another form of the image is used.
  const root =
    published.find(({ form }) => form.form !== 'docker-schema1') ??
    forms.find(({ form }) => form.form === 'docker-schema2') ??
    published[0] ??
    forms[0];
  const links = root?.links ?? null;
  const { platforms, image } =
    links === null
      ? { platforms: [], image: null }
      : await look(links, root !== undefined && isListForm(root.form.form), sources);
  const formsOf = (kind: 'published' | 'derived'): Form[] => [
    ...new Set(record.forms.filter(({ source }) => source.kind === kind).map(({ form }) => form)),
  ];
  return {
    updated: record.updated,
    size: image === null ? 0 : await sizeOf(image, sources),
    platforms,
    published: formsOf('published'),
    derived: formsOf('derived'),
    missing: record.missing
      .filter(({ platform }) => platform === undefined)
      .map(({ form, reason }) => ({ form, reason })),
  };
}

async function look(
  links: ManifestLinks,
  isList: boolean,
  sources: SummarySources,
): Promise<{ platforms: string[]; image: ManifestLinks | null }> {
  if (!isList) return { platforms: await platformOfImage(links, sources), image: links };
  // Attestations have an unknown platform in a list.
  const images = links.children.filter(({ platform }) => platform !== undefined && platform.os !== 'unknown');
  const chosen =
    images.find(
      ({ platform }) => platform?.os === DEFAULT_PLATFORM.os && platform.architecture === DEFAULT_PLATFORM.architecture,
    ) ?? images[0];
  const bytes = chosen === undefined ? null : await sources.manifest(chosen.digest);
  const platforms = images.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  return { platforms: [...new Set(platforms)], image: bytes === null ? null : readLinks(bytes) };
}

async function platformOfImage(links: ManifestLinks, sources: SummarySources): Promise<string[]> {
  const bytes = links.config === undefined ? null : await sources.blob(links.config.digest);
  const platform = bytes === null ? null : platformOfConfig(bytes);
  return platform === null ? [] : [formatPlatform(platform)];
}

function platformOfConfig(bytes: Uint8Array): Platform | null {
  try {
    const { os, architecture, variant } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    if (typeof os !== 'string' || typeof architecture !== 'string') return null;
    return { os, architecture, ...(typeof variant === 'string' ? { variant } : {}) };
  } catch {
    return null;
  }
}

async function sizeOf(links: ManifestLinks, sources: SummarySources): Promise<number> {
  let sum = 0;
  for (const layer of links.layers) sum += layer.size ?? (await sources.blobSize(layer.digest)) ?? 0;
  return sum;
}
