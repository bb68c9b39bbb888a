/**
 * The demo image of a new local registry: a linux/amd64 program that prints a greeting. It is built byte by byte, and
 * is the same on every machine. It has two layers (the program and a text file) and a history entry without a layer, so
 * that its schema 1 has an empty layer, as that of most images.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { TAR_BLOCK, tarHeader } from '../streams/tar-header.ts';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../registry/media-type.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';
import type { ImageSource } from '../../bucket/image-source.ts';

/** The output of the program. */
export const DEMO_GREETING = `Hello from Gantry!

This image was derived once, at publish time, in every form that a Docker or OCI
client can pull, and chosen for yours by its Accept header. See which forms:

  gantry inspect demo/hello:latest
`;

/** The name and tag of the image. */
export const DEMO_IMAGE: { readonly name: RepositoryName; readonly tag: Tag } = imageName('demo/hello', 'latest');

// A fixed time, so that the digests are the same everywhere.
const CREATED = '2026-01-01T00:00:00Z';

/** The image as a source, a Docker schema 2. */
export function openDemoImage(): ImageSource {
  const layers = [
    { createdBy: 'COPY hello /hello', files: [{ path: 'hello', mode: 0o755, bytes: helloProgram(DEMO_GREETING) }] },
    {
      createdBy: 'COPY greeting.txt /greeting.txt',
      files: [{ path: 'greeting.txt', mode: 0o644, bytes: utf8(DEMO_GREETING) }],
    },
  ].map(({ createdBy, files }) => {
    const tar = tarOf(files);
    const bytes = gzipStored(tar);
    return { createdBy, bytes, digest: digestOf(bytes), diffId: digestOf(tar) };
  });
  const config = utf8(
    JSON.stringify({
      architecture: 'amd64',
      config: {
        Env: ['PATH=/'],
        Cmd: ['/hello'],
        WorkingDir: '/',
        Labels: { 'org.opencontainers.image.title': 'Gantry demo' },
      },
      created: CREATED,
      history: [
        ...layers.map(({ createdBy }) => ({ created: CREATED, created_by: createdBy })),
        { created: CREATED, created_by: 'CMD ["/hello"]', empty_layer: true },
      ],
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    }),
  );
  const manifest = utf8(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
      config: { mediaType: MEDIA_TYPES.dockerConfig, size: config.length, digest: digestOf(config) },
      layers: layers.map(({ bytes, digest }) => ({
        mediaType: MEDIA_TYPES.dockerLayerGzip,
        size: bytes.length,
        digest,
      })),
    }),
  );
  const blobs = new Map([config, ...layers.map(({ bytes }) => bytes)].map((bytes) => [digestOf(bytes), bytes]));
  return {
    roots: [{ bytes: manifest, mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'] }],
    manifest: () => Promise.resolve(null),
    blob: (digest) => {
      const bytes = blobs.get(digest);
      return Promise.resolve(bytes === undefined ? null : { size: bytes.length, chunks: once(bytes) });
    },
    referrers: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

/** The load address that linkers for amd64 use. */
const LOAD_ADDRESS = 0x40_0000;
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;

/**
 * A static ELF executable for linux/amd64 (System V ABI, "Object files") that writes a text to standard output and ends
 * with 0.
 */
export function helloProgram(text: string): Uint8Array {
  const message = utf8(text);
  const entry = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES;
  // `lea` is relative to the next instruction, 17 bytes into the code; the message follows the code.
  const code = Uint8Array.from([
    ...[0xb8, ...le32(1)], // mov eax, 1 (write)
    ...[0xbf, ...le32(1)], // mov edi, 1 (standard output)
    ...[0x48, 0x8d, 0x35, ...le32(CODE_BYTES - 17)], // lea rsi, [rip + …] (the message)
    ...[0xba, ...le32(message.length)], // mov edx, its length
    ...[0x0f, 0x05], // syscall
    ...[0xb8, ...le32(60)], // mov eax, 60 (exit)
    ...[0x31, 0xff], // xor edi, edi
    ...[0x0f, 0x05], // syscall
  ]);
  const size = entry + code.length + message.length;
  const head = new DataView(new ArrayBuffer(entry));
  // e_ident: magic, 64 bits, little-endian, version 1, System V.
  new Uint8Array(head.buffer).set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]);
  head.setUint16(16, 2, true); // e_type: executable
  head.setUint16(18, 62, true); // e_machine: x86-64
  head.setUint32(20, 1, true); // e_version
  head.setBigUint64(24, BigInt(LOAD_ADDRESS + entry), true); // e_entry
  head.setBigUint64(32, BigInt(ELF_HEADER_BYTES), true); // e_phoff
  head.setUint16(52, ELF_HEADER_BYTES, true); // e_ehsize
  head.setUint16(54, PROGRAM_HEADER_BYTES, true); // e_phentsize
  head.setUint16(56, 1, true); // e_phnum
  head.setUint16(58, 64, true); // e_shentsize
  const segment = ELF_HEADER_BYTES;
  head.setUint32(segment, 1, true); // p_type: load
  head.setUint32(segment + 4, 5, true); // p_flags: read, execute
  head.setBigUint64(segment + 16, BigInt(LOAD_ADDRESS), true); // p_vaddr
  head.setBigUint64(segment + 24, BigInt(LOAD_ADDRESS), true); // p_paddr
  head.setBigUint64(segment + 32, BigInt(size), true); // p_filesz
  head.setBigUint64(segment + 40, BigInt(size), true); // p_memsz
  head.setBigUint64(segment + 48, 0x1000n, true); // p_align
  return Buffer.concat([new Uint8Array(head.buffer), code, message]);
}

const CODE_BYTES = 33;

function le32(value: number): readonly [number, number, number, number] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
}

interface TarFile {
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/** A tar archive of regular files. */
function tarOf(files: readonly TarFile[]): Uint8Array {
  const parts = files.flatMap(({ path, mode, bytes }) => {
    const header = tarHeader({ path, mode, size: bytes.length });
    return [header, bytes, Buffer.alloc((TAR_BLOCK - (bytes.length % TAR_BLOCK)) % TAR_BLOCK)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * TAR_BLOCK)]);
}

/**
 * Gzip (RFC 1952) with a stored block (RFC 1951, 3.2.4): the output of zlib depends on its version, and the digests
 * must not.
 */
function gzipStored(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 0xffff) throw new RangeError('more than one stored block');
  const length = [bytes.length & 0xff, bytes.length >> 8];
  const head = Uint8Array.from([
    0x1f,
    0x8b,
    8,
    0,
    0,
    0,
    0,
    0,
    0,
    0xff,
    1,
    ...length,
    ...length.map((byte) => byte ^ 0xff),
  ]);
  return Buffer.concat([head, bytes, Uint8Array.from(le32(crc32(bytes))), Uint8Array.from(le32(bytes.length))]);
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

// eslint-disable-next-line @typescript-eslint/require-await -- it is a stream because all sources' blobs are
async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

function digestOf(bytes: Uint8Array): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  if (digest === null) throw new TypeError('a sha256 is always a digest');
  return digest;
}

function imageName(nameText: string, tagText: string): { readonly name: RepositoryName; readonly tag: Tag } {
  const [name, tag] = [parseRepositoryName(nameText), parseTag(tagText)];
  if (name === null || tag === null) throw new TypeError(`${nameText}:${tagText} is not a valid image name`);
  return { name, tag };
}
