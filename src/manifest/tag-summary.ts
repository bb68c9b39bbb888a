/** Makes the entry of a tag list from a tag object. */
import type { Digest } from '../registry/digest.ts';
import { type Form, isListForm } from '../registry/media-type.ts';
import { formatPlatform, isDefaultPlatform } from '../registry/platform.ts';
import type { TagRecord } from '../registry/records.ts';
import { ADDRESS_MAX, DESCRIPTION_MAX, type TagSummary } from '../registry/summary.ts';
import { type JsonObject, objectOf } from '../registry/values/json.ts';
import { membersOfConfig, platformOfMembers } from './config-members.ts';
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
  const { platforms, image, labels } =
    links === null
      ? { platforms: [], image: null, labels: undefined }
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
    ...describe([links?.annotations, image?.annotations, labels]),
  };
}

const DESCRIPTION = 'org.opencontainers.image.description';
const DOCUMENTATION = 'org.opencontainers.image.documentation';

/**
 * Description and documentation (OCI image spec, annotations.md), each from the first that has it: the list, the image,
 * the labels of the image.
 */
function describe(texts: readonly (JsonObject | undefined)[]): Pick<TagSummary, 'description' | 'documentation'> {
  const valueOf = (name: string): string | undefined =>
    texts.map((text) => text?.[name]).find((value) => typeof value === 'string' && value !== '') as string | undefined;
  const description = valueOf(DESCRIPTION)?.slice(0, DESCRIPTION_MAX);
  const documentation = valueOf(DOCUMENTATION);
  const isAddress =
    documentation !== undefined && documentation.length <= ADDRESS_MAX && /^https?:\/\//i.test(documentation);
  return { ...(description !== undefined && { description }), ...(isAddress && { documentation }) };
}

async function look(
  links: ManifestLinks,
  isList: boolean,
  sources: SummarySources,
): Promise<{ platforms: string[]; image: ManifestLinks | null; labels: Labels }> {
  if (!isList) return { ...(await readConfig(links, sources)), image: links };
  // Attestations have an unknown platform in a list.
  const images = links.children.filter(({ platform }) => platform !== undefined && platform.os !== 'unknown');
  const chosen = images.find(({ platform }) => isDefaultPlatform(platform)) ?? images[0];
  const bytes = chosen === undefined ? null : await sources.manifest(chosen.digest);
  const platforms = images.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  const image = bytes === null ? null : readLinks(bytes);
  const labels = image === null ? undefined : (await readConfig(image, sources)).labels;
  return { platforms: [...new Set(platforms)], image, labels };
}

type Labels = JsonObject | undefined;

/** What the config of a single image says: its platform, and its labels. */
async function readConfig(
  links: ManifestLinks,
  sources: SummarySources,
): Promise<{ platforms: string[]; labels: Labels }> {
  const bytes = links.config === undefined ? null : await sources.blob(links.config.digest);
  const config = membersOfConfig(bytes ?? undefined);
  const platform = platformOfMembers(config);
  return {
    platforms: platform === null ? [] : [formatPlatform(platform)],
    labels: objectOf(objectOf(config.config).Labels),
  };
}

async function sizeOf(links: ManifestLinks, sources: SummarySources): Promise<number> {
  let sum = 0;
  for (const layer of links.layers) sum += layer.size ?? (await sources.blobSize(layer.digest)) ?? 0;
  return sum;
}
