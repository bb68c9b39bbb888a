/** What a root filesystem holds, as text that can be compared: the judge of every client that unpacks. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';

/**
 * Path without a leading slash → type, mode, owner and content of what is there. Only what lies below {@link JUDGED}
 * counts: engines add `dev`, `etc` and the like of their own.
 */
export type Tree = ReadonlyMap<string, string>;

/** The folders at the root that images of the matrix fill, and engines leave alone. */
export const JUDGED = ['bin', 'data', 'layers'] as const;

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * What a stack of layers (tars, base first) makes, by the rules of the OCI image spec ("Applying Changesets").
 * `ignoresOpaque`: as an engine that takes an opaque whiteout for the whiteout of a file called `.wh..opq`.
 */
export async function treeOfLayers(
  layers: Iterable<Readable> | AsyncIterable<Readable>,
  { ignoresOpaque = false }: { readonly ignoresOpaque?: boolean } = {},
): Promise<Tree> {
  const tree = new Map<string, string>();
  for await (const layer of layers) {
    // What a layer hides is what lies below it, wherever in the layer it says so.
    const below = [...tree.keys()];
    await readTar(layer, (path, line) => {
      const [folder, name] = split(path);
      if (name === OPAQUE && !ignoresOpaque) remove(tree, below, (one) => one.startsWith(`${folder}/`));
      else if (name.startsWith(WHITEOUT)) {
        const hidden = folder === '' ? name.slice(WHITEOUT.length) : `${folder}/${name.slice(WHITEOUT.length)}`;
        remove(tree, below, (one) => one === hidden || one.startsWith(`${hidden}/`));
      } else put(tree, path, line);
    });
  }
  return tree;
}

/** What a tar of a whole filesystem holds, as `docker export` writes it. */
export async function treeOfTar(tar: Readable): Promise<Tree> {
  const tree = new Map<string, string>();
  await readTar(tar, (path, line) => put(tree, path, line));
  return tree;
}

/** What a mounted or unpacked filesystem holds. */
export async function treeOfFolder(root: string): Promise<Tree> {
  const tree = new Map<string, string>();
  const look = async (path: string): Promise<void> => {
    const file = join(root, path);
    const status = await lstat(file);
    const owner = `${String(status.uid)}:${String(status.gid)}`;
    const mode = status.mode & 0o7777;
    if (status.isSymbolicLink()) put(tree, path, lineOf('symlink', mode, owner, await readlink(file)));
    else if (status.isDirectory()) {
      put(tree, path, lineOf('directory', mode, owner));
      for (const name of await readdir(file)) await look(`${path}/${name}`);
    } else if (status.isFile()) put(tree, path, lineOf('file', mode, owner, await hashOf(createReadStream(file))));
    else put(tree, path, lineOf('special', mode, owner));
  };
  const names = await readdir(root);
  for (const name of JUDGED) if (names.includes(name)) await look(name);
  return tree;
}

/** Throws with the first paths that differ. */
export function expectSameTree(actual: Tree, expected: Tree): void {
  const paths = [...new Set([...expected.keys(), ...actual.keys()])];
  const different = paths.filter((path) => expected.get(path) !== actual.get(path));
  if (expected.size === 0) throw new Error('the image has no files to compare');
  if (different.length === 0) return;
  const shown = different
    .slice(0, 3)
    .map((path) => `${path}: ${actual.get(path) ?? 'absent'}, not ${expected.get(path) ?? 'absent'}`);
  throw new Error(`${String(different.length)} of ${String(paths.length)} paths differ: ${shown.join('; ')}`);
}

/** One hash of it all. */
export function hashOfTree(tree: Tree): string {
  const lines = [...tree].map(([path, line]) => `${path} ${line}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}

async function readTar(tar: Readable, take: (path: string, line: string) => void): Promise<void> {
  const reader = extract();
  // Hard links are files of their own to whoever reads them.
  const files = new Map<string, string>();
  const reading = pipeline(tar, reader);
  for await (const entry of reader) {
    const { header } = entry;
    const path = header.name.replace(/^(?:\.?\/)+/, '').replace(/\/$/, '');
    const owner = `${String(header.uid)}:${String(header.gid)}`;
    const mode = header.mode & 0o7777;
    const content = await hashOf(entry);
    if (path === '' || path === '.') continue;
    let line: string;
    if (header.type === 'directory') line = lineOf('directory', mode, owner);
    else if (header.type === 'symlink') line = lineOf('symlink', mode, owner, header.linkname);
    else if (header.type === 'link') line = files.get(header.linkname.replace(/^(?:\.?\/)+/, '')) ?? 'link to nothing';
    else if (header.type === 'file' || header.type === 'contiguous-file') line = lineOf('file', mode, owner, content);
    else line = lineOf('special', mode, owner);
    files.set(path, line);
    take(path, line);
  }
  await reading;
}

// The mode of a symlink means nothing, and engines differ over it.
function lineOf(type: 'file' | 'directory' | 'symlink' | 'special', mode: number, owner: string, content = ''): string {
  return [type, type === 'symlink' ? '' : mode.toString(8), owner, content].join(' ');
}

function put(tree: Map<string, string>, path: string, line: string): void {
  if (JUDGED.some((root) => path === root || path.startsWith(`${root}/`))) tree.set(path, line);
}

function remove(tree: Map<string, string>, below: readonly string[], isHidden: (path: string) => boolean): void {
  for (const path of below) if (isHidden(path)) tree.delete(path);
}

function split(path: string): [string, string] {
  const at = path.lastIndexOf('/');
  return at === -1 ? ['', path] : [path.slice(0, at), path.slice(at + 1)];
}

async function hashOf(bytes: AsyncIterable<unknown>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of bytes) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
