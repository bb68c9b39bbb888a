/**
 * Images that are the same on every machine: layers of pseudo-random bytes, which nothing on the way can compress, in
 * real tar and gzip.
 */
import { createCipheriv, createHash, type Hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';

/** A layer: `seed` tells its bytes, `size` how many of them its one file has. */
export interface LayerSpec {
  readonly seed: string;
  readonly size: number;
}

/** An image in a folder as skopeo's `dir:` has them. */
export interface Image {
  readonly folder: string;
  readonly manifest: Uint8Array;
  /** `sha256:…` of the manifest. */
  readonly digest: string;
  readonly config: Part;
  readonly layers: readonly Part[];
}

/** A blob of an image; `size` in bytes. */
export interface Part {
  readonly digest: string;
  readonly size: number;
}

// Any fixed moment: digests must not depend on when they are made.
const CREATED = '2026-01-01T00:00:00Z';

/** Writes an image of these layers, a Docker schema 2, into `folder`. `note` makes another image of the same layers. */
export async function makeImage(folder: string, layers: readonly LayerSpec[], note = ''): Promise<Image> {
  await mkdir(folder, { recursive: true });
  const made = [];
  for (const layer of layers) made.push(await makeLayer(folder, layer));
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      config: {
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        Cmd: ['/bin/sh'],
        Labels: { note },
      },
      created: CREATED,
      history: [
        ...layers.map(({ seed }) => ({
          created: CREATED,
          created_by: `/bin/sh -c #(nop) ADD file:${hashOf(seed)} in / `,
        })),
        ...['ENV LANG=C.UTF-8', 'EXPOSE 8080', 'WORKDIR /srv', 'CMD ["/bin/sh"]'].map((step) => ({
          created: CREATED,
          created_by: `/bin/sh -c #(nop)  ${step}`,
          empty_layer: true,
        })),
      ],
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: made.map(({ diffId }) => diffId) },
    }),
  );
  const configPart = { digest: `sha256:${hashOf(config)}`, size: config.length };
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
      config: { mediaType: MEDIA_TYPES.dockerConfig, ...configPart },
      layers: made.map(({ digest, size }) => ({ mediaType: MEDIA_TYPES.dockerLayerGzip, size, digest })),
    }),
  );
  await writeFile(join(folder, hashOf(config)), config);
  await writeFile(join(folder, 'manifest.json'), manifest);
  await writeFile(join(folder, 'version'), 'Directory Transport Version: 1.1\n');
  return { folder, manifest, digest: `sha256:${hashOf(manifest)}`, config: configPart, layers: made };
}

async function makeLayer(folder: string, { seed, size }: LayerSpec): Promise<Part & { readonly diffId: string }> {
  const [tarred, zipped] = [createHash('sha256'), createHash('sha256')];
  const unfinished = join(folder, 'layer');
  let length = 0;
  const archive = pack();
  const entry = archive.entry({ name: `data/${seed}`, size, mtime: new Date(CREATED) });
  const written = pipeline(
    archive,
    hashing(tarred),
    // Stored, not compressed: making them is not what is measured.
    createGzip({ level: 0 }),
    hashing(zipped, (chunk) => (length += chunk)),
    createWriteStream(unfinished),
  );
  await pipeline(randomBytes(seed, size), entry);
  archive.finalize();
  await written;
  const hex = zipped.digest('hex');
  await rename(unfinished, join(folder, hex));
  return { digest: `sha256:${hex}`, size: length, diffId: `sha256:${tarred.digest('hex')}` };
}

/** The key stream of AES in counter mode: random enough, the same everywhere, and faster than anything it is fed to. */
function* randomBytes(seed: string, size: number): Iterable<Buffer> {
  const stream = createCipheriv(
    'aes-128-ctr',
    createHash('sha256').update(seed).digest().subarray(0, 16),
    Buffer.alloc(16),
  );
  const zeros = Buffer.alloc(256 * 1024);
  for (let left = size; left > 0; left -= zeros.length) yield stream.update(zeros.subarray(0, left));
}

function hashing(hash: Hash, onLength: (length: number) => void = () => undefined): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      onLength(chunk.length);
      done(null, chunk);
    },
  });
}

function hashOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
