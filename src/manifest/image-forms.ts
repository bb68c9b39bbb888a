/** Converts one image: to schema 2 and to schema 1, or gives the reason why not. */
import { MEDIA_TYPE_OF_FORM } from '../registry/media-type.ts';
import type { Collector, Made } from './collector.ts';
import { membersOfConfig } from './config-members.ts';
import { readGoTime } from './json/go-time.ts';
import { isForeign, isImage, isZstd } from './layer-types.ts';
import type { ImageManifest } from './read.ts';
import { buildSchema1 } from './schema1.ts';
import { buildSchema2 } from './schema2.ts';
import { sha256Of } from './signing/sha256.ts';

/** Graph layers that engines up to 1.9 can stack, minus a few for images built on top. */
const MANY_ENTRIES = 125;

/** Time of signing for images without a time. */
const NO_TIME = '1970-01-01T00:00:00Z';

/** The schema 2 of an image, with gzip copies of its layers where they exist. */
export function schema2Of(into: Collector, image: ImageManifest): Made {
  if (!isImage(image)) return { kind: 'refused', reason: 'schema2-not-an-image', explanation: notAnImage(image) };
  const made = buildSchema2(image.config, into.layersFor(image));
  return made.kind === 'refused' ? made : into.withinLimits(made.manifest);
}

/** The signed schema 1 of an image, with the same copies. */
export function schema1Of(into: Collector, image: ImageManifest): Made {
  const { content, options } = into;
  if (!isImage(image)) return { kind: 'refused', reason: 'schema1-not-an-image', explanation: notAnImage(image) };
  const layers = into.layersForSchema1(image);
  if (options.mode === 'strict') {
    const foreign = layers.find((layer) => isForeign(layer) && !content.held.has(layer.digest));
    if (foreign !== undefined)
      return {
        kind: 'refused',
        reason: 'schema1-foreign-layers',
        explanation: `the layer ${foreign.digest} is fetched from an address of its own`,
      };
    const packed = layers.find(isZstd);
    if (packed !== undefined)
      return {
        kind: 'refused',
        reason: 'schema1-zstd-layers',
        explanation: `the layer ${packed.digest} is packed with zstd`,
      };
  }
  const config = content.configs.get(image.config.digest);
  if (config === undefined)
    return {
      kind: 'refused',
      reason: 'schema1-config-invalid',
      explanation: `the config ${image.config.digest} is missing`,
    };
  const { name, tag } = options;
  const built = buildSchema1({ config, layers: layers.map(({ digest }) => digest), name, tag }, options.mode);
  if (built.kind === 'refused') return built;
  const bytes = options.signer.sign(built.payload, timeOf(config));
  const made = into.withinLimits({
    form: 'docker-schema1',
    mediaType: MEDIA_TYPE_OF_FORM['docker-schema1'],
    digest: sha256Of(built.payload),
    bytes,
  });
  if (made.kind === 'refused') return made;
  if (built.needsEmptyLayer) into.emptyLayer();
  if (built.entries > MANY_ENTRIES)
    into.warn(`the schema 1 has ${String(built.entries)} entries: engines before 1.10 stack at most 127 layers`);
  return made;
}

function notAnImage({ config, layers }: ImageManifest): string {
  const types = [...new Set([config.mediaType, ...layers.map(({ mediaType }) => mediaType)])];
  return `its config and layers are ${types.join(', ')}`;
}

/**
 * The creation time of the image, for the signature: RFC 3339 UTC in whole seconds. So the same image gives the same
 * bytes.
 */
function timeOf(config: Uint8Array): string {
  const { created } = membersOfConfig(config);
  // `Date` also reads other forms, some of them in the machine's time zone.
  const time = typeof created === 'string' && readGoTime(created) !== null ? new Date(created) : null;
  if (time === null || Number.isNaN(time.getTime()) || time.getUTCFullYear() < 1 || time.getUTCFullYear() > 9999)
    return NO_TIME;
  return `${time.toISOString().slice(0, 19)}Z`;
}
