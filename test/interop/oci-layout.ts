/** OCI layouts written for a test, with whatever a config may say. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

/** An image: the sizes of its layers and what its config says. */
export interface LayoutImage {
  readonly os?: string;
  readonly architecture: string;
  readonly variant?: string;
  /**
   * What made each layer, base first, and how many incompressible bytes it has; no bytes for a step without a layer.
   */
  readonly history: readonly { readonly createdBy: string; readonly bytes?: number; readonly comment?: string }[];
  /** `config` of the image config: `Cmd`, `Labels` … */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Writes a layout with one tag `latest`: an image, or an index of several. Gives its path. */
export async function makeLayout(folder: string, images: readonly LayoutImage[]): Promise<string> {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true });
  const put = async (
    bytes: Uint8Array,
    mediaType: string,
  ): Promise<{ mediaType: string; digest: string; size: number }> => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(folder, 'blobs', 'sha256', hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const putJson = (value: unknown, mediaType: string): ReturnType<typeof put> =>
    put(Buffer.from(JSON.stringify(value)), mediaType);

  const manifests = [];
  for (const { os = 'linux', architecture, variant, history, config = {}, annotations } of images) {
    const layers = [];
    const diffIds = [];
    for (const [index, { createdBy, bytes }] of history.entries()) {
      if (bytes === undefined) continue;
      const tar = await tarOf(`layer-${String(index)}`, noise(`${architecture}${createdBy}`, bytes));
      diffIds.push(`sha256:${createHash('sha256').update(tar).digest('hex')}`);
      layers.push(await put(gzipSync(tar), 'application/vnd.oci.image.layer.v1.tar+gzip'));
    }
    const descriptor = await putJson(
      {
        created: '2026-02-03T04:05:06Z',
        architecture,
        os,
        ...(variant !== undefined && { variant }),
        config,
        rootfs: { type: 'layers', diff_ids: diffIds },
        history: history.map(({ createdBy, bytes, comment }) => ({
          created: '2026-02-03T04:05:06Z',
          created_by: createdBy,
          ...(comment !== undefined && { comment }),
          ...(bytes === undefined && { empty_layer: true }),
        })),
      },
      'application/vnd.oci.image.config.v1+json',
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: descriptor,
      layers,
      ...(annotations && { annotations }),
    };
    manifests.push({
      ...(await putJson(manifest, manifest.mediaType)),
      platform: { os, architecture, ...(variant !== undefined && { variant }) },
    });
  }
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const index =
    images.length === 1 ? manifests : [await putJson({ schemaVersion: 2, mediaType, manifests }, mediaType)];
  const named = index.map((one) => ({ ...one, annotations: { 'org.opencontainers.image.ref.name': 'latest' } }));
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: named }));
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return folder;
}

async function tarOf(name: string, content: Buffer): Promise<Buffer> {
  const tar = pack();
  const chunks: Buffer[] = [];
  tar.on('data', (chunk: unknown) => chunks.push(chunk as Buffer));
  const ended = once(tar, 'end');
  tar.entry({ name, mtime: new Date(0) }, content);
  tar.finalize();
  await ended;
  return Buffer.concat(chunks);
}

/** Bytes that do not compress and are always the same for a seed. */
function noise(seed: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let made = 0; made < length; made += 32)
    blocks.push(
      createHash('sha256')
        .update(`${seed}/${String(made)}`)
        .digest(),
    );
  return Buffer.concat(blocks).subarray(0, length);
}
