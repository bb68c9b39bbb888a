/** Writes one hostile source after the other: each begins as an image in order, and is damaged then. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../../src/registry/media-type.ts';
import { paxRecord, tarMember, type TarMember } from '../../publisher/sources/tar-bytes.ts';
import { type Chance, damageBytes, damageJson, strangeText } from './random.ts';

/** The surfaces that a file or folder is. */
export type FileSurface = 'tar' | 'json' | 'layout';

const hexOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

interface ImageParts {
  readonly config: Record<string, unknown>;
  readonly manifest: Record<string, unknown>;
  readonly layers: readonly Buffer[];
}

function imageParts(chance: Chance): ImageParts {
  const oci = chance.once(2);
  const contents = Array.from({ length: 1 + chance.below(3) }, (_, index) => Buffer.alloc(1024, index + 1));
  const layers = contents.map((bytes) => (chance.once(4) ? zstdCompressSync(bytes) : gzipSync(bytes)));
  const created = '2026-01-01T00:00:00Z';
  return {
    config: {
      os: 'linux',
      architecture: 'amd64',
      created,
      config: { Env: ['A=B'], Cmd: ['sh'], Labels: { a: 'b' } },
      history: [
        ...contents.map(() => ({ created, created_by: 'x' })),
        { created, created_by: 'CMD', empty_layer: true },
      ],
      rootfs: { type: 'layers', diff_ids: contents.map((bytes) => `sha256:${hexOf(bytes)}`) },
    },
    manifest: {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM[oci ? 'oci-manifest' : 'docker-schema2'],
      config: { mediaType: oci ? MEDIA_TYPES.ociConfig : MEDIA_TYPES.dockerConfig },
      layers: layers.map((bytes) => ({
        mediaType: oci ? MEDIA_TYPES.ociLayerGzip : MEDIA_TYPES.dockerLayerGzip,
        size: bytes.length,
        digest: `sha256:${hexOf(bytes)}`,
      })),
      annotations: { a: 'b' },
    },
    layers,
  };
}

/** The files of an OCI layout, whose digests are right so that damage is read and not refused at the door. */
function layoutFiles(chance: Chance, damaged: boolean): Map<string, Buffer> {
  const { config, manifest, layers } = imageParts(chance);
  const maybe = (value: unknown): void => {
    if (damaged) for (let times = chance.below(3); times > 0; times -= 1) damageJson(value, chance);
  };
  const files = new Map<string, Buffer>();
  const blob = (bytes: Buffer): string => {
    files.set(`blobs/sha256/${hexOf(bytes)}`, bytes);
    return `sha256:${hexOf(bytes)}`;
  };
  layers.forEach(blob);
  maybe(config);
  const configBytes = encode(config);
  manifest.config = { ...(manifest.config as object), size: configBytes.length, digest: blob(configBytes) };
  maybe(manifest);
  const bytes = encode(manifest);
  const descriptor = {
    mediaType: manifest.mediaType,
    digest: blob(bytes),
    size: bytes.length,
    annotations: { 'org.opencontainers.image.ref.name': 'v1' },
  };
  const list: Record<string, unknown> = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['oci-index'],
    manifests: [{ ...descriptor, platform: { os: 'linux', architecture: 'amd64' } }],
  };
  const nested = chance.once(3);
  if (nested) maybe(list);
  const listBytes = encode(list);
  const index: Record<string, unknown> = {
    schemaVersion: 2,
    manifests: nested
      ? [{ ...descriptor, mediaType: MEDIA_TYPE_OF_FORM['oci-index'], digest: blob(listBytes), size: listBytes.length }]
      : [descriptor],
  };
  maybe(index);
  files.set('index.json', encode(index));
  files.set('oci-layout', encode({ imageLayoutVersion: '1.0.0' }));
  return files;
}

/** Writes the input into the folder, which is emptied; returns the source for `gantry publish`. */
export function writeInput(surface: FileSurface, chance: Chance, folder: string): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  if (surface === 'tar') return tarInput(chance, folder);
  const files = layoutFiles(chance, surface === 'json');
  if (surface === 'json') {
    const index = files.get('index.json');
    if (index !== undefined && chance.once(6)) files.set('index.json', damageBytes(index, chance));
  }
  const names = [...files.keys()];
  const hurt = surface === 'layout' ? names[chance.below(names.length)] : undefined;
  for (const [name, bytes] of files) {
    const path = join(folder, name);
    mkdirSync(join(path, '..'), { recursive: true });
    if (name === hurt) replaceFile(path, bytes, chance);
    else writeFileSync(path, bytes);
  }
  const ref = chance.once(3) ? ':v1' : chance.once(10) ? `:${strangeText(chance).replaceAll('\0', '')}` : '';
  return `oci:${folder}${ref}`;
}

function replaceFile(path: string, bytes: Buffer, chance: Chance): void {
  switch (chance.below(8)) {
    case 0:
      return;
    case 1:
      symlinkSync(chance.pick(['/dev/zero', '/dev/null', '/dev/stdin', '/proc/self/environ', '/dev/random']), path);
      return;
    case 2:
      symlinkSync(path, path);
      return;
    case 3:
      mkdirSync(path);
      return;
    case 4:
      execFileSync('mkfifo', [path]);
      return;
    case 5:
      writeFileSync(path, Buffer.alloc(chance.pick([0, 1, 5_000_000]), '['));
      return;
    default:
      writeFileSync(path, damageBytes(bytes, chance));
  }
}

function tarInput(chance: Chance, folder: string): string {
  const kind = chance.pick(['oci-archive', 'docker-archive'] as const);
  const members: TarMember[] =
    kind === 'oci-archive'
      ? [...layoutFiles(chance, chance.once(2))].map(([name, content]) => ({ name, content }))
      : dockerMembers(chance);
  let bytes: Buffer = Buffer.concat([
    ...members.flatMap((member) => strangeMember(member, chance)),
    Buffer.alloc(1024),
  ]);
  if (chance.once(3)) bytes = damageBytes(bytes, chance);
  if (chance.once(5)) bytes = gzipSync(bytes);
  else if (chance.once(8)) bytes = zstdCompressSync(bytes);
  if (chance.once(10)) bytes = damageBytes(bytes, chance);
  writeFileSync(join(folder, 'archive'), bytes);
  return `${kind}:${join(folder, 'archive')}`;
}

function dockerMembers(chance: Chance): TarMember[] {
  const { config, layers } = imageParts(chance);
  if (chance.once(2)) damageJson(config, chance);
  const bytes = encode(config);
  const manifest: unknown[] = [
    {
      Config: `${hexOf(bytes)}.json`,
      RepoTags: ['a/b:c'],
      Layers: layers.map((_, index) => `${String(index)}/layer.tar`),
    },
  ];
  if (chance.once(2)) damageJson(manifest, chance);
  return [
    { name: `${hexOf(bytes)}.json`, content: bytes },
    ...layers.map((content, index) => ({ name: `${String(index)}/layer.tar`, content })),
    { name: 'manifest.json', content: encode(manifest) },
  ];
}

const SIZES = ['-0000001000', '77777777777', '0000000000x', '', '00000000001', '\u0001'] as const;

/** A member, perhaps with a size, a type, a name or extended headers that nobody would write. */
function strangeMember(member: TarMember, chance: Chance): Buffer[] {
  if (!chance.once(3)) return [tarMember(member)];
  switch (chance.below(6)) {
    case 0:
      return [tarMember({ ...member, sizeField: chance.pick(SIZES) })];
    case 1:
      return [tarMember({ ...member, sizeField: Buffer.alloc(12, chance.pick([0x80, 0xff, 0xc0, 0x81])) })];
    case 2:
      return [
        tarMember({ ...member, type: chance.pick(['1', '2', '3', '5', '6', 'S', 'g', 'x', 'L', 'K', '\0', 'V']) }),
      ];
    case 3:
      return [tarMember({ ...member, name: strangeText(chance) })];
    case 4: {
      const key = chance.pick(['path', 'size', 'linkpath', 'GNU.sparse.map', '']);
      const content = Buffer.from(paxRecord(key, strangeText(chance)));
      const one = tarMember({ name: 'x', type: 'x', content: chance.once(3) ? damageBytes(content, chance) : content });
      return [...Array.from({ length: chance.pick([1, 3, 400]) }, () => one), tarMember(member)];
    }
    default:
      return [
        tarMember({ name: 'long', type: 'L', content: Buffer.alloc(chance.pick([0, 600, 1_500_000]), 'n') }),
        tarMember(member),
      ];
  }
}
