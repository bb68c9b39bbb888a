/**
 * `oci-archive:FILE[:REF]`: an OCI image layout in a tar file, as `skopeo copy … oci-archive:FILE`, `podman save
 * --format oci-archive` and BuildKit write it.
 */
import { CommandError } from '../cli/errors.ts';
import { type Archive, type ArchiveOptions, openImageIn } from './archive.ts';
import { type LayoutFiles, openLayout } from './oci-layout.ts';
import type { ImageSource } from '../../bucket/image-source.ts';

/** Opens an archive; REF as in `oci:`. Throws {@link CommandError}. */
export function openOciArchive(where: string, options: ArchiveOptions): Promise<ImageSource> {
  return openImageIn(where, options, (archive, ref) => {
    if (!archive.has('index.json') && archive.has('manifest.json')) {
      throw new CommandError(`${archive.title} has no index.json, so it is not an OCI layout`, {
        hint: `Write docker-archive:${where}.`,
      });
    }
    return openLayout(layoutIn(archive), ref);
  });
}

/** The layout in an archive. */
export function layoutIn(archive: Archive): LayoutFiles {
  return {
    title: archive.title,
    read: (path) => archive.read(path),
    open: (path, signal) => Promise.resolve(archive.open(path, signal)),
    close: () => archive.close(),
  };
}
