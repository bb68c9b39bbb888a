/**
 * `pulp2:FOLDER[:TAG]`: a repository published by Pulp 2 (pulp_docker's web distributor):
 *
 * ```
 * <root>/v2/app/<repo_id>.json                the app file: Crane's record of the repository
 * <root>/v2/web/<repo_id>/tags/list           → v2/master/<repo_id>/<timestamp>/, replaced as a whole by the next
 * publish
 *                         manifests/{1,2,list}/<digest or tag>    (manifests/<digest or tag> before app file version 3)
 *                         blobs/<digest>
 * ```
 * FOLDER is the repository's folder, or its app file. A tag may be published as schema 1, schema 2 and list: all are
 * used.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ManifestError, readManifest } from '../../manifest/read.ts';
import type { Digest } from '../../registry/digest.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';
import { isObject, objectOf, parseJson } from '../../registry/values/json.ts';
import { CommandError } from '../cli/errors.ts';
import { openFileBlob, readSmallFile } from './files.ts';
import type { ImageSource, SourceManifest } from '../../bucket/image-source.ts';
import type { SourceRepository, SourceOptions } from './source.ts';

/** A repository, with the settings of its app file. */
export interface PulpRepository extends SourceRepository {
  readonly protected: boolean;
}

/** Folders of manifests, in order of preference. */
const FORM_FOLDERS = ['list', '2', '1'] as const;

/** Opens one tag; the name may be omitted if there is only one. Throws {@link CommandError}. */
export async function openPulpTag(where: string, options: Pick<SourceOptions, 'signal'>): Promise<ImageSource> {
  const colon = where.lastIndexOf(':');
  const isWhole = colon < 0 || (await kindOf(where)) !== 'absent';
  const path = isWhole ? where : where.slice(0, colon);
  const repository = await openPulpRepository(path, options.signal);
  const tags = (await repository.tags())?.tags ?? [];
  const shown = `${tags.slice(0, 10).join(', ')}${tags.length > 10 ? ' …' : ''}`;
  const [only] = tags;
  const text = isWhole ? only : where.slice(colon + 1);
  if (text === undefined || (isWhole && tags.length > 1)) {
    throw new CommandError(`${repository.title} has ${String(tags.length)} tags`, {
      hint:
        tags.length === 0
          ? 'Publish it in Pulp first.'
          : `Choose one of ${shown}: pulp2:${path}:TAG. \`gantry sync\` publishes all.`,
    });
  }
  const tag = parseTag(text);
  const image = tag === null ? null : await repository.open(tag, { schema1: true });
  if (image === null)
    throw new CommandError(`${repository.title} has no tag "${text}"`, {
      hint: tags.length === 0 ? 'It has none.' : `It has: ${shown}.`,
    });
  return image;
}

/** The app files of a whole tree (`<root>` or `<root>/v2`), sorted. Throws {@link CommandError} if it is not a tree. */
export async function listPulpTree(root: string): Promise<readonly string[]> {
  for (const folder of [join(root, 'v2', 'app'), join(root, 'app')]) {
    if ((await kindOf(folder)) !== 'folder') continue;
    const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
    return names.map((name) => join(folder, name));
  }
  throw new CommandError(`${root} is not a tree published by Pulp 2: it has no folder v2/app`, {
    hint: 'On a Pulp server it is /var/lib/pulp/published/docker.',
  });
}

/** Whether a path names a whole tree rather than one repository. */
export async function isPulpTree(path: string): Promise<boolean> {
  return (await kindOf(join(path, 'v2', 'app'))) === 'folder' || (await kindOf(join(path, 'app'))) === 'folder';
}

/** Opens a repository by its folder or its app file. Throws {@link CommandError}. */
export async function openPulpRepository(path: string, signal?: AbortSignal): Promise<PulpRepository> {
  const { app, appFile, folder } = await findRepository(path);
  const title = `the Pulp repository ${app.name}`;

  async function manifestsAt(reference: string): Promise<readonly SourceManifest[]> {
    // Before version 3 there was one folder, and schema 1 alone.
    const paths = app.version < 3 ? [reference] : FORM_FOLDERS.map((form) => join(form, reference));
    const found = await Promise.all(paths.map((one) => readSmallFile(join(folder, 'manifests', one), signal)));
    return found.flatMap((bytes) => (bytes === null ? [] : [{ bytes }]));
  }

  return {
    title,
    name: app.name,
    protected: app.protected,
    tags: async () => {
      const bytes = await readSmallFile(join(folder, 'tags', 'list'), signal);
      if (bytes === null)
        throw new CommandError(`${folder} has no tags/list`, {
          hint: `${appFile} belongs to it: publish the repository in Pulp again.`,
        });
      return { tags: readTags(bytes, join(folder, 'tags', 'list')) };
    },
    digests: async (tag) => {
      const manifests = await manifestsAt(tag);
      return manifests.length === 0 ? null : manifests.map(({ bytes }) => digestOf(bytes, `${title}: ${tag}`));
    },
    open: async (tag) => {
      const roots = await manifestsAt(tag);
      if (roots.length === 0) return null;
      return {
        roots,
        protected: app.protected,
        manifest: async (digest) => (await manifestsAt(digest))[0] ?? null,
        blob: (digest, { signal: own = signal } = {}) => openFileBlob(join(folder, 'blobs', digest), own),
        referrers: () => Promise.resolve([]),
        close: () => Promise.resolve(),
      };
    },
    close: () => Promise.resolve(),
  };
}

function digestOf(bytes: Uint8Array, what: string): Digest {
  try {
    return readManifest(bytes).digest;
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause;
    throw new CommandError(`${what} is not a manifest: ${cause.message}`, {
      hint: 'Publish the repository in Pulp again.',
      cause,
    });
  }
}

/** The relevant members of an app file. */
interface AppFile {
  readonly version: number;
  readonly name: RepositoryName;
  readonly protected: boolean;
}

async function findRepository(
  path: string,
): Promise<{ readonly app: AppFile; readonly appFile: string; readonly folder: string }> {
  const kind = await kindOf(path);
  if (kind === 'absent') throw new CommandError(`there is no ${path}`, { hint: 'Check the path after pulp2:.' });
  // The path is resolved once, since the next publish in Pulp replaces the folder.
  const folder = kind === 'folder' ? await realpath(path) : await folderOf(path);
  const appFile = kind === 'file' ? path : await appFileOf(path, folder);
  return { app: await readAppFile(appFile), appFile, folder };
}

async function folderOf(appFile: string): Promise<string> {
  const id = basename(appFile, '.json');
  for (const folder of [join(dirname(appFile), '..', 'web', id), dirname(await realpath(appFile))]) {
    if ((await kindOf(join(folder, 'tags'))) === 'folder') return realpath(folder);
  }
  // An app file of version 1 has no such folder, and its own error is more helpful.
  await readAppFile(appFile);
  throw new CommandError(`${appFile} has no repository beside it`, {
    hint: `It is looked for in ${resolve(dirname(appFile), '..', 'web', id)}, and beside the file.`,
  });
}

async function appFileOf(path: string, folder: string): Promise<string> {
  const id = basename(resolve(path));
  const beside = (await readdir(folder)).filter((name) => name.endsWith('.json')).map((name) => join(folder, name));
  for (const file of [...beside, join(path, '..', '..', 'app', `${id}.json`)])
    if ((await kindOf(file)) === 'file') return file;
  if (await isPulpTree(path)) {
    throw new CommandError(`${path} is a whole Pulp 2 tree`, {
      hint: `Name one repository: ${(await listPulpTree(path)).slice(0, 5).join(', ')} … \`gantry sync\` publishes all.`,
    });
  }
  throw new CommandError(`${path} has no app file, so its name and whether it is protected are unknown`, {
    hint: 'Name the app file itself (v2/app/REPO_ID.json), or copy it into the folder.',
  });
}

async function readAppFile(path: string): Promise<AppFile> {
  const bytes = await readSmallFile(path);
  const value = bytes === null ? null : parseJson(bytes);
  if (!isObject(value))
    throw new CommandError(`${path} is not an app file of Pulp: it is not a JSON object`, {
      hint: 'Publish the repository in Pulp again.',
    });
  const { version, type } = value;
  if (type !== undefined && type !== 'pulp-docker-redirect')
    throw new CommandError(`${path} is not an app file of pulp_docker: its type is ${JSON.stringify(type)}`);
  if (version === 1) {
    throw new CommandError(`${path} describes a repository of the Docker v1 API, which has no manifests`, {
      hint: 'Clients can no longer pull it: sync the images into a v2 repository in Pulp (2.8 or later), or push them again.',
    });
  }
  if (version !== 2 && version !== 3 && version !== 4) {
    throw new CommandError(`${path} has version ${JSON.stringify(version)}; versions 2, 3 and 4 are read`, {
      hint: 'Is it an app file of pulp_docker?',
    });
  }
  const id = value['repo-registry-id'] ?? value.repository;
  const name = typeof id === 'string' ? parseRepositoryName(id) : null;
  if (name === null)
    throw new CommandError(`${path}: "repo-registry-id" ${JSON.stringify(id)} is not a valid repository name`, {
      hint: 'Set it in Pulp and publish again.',
    });
  const { protected: isProtected } = value;
  // A repository is protected unless its app file says otherwise.
  return { version, name, protected: isProtected !== false };
}

function readTags(bytes: Uint8Array, path: string): readonly Tag[] {
  const tags = objectOf(parseJson(bytes)).tags;
  if (!Array.isArray(tags))
    throw new CommandError(`${path} is not a list of tags`, { hint: 'Publish the repository in Pulp again.' });
  return [...new Set(tags.flatMap((tag: unknown) => (typeof tag === 'string' ? (parseTag(tag) ?? []) : [])))];
}

async function kindOf(path: string): Promise<'file' | 'folder' | 'absent'> {
  return stat(path).then(
    (facts) => (facts.isDirectory() ? 'folder' : 'file'),
    () => 'absent',
  );
}
