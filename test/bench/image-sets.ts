/** The images that are published for measurement. */
import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { type Image, type LayerSpec, makeImage } from './images.ts';
import { sum } from './statistics.ts';

const MIB = 2 ** 20;

/** Images that share layers. */
export interface ImageSet {
  readonly title: string;
  /** What they are like. */
  readonly about: string;
  readonly images: readonly Image[];
  /** Bytes of all layers, those in several images once: as they are sent. */
  readonly size: number;
  /** The least rate that is wanted, of skopeo's; default 1. */
  readonly least?: number;
}

/** Services of one house: on the same base, and little of their own. */
export function makeServices(bench: Bench): Promise<ImageSet> {
  const own = Array.from({ length: 8 }, (_, image) =>
    [20, 10].map((mib, layer): LayerSpec => ({ seed: `own ${String(image)} ${String(layer)}`, size: mib * MIB })),
  );
  const base = [40, 20].map((mib): LayerSpec => ({ seed: `base ${String(mib)}`, size: mib * MIB }));
  return makeSet(bench, {
    title: 'services',
    about: 'Eight images of four layers: 60 MiB that all share, and 30 MiB of their own',
    layers: own.map((layers) => [...base, ...layers]),
  });
}

/** An image of which nearly nothing has to be sent: what a command costs. */
export async function makeTiny(bench: Bench): Promise<ImageSet> {
  const layers = [[{ seed: 'tiny', size: 4_000 }]];
  return { ...(await makeSet(bench, { title: 'a tiny image', about: 'One layer of 4 kB', layers })), least: 0.5 };
}

/**
 * Layers of some official images for linux/amd64, MiB as they are sent: rounded, 0 for some hundred bytes, and nobody's
 * exact manifest, since tags move. A name stands for the layers that several begin with.
 */
const OFFICIAL: Readonly<Record<string, readonly (number | string)[]>> = {
  nginx: ['debian', 42, 0, 0, 0, 0, 0],
  postgres: ['debian', 1, 4, 1, 8, 1, 0, 0, 105, 0, 0, 0, 0, 0],
  python: ['debian', 4, 12, 0],
  redis: ['debian', 0, 1, 15, 0, 0],
  node: ['buildpack', 201, 0, 49, 1, 0],
  golang: ['buildpack', 92, 75, 0, 0],
};
const COMMON: Readonly<Record<string, readonly number[]>> = { debian: [28], buildpack: [48, 24, 64] };

/** Images as they are pulled most, by their layers' sizes. */
export function makeOfficial(bench: Bench): Promise<ImageSet> {
  // Layers of a few files have some hundred bytes.
  const spec = (seed: string, mib: number): LayerSpec => ({ seed, size: mib === 0 ? 500 : mib * MIB });
  return makeSet(bench, {
    title: 'official images',
    about: `Images with layers of about the sizes of ${Object.keys(OFFICIAL).join(', ')}`,
    layers: Object.entries(OFFICIAL).map(([name, layers]) =>
      layers.flatMap((layer, at) =>
        typeof layer === 'number'
          ? spec(`${name} ${String(at)}`, layer)
          : (COMMON[layer] ?? []).map((mib, below) => spec(`${layer} ${String(below)}`, mib)),
      ),
    ),
  });
}

async function makeSet(
  { folder, tell }: Bench,
  { title, about, layers }: Pick<ImageSet, 'title' | 'about'> & { readonly layers: readonly (readonly LayerSpec[])[] },
): Promise<ImageSet> {
  tell(`making images: ${title}`);
  const images: Image[] = [];
  for (const [at, specs] of layers.entries())
    images.push(await makeImage(join(folder, `${title} ${String(at)}`), specs));
  return {
    title,
    about,
    images,
    size: sum([
      ...new Map(images.flatMap((image) => image.layers.map((layer) => [layer.digest, layer.size]))).values(),
    ]),
  };
}
