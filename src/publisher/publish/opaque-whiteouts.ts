/**
 * Opaque whiteouts: a file `.wh..wh..opq` hides what lower layers have in its folder (OCI image spec, layer.md). Docker
 * 1.6 to 1.8 ignores it, so deleted files come back. Whiteouts of single files, `.wh.<name>`, work in all versions.
 * This module finds those that say the same. Pure: the layers' members are given to it.
 */

/** The name of an opaque whiteout. */
const OPAQUE = '.wh..wh..opq';
const WHITEOUT = '.wh.';

/** Names of AUFS itself, which are not part of the file system. */
const METADATA = '.wh..wh.';

/** A member of a layer. */
export interface Member {
  /** Without `.` and empty parts; '' is the root. */
  readonly path: string;
  readonly isFolder: boolean;
}

/** The folder that a member makes opaque; null for any other member. */
export function opaqueFolder(path: string): string | null {
  const { folder, name } = split(path);
  return name === OPAQUE ? folder : null;
}

/** More names than are kept in memory for one image. */
export class TooManyNamesError extends Error {
  override readonly name = 'TooManyNamesError';
}

/** Most characters of names that are kept for one image. */
export const NAMES_MAX = 32 * 1024 * 1024;

/** Counts the names that are kept. */
export class NameBudget {
  #left: number;

  constructor(characters = NAMES_MAX) {
    this.#left = characters;
  }

  /** Throws {@link TooManyNamesError}. */
  keep(name: string): void {
    this.#left -= name.length + 1;
    if (this.#left < 0) throw new TooManyNamesError('the layers have more names than fit in memory');
  }
}

/**
 * What one layer has below its opaque folders. A folder that is opaque, and every folder that the layer has below it,
 * shows nothing of the lower layers.
 */
export class OpaqueLayer {
  readonly #opaque: ReadonlySet<string>;
  readonly #budget: NameBudget;
  /** Everything that the layer has in or below an opaque folder. */
  readonly #own = new Set<string>();
  readonly #folders: Set<string>;

  constructor(opaque: ReadonlySet<string>, budget: NameBudget) {
    this.#opaque = opaque;
    this.#budget = budget;
    this.#folders = new Set(opaque);
  }

  /** The folders that show nothing of the lower layers. Complete after the last member. */
  get folders(): ReadonlySet<string> {
    return this.#folders;
  }

  /** Adds a member of the layer. */
  add({ path, isFolder }: Member): void {
    if (!this.#isBelow(path)) return;
    if (isFolder) this.#folders.add(path);
    if (split(path).name.startsWith(WHITEOUT)) {
      // It adds nothing itself, not even the folders above it.
      this.#budget.keep(path);
      this.#own.add(path);
      return;
    }
    // Folders may have no member of their own.
    for (let at = path; !this.#own.has(at) && !this.#opaque.has(at); at = split(at).folder) {
      this.#budget.keep(at);
      this.#own.add(at);
      if (at !== path) this.#folders.add(at);
    }
  }

  /** The whiteouts that hide what `lower` shows, in order. */
  whiteouts(lower: LowerLayers): readonly string[] {
    const hidden: string[] = [];
    for (const folder of this.#folders) {
      for (const name of lower.namesIn(folder)) {
        // What the layer has itself takes the place of a lower one, and beside it a whiteout could hide it (AUFS).
        if (!this.#own.has(join(folder, name))) hidden.push(join(folder, WHITEOUT + name));
      }
    }
    return hidden.filter((path) => !this.#own.has(path)).sort();
  }

  #isBelow(path: string): boolean {
    if (this.#opaque.has('')) return path !== '';
    for (let at = path; at !== '';) {
      at = split(at).folder;
      if (this.#opaque.has(at)) return true;
    }
    return false;
  }
}

/** The names in some folders, as the layers so far show them, base first. */
export class LowerLayers {
  readonly #budget: NameBudget;
  readonly #shown: ReadonlyMap<string, Set<string>>;
  /** Of the layer that is being added: its whiteouts hide only what is below it. */
  #added = new Map<string, Set<string>>();
  /** The folders and all folders above them. */
  readonly #above = new Set<string>();

  constructor(folders: Iterable<string>, budget: NameBudget) {
    this.#budget = budget;
    this.#shown = new Map([...folders].map((folder) => [folder, new Set<string>()]));
    for (const folder of this.#shown.keys())
      for (let at = folder; !this.#above.has(at); at = split(at).folder) this.#above.add(at);
  }

  /** The names that are shown in a folder. */
  namesIn(folder: string): Iterable<string> {
    return this.#shown.get(folder) ?? [];
  }

  /** Adds a member of the next layer. */
  add({ path, isFolder }: Member): void {
    const { folder, name } = split(path);
    if (name === OPAQUE) this.#hide(folder, this.#shown);
    else if (name.startsWith(METADATA)) return;
    else if (name.startsWith(WHITEOUT)) {
      const hidden = name.slice(WHITEOUT.length);
      this.#shown.get(folder)?.delete(hidden);
      this.#hide(join(folder, hidden), this.#shown);
    } else {
      // A file takes the place of a folder.
      if (!isFolder) for (const names of [this.#shown, this.#added]) this.#hide(path, names);
      this.#show(path);
    }
  }

  /** Ends a layer. */
  endLayer(): void {
    for (const [folder, names] of this.#added) for (const name of names) this.#shown.get(folder)?.add(name);
    this.#added = new Map();
  }

  #show(path: string): void {
    // Folders may have no member of their own.
    for (let at = path; at !== '';) {
      const { folder, name } = split(at);
      if (this.#shown.has(folder)) {
        const names = this.#added.get(folder) ?? new Set<string>();
        if (!names.has(name)) {
          this.#budget.keep(name);
          this.#added.set(folder, names.add(name));
        }
      }
      at = folder;
    }
  }

  #hide(path: string, names: ReadonlyMap<string, Set<string>>): void {
    if (!this.#above.has(path)) return;
    for (const [folder, set] of names) if (path === '' || folder === path || folder.startsWith(`${path}/`)) set.clear();
  }
}

function split(path: string): { readonly folder: string; readonly name: string } {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? { folder: '', name: path } : { folder: path.slice(0, slash), name: path.slice(slash + 1) };
}

function join(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
