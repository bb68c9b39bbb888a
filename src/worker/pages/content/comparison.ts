/** What differs between two images. Pure. */
import type { BlobView, ConfigView, ManifestView } from './image-view.ts';

/** What a comparison is made of. */
export interface ComparedImage {
  readonly manifest: ManifestView | null;
  readonly details: ConfigView | null;
}

/** A layer, and which of the images has it. */
export interface ComparedLayer extends BlobView {
  readonly standing: 'shared' | 'new' | 'gone';
}

/** A name whose value differs; null: absent. */
export interface Change {
  readonly name: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** What differs. Sizes in bytes, of the layers whose size is known. */
export interface Comparison {
  /** Those of the image after, base first, and then those that only the image before has. */
  readonly layers: readonly ComparedLayer[];
  readonly sharedSize: number;
  readonly newSize: number;
  readonly sizeBefore: number;
  readonly sizeAfter: number;
  readonly environment: readonly Change[];
  readonly labels: readonly Change[];
  /** Entry point, command, user and the like; the environment is apart. */
  readonly settings: readonly Change[];
}

/** Compares two images: from `before` to `after`. */
export function compareImages(before: ComparedImage, after: ComparedImage): Comparison {
  const old = before.manifest?.layers ?? [];
  const current = after.manifest?.layers ?? [];
  const had = new Set(old.map(({ digest }) => digest));
  const has = new Set(current.map(({ digest }) => digest));
  const layers = [
    ...current.map((layer): ComparedLayer => ({ ...layer, standing: had.has(layer.digest) ? 'shared' : 'new' })),
    ...old.filter(({ digest }) => !has.has(digest)).map((layer): ComparedLayer => ({ ...layer, standing: 'gone' })),
  ];
  const sizeOf = (standing: ComparedLayer['standing']): number =>
    sum(layers.filter((layer) => layer.standing === standing));
  return {
    layers,
    sharedSize: sizeOf('shared'),
    newSize: sizeOf('new'),
    sizeBefore: sum(old),
    sizeAfter: sum(current),
    environment: changesOf(environmentOf(before.details), environmentOf(after.details)),
    labels: changesOf(before.details?.labels ?? [], after.details?.labels ?? []),
    settings: changesOf(settingsOf(before.details), settingsOf(after.details)),
  };
}

type Pairs = readonly (readonly [string, string])[];

/** The pairs that differ, in the order of the image after; then those that only the image before has. */
function changesOf(before: Pairs, after: Pairs): readonly Change[] {
  const old = new Map(before);
  const current = new Map(after);
  return [...new Set([...current.keys(), ...old.keys()])]
    .map((name) => ({ name, before: old.get(name) ?? null, after: current.get(name) ?? null }))
    .filter((change) => change.before !== change.after);
}

function environmentOf(details: ConfigView | null): Pairs {
  return (details?.environment ?? []).map((line) => {
    const at = line.indexOf('=');
    return at < 0 ? ([line, ''] as const) : ([line.slice(0, at), line.slice(at + 1)] as const);
  });
}

function settingsOf(details: ConfigView | null): Pairs {
  return (details?.settings ?? []).filter(([title]) => title !== 'Environment');
}

function sum(layers: readonly BlobView[]): number {
  return layers.reduce((total, { size }) => total + (size ?? 0), 0);
}
