/**
 * The parts of an image's manifest and config that a page shows. Parsing is lenient: invalid parts are left out,
 * because nothing is served from here.
 */
import type { Digest } from '../../../registry/digest.ts';
import { MEDIA_TYPES } from '../../../registry/media-type.ts';
import { formatPlatform } from '../../../registry/platform.ts';
import { isObject, type JsonObject, listOf, objectOf, parseJson, textOf } from '../../../registry/values/json.ts';
import { platformOfMembers } from '../../../manifest/config-members.ts';
import { digestOf, pairsOf, sizeOf } from './json.ts';

/** A blob of a manifest; `size` in bytes, null if the manifest does not contain it (schema 1). */
export interface BlobView {
  readonly digest: Digest;
  readonly size: number | null;
  readonly mediaType: string | null;
}

/** One step of the history. */
export interface HistoryStep {
  readonly createdBy: string;
  readonly comment: string;
  readonly created: string | null;
  readonly isEmpty: boolean;
}

/** A parsed manifest of an image or artifact. */
export interface ManifestView {
  /** Everything but a container image is an artifact. */
  readonly kind: 'image' | 'artifact';
  /** The type of an artifact. */
  readonly artifactType: string | null;
  readonly config: BlobView | null;
  /** Base first. */
  readonly layers: readonly BlobView[];
  /** From a schema 1 manifest, which contains it; null if the config has it. */
  readonly details: ConfigView | null;
  readonly annotations: readonly (readonly [string, string])[];
}

/** A parsed image config. */
export interface ConfigView {
  readonly platform: string | null;
  readonly created: string | null;
  readonly author: string | null;
  /** How the image runs: titles and values, in the order of display. */
  readonly settings: readonly (readonly [string, string])[];
  readonly labels: readonly (readonly [string, string])[];
  /** `NAME=value` each. */
  readonly environment: readonly string[];
  /** Base first. */
  readonly history: readonly HistoryStep[];
}

/** An entry of a list. */
export interface ChildView extends BlobView {
  /** Null for entries that are not images, such as attestations. */
  readonly platform: string | null;
  /** The image that an attestation of BuildKit is about. */
  readonly about: Digest | null;
}

/** A layer with the step that created it, or a step without a layer. */
export interface Step {
  readonly layer: (BlobView & { readonly number: number }) | null;
  readonly history: HistoryStep | null;
}

/** Parses a manifest that is not a list; null if it is not JSON. */
export function readManifestView(bytes: Uint8Array): ManifestView | null {
  const manifest = parseJson(bytes);
  if (!isObject(manifest)) return null;
  if (manifest.schemaVersion === 1) return readSchema1(manifest);
  const configType = textOf(objectOf(manifest.config).mediaType);
  const artifactType = textOf(manifest.artifactType);
  const isImage =
    artifactType === null && (configType === MEDIA_TYPES.dockerConfig || configType === MEDIA_TYPES.ociConfig);
  return {
    kind: isImage ? 'image' : 'artifact',
    artifactType: isImage ? null : (artifactType ?? configType),
    config: blobOf(manifest.config),
    layers: listOf(manifest.layers).flatMap((layer) => blobOf(layer) ?? []),
    details: null,
    annotations: pairsOf(manifest.annotations),
  };
}

/** Parses the entries of a list; empty if it is not a list. */
export function readChildren(bytes: Uint8Array): readonly ChildView[] {
  return listOf(objectOf(parseJson(bytes)).manifests).flatMap((child): ChildView[] => {
    const blob = blobOf(child);
    if (blob === null) return [];
    const { platform: given, annotations } = objectOf(child);
    const platform = platformOfMembers(objectOf(given));
    // BuildKit lists attestations as images of an unknown platform.
    return [
      {
        ...blob,
        platform: platform === null || platform.os === 'unknown' ? null : formatPlatform(platform),
        about: digestOf(objectOf(annotations)['vnd.docker.reference.digest']),
      },
    ];
  });
}

/** Parses an image config; null if it is not JSON. */
export function readConfigView(bytes: Uint8Array): ConfigView | null {
  const config = parseJson(bytes);
  return !isObject(config) ? null : configView(config, listOf(config.history).map(historyStep));
}

/**
 * Layers and history as one sequence, base first. If their numbers differ, they cannot be matched: the layers come
 * first, then the history.
 */
export function stepsOf(
  layers: readonly BlobView[],
  history: readonly HistoryStep[],
): { readonly steps: readonly Step[]; readonly fits: boolean } {
  const numbered = layers.map((layer, index) => ({ ...layer, number: index + 1 }));
  const fits = history.filter(({ isEmpty }) => !isEmpty).length === layers.length;
  if (!fits) {
    const bare = numbered.map((layer): Step => ({ layer, history: null }));
    return {
      steps: [...bare, ...history.map((step): Step => ({ layer: null, history: step }))],
      fits: history.length === 0,
    };
  }
  let next = 0;
  return {
    steps: history.map((step): Step => ({ layer: step.isEmpty ? null : (numbered[next++] ?? null), history: step })),
    fits,
  };
}

function readSchema1(manifest: JsonObject): ManifestView {
  const digests = listOf(manifest.fsLayers).map((layer) => digestOf(objectOf(layer).blobSum));
  const entries = listOf(manifest.history).map((entry) =>
    objectOf(parseJson(textOf(objectOf(entry).v1Compatibility) ?? '')),
  );
  const history = entries.map((entry): HistoryStep => {
    const step = historyStep({
      ...entry,
      created_by: listOf(objectOf(entry.container_config).Cmd).map(String).join(' '),
    });
    return { ...step, isEmpty: entry.throwaway === true };
  });
  // The manifest has the newest step first. A step without a layer names the empty layer.
  const kept = digests.map((digest, index) =>
    digest === null || history[index]?.isEmpty === true ? null : { digest, size: null, mediaType: null },
  );
  return {
    kind: 'image',
    artifactType: null,
    config: null,
    layers: kept.filter((layer) => layer !== null).reverse(),
    details: configView(entries[0] ?? {}, history.reverse()),
    annotations: [],
  };
}

function configView(config: JsonObject, history: readonly HistoryStep[]): ConfigView {
  const run = objectOf(config.config);
  const settings: readonly (readonly [string, string | null])[] = [
    ['Entrypoint', commandOf(run.Entrypoint)],
    ['Command', commandOf(run.Cmd)],
    ['Working directory', textOf(run.WorkingDir)],
    ['User', textOf(run.User)],
    ['Ports', keysOf(run.ExposedPorts)],
    ['Volumes', keysOf(run.Volumes)],
    ['Environment', linesOf(run.Env)],
    ['Stop signal', textOf(run.StopSignal)],
  ];
  const platform = platformOfMembers(config);
  return {
    platform: platform === null ? null : formatPlatform(platform),
    created: textOf(config.created),
    author: textOf(config.author),
    settings: settings.flatMap(([title, value]) => (value === null ? [] : [[title, value] as const])),
    labels: pairsOf(run.Labels),
    environment: listOf(run.Env).map(String),
    history,
  };
}

function historyStep(value: unknown): HistoryStep {
  const { created_by, comment, created, empty_layer } = objectOf(value);
  return {
    createdBy: textOf(created_by) ?? '',
    comment: textOf(comment) ?? '',
    created: textOf(created),
    isEmpty: empty_layer === true,
  };
}

function keysOf(value: unknown): string | null {
  return textOf(Object.keys(objectOf(value)).join(' '));
}

function linesOf(value: unknown): string | null {
  return textOf(listOf(value).map(String).join('\n'));
}

/** A command as JSON, as Dockerfiles write it. */
function commandOf(value: unknown): string | null {
  return listOf(value).length === 0 ? null : JSON.stringify(value);
}

function blobOf(value: unknown): BlobView | null {
  const { digest, size, mediaType } = objectOf(value);
  const parsed = digestOf(digest);
  return parsed === null ? null : { digest: parsed, size: sizeOf(size), mediaType: textOf(mediaType) };
}
