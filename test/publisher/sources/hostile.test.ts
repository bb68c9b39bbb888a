/** Sources that someone made to keep the publisher busy for ever, or to fill memory or disk. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openArchive } from '../../../src/publisher/sources/archive.ts';
import { openSource } from '../../../src/publisher/sources/open.ts';
import { indexTar } from '../../../src/publisher/sources/tar-index.ts';
import { MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { titleOf } from '../../attacks.ts';
import { digestOf } from '../gc-bucket.ts';
import { paxRecord, tarBytes, tarMember } from './tar-bytes.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-hostile-'));
});
afterAll(() => rm(folder, { recursive: true }));

const open = (source: string, signal = AbortSignal.timeout(10_000)) => openSource(source, { env: {}, signal });

async function fileOf(name: string, bytes: Uint8Array): Promise<string> {
  await writeFile(join(folder, name), bytes);
  return join(folder, name);
}

async function folderOf(name: string, prepare: (path: string) => Promise<unknown>): Promise<string> {
  await mkdir(join(folder, name));
  await prepare(join(folder, name));
  return join(folder, name);
}

async function makeFifo(path: string): Promise<void> {
  await promisify(execFile)('mkfifo', [path]);
}

describe(titleOf('tar-size'), () => {
  test.each<[string, string | Uint8Array]>([
    ['is negative in octal', '-0000001000'],
    ['is negative in binary', new Uint8Array(12).fill(0xff)],
    ['is larger than any file', Uint8Array.of(0x80, ...new Uint8Array(11).fill(0xff))],
    ['is not a number', 'xyz'],
    ['has text after its digits', '12monkeys'],
  ])('%s', async (title, sizeField) => {
    const bytes = tarBytes([{ name: 'first' }, { name: 'manifest.json', sizeField }, { name: 'last' }]);
    await expect(openArchive(await fileOf(`${title}.tar`, bytes))).rejects.toThrow(/is damaged at byte 512/);
  });

  test('stands in a pax header', async () => {
    const extended = tarMember({ name: 'x', type: 'x', content: Buffer.from(paxRecord('size', '-512')) });
    const bytes = Buffer.concat([extended, tarBytes([{ name: 'file' }])]);
    await expect(openArchive(await fileOf('pax-size.tar', bytes))).rejects.toThrow(/is damaged/);
  });
});

describe(titleOf('tar-headers'), () => {
  const header = tarMember({
    name: 'x',
    type: 'x',
    content: Buffer.from(Array.from({ length: 500 }, (_, at) => paxRecord(`k${String(at)}`, 'v'.repeat(50))).join('')),
  });

  test('many of one member', async () => {
    const bytes = Buffer.concat([...Array.from({ length: 800 }, () => header), tarBytes([{ name: 'file' }])]);
    await expect(openArchive(await fileOf('many-pax.tar', bytes))).rejects.toThrow(/more than 16 extended headers/);
  });

  test('a long one', async () => {
    const content = Buffer.alloc(1024 * 1024 + 1, 'x');
    const bytes = Buffer.concat([tarMember({ name: 'x', type: 'x', content }), tarBytes([{ name: 'file' }])]);
    await expect(openArchive(await fileOf('long-pax.tar', bytes))).rejects.toThrow(/a name of 1048577 bytes/);
  });

  test('records that are not used leave nothing', async () => {
    const bytes = Buffer.concat([header, tarBytes([{ name: 'file', content: Buffer.from('content') }])]);
    const archive = await openArchive(await fileOf('one-pax.tar', bytes));
    expect(archive.sizeOf('file')).toBe(7);
    await archive.close();
  });

  test('names of more than 64 MiB in all', async () => {
    const long = tarMember({ name: 'x', type: 'L', content: Buffer.alloc(1024 * 1024, 'n') });
    const block = Buffer.concat([long, tarMember({ name: 'file' })]);
    const length = block.length * 70;
    const readAt = (offset: number, size: number): Promise<Uint8Array> => {
      const at = offset % block.length;
      return Promise.resolve(block.subarray(at, at + size));
    };
    await expect(indexTar(readAt, length, 'names')).rejects.toThrow(/names of more than 67108864 bytes/);
  });

  test('after an interrupt no more are read', async () => {
    const stop = new AbortController();
    let reads = 0;
    const readAt = (): Promise<Uint8Array> => {
      reads += 1;
      if (reads === 3) stop.abort(new Error('interrupted'));
      return Promise.resolve(tarMember({ name: 'file' }).subarray(0, 512));
    };
    await expect(indexTar(readAt, 1e9, 'endless', stop.signal)).rejects.toThrow('interrupted');
    expect(reads).toBe(3);
  });
});

describe(titleOf('not-a-file'), () => {
  const NOT_REGULAR = /is not a regular file/;

  test('as the manifest of a dir', async () => {
    const zero = await folderOf('dir-zero', (path) => symlink('/dev/zero', join(path, 'manifest.json')));
    await expect(open(`dir:${zero}`)).rejects.toThrow(NOT_REGULAR);
    const fifo = await folderOf('dir-fifo', (path) => makeFifo(join(path, 'manifest.json')));
    await expect(open(`dir:${fifo}`)).rejects.toThrow(NOT_REGULAR);
    const nested = await folderOf('dir-folder', (path) => mkdir(join(path, 'manifest.json')));
    await expect(open(`dir:${nested}`)).rejects.toThrow(NOT_REGULAR);
  });

  test('as a blob', async () => {
    const digest = digestOf(Buffer.from('blob'));
    const place = await folderOf('dir-blob', async (path) => {
      await writeFile(join(path, 'manifest.json'), '{}');
      await symlink('/dev/zero', join(path, digest.slice(7)));
    });
    const source = await open(`dir:${place}`);
    await expect(source.blob(digest)).rejects.toThrow(NOT_REGULAR);
  });

  test('as the index of an OCI layout', async () => {
    const fifo = await folderOf('oci-fifo', (path) => makeFifo(join(path, 'index.json')));
    await expect(open(`oci:${fifo}`)).rejects.toThrow(NOT_REGULAR);
  });

  test('as the app file and the tags of a Pulp repository', async () => {
    const place = await folderOf('pulp', async (path) => {
      await writeFile(join(path, 'app.json'), JSON.stringify({ version: 2, 'repo-registry-id': 'team/app' }));
      await mkdir(join(path, 'tags'));
      await makeFifo(join(path, 'tags', 'list'));
    });
    await expect(open(`pulp2:${place}`)).rejects.toThrow(NOT_REGULAR);
    const zero = await folderOf('pulp-app', (path) => symlink('/dev/zero', join(path, 'app.json')));
    await expect(open(`pulp2:${zero}`)).rejects.toThrow(/no app file|not a regular file/);
  });

  test('as an archive: a device and a socket are refused', async () => {
    await expect(open('docker-archive:/dev/zero')).rejects.toThrow(NOT_REGULAR);
    const path = join(folder, 'socket');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      await expect(open(`oci-archive:${path}`)).rejects.toThrow(/not a regular file|cannot be read/);
    } finally {
      server.close();
    }
  });

  test('or a pipe as an archive, which is waited for until an interrupt', async () => {
    const path = join(folder, 'archive-fifo');
    await makeFifo(path);
    // Both ends are here, so that the pipe has a writer that says nothing.
    const { open: openFile } = await import('node:fs/promises');
    const writer = await openFile(path, 'r+');
    const stop = new AbortController();
    const opening = open(`docker-archive:${path}`, stop.signal);
    stop.abort(new Error('interrupted'));
    await expect(opening).rejects.toThrow('interrupted');
    await writer.close();
  });

  test('whose real size is looked at while they are read', async () => {
    // Files of /proc report 0 bytes.
    const place = await folderOf('dir-proc', (path) => symlink('/proc/version', join(path, 'manifest.json')));
    const source = await open(`dir:${place}`);
    expect(Buffer.from(source.roots[0]?.bytes ?? '').toString()).toBe(await readFile('/proc/version', 'utf8'));
  });
});

describe(titleOf('archive-bomb'), () => {
  test('unpacks to at most the given number of bytes', async () => {
    const file = await fileOf('limit.tar.gz', gzipSync(tarBytes([{ name: 'file', content: randomBytes(5000) }])));
    await expect(openArchive(file, { maxUnpacked: 4096 })).rejects.toThrow(/unpacks to more than 4096 bytes/);
    await (await openArchive(file, { maxUnpacked: 100_000 })).close();
  });

  test('that is a bomb is refused by its ratio, and read where the user gives a limit', async () => {
    const member = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const bomb = Buffer.concat([gzipSync(tarMember({ name: 'f' })), ...Array.from({ length: 5 }, () => member)]);
    const file = await fileOf('bomb.tar.gz', bomb);
    await expect(openArchive(file)).rejects.toThrow(/more than 200 times its size/);
    await (await openArchive(file, { maxUnpacked: 2 ** 30 })).close();
  });
});

describe(titleOf('documents-endless'), () => {
  test('a nested index that names itself is searched once', async () => {
    const digest = digestOf(Buffer.from('itself'));
    const entry = { mediaType: MEDIA_TYPE_OF_FORM['oci-index'], digest, size: 1 };
    const index = JSON.stringify({ schemaVersion: 2, manifests: Array.from({ length: 500 }, () => entry) });
    const place = await folderOf('oci-loop', async (path) => {
      await mkdir(join(path, 'blobs/sha256'), { recursive: true });
      await writeFile(join(path, 'index.json'), index);
      await writeFile(join(path, 'blobs/sha256', digest.slice(7)), index);
    });
    await expect(open(`oci:${place}:none`)).rejects.toThrow(/has no image "none"/);
  });

  test('a document of open brackets is refused before it is parsed', async () => {
    const deep = Buffer.alloc(5_000_000, '[');
    const place = await folderOf('oci-deep', (path) => writeFile(join(path, 'index.json'), deep));
    await expect(open(`oci:${place}`)).rejects.toThrow(/nested deeper than 1000 levels/);
    const bytes = tarBytes([{ name: 'manifest.json', content: deep }]);
    await expect(open(`docker-archive:${await fileOf('deep.tar', bytes)}`)).rejects.toThrow(/nested deeper/);
    const quoted = JSON.stringify({ schemaVersion: 2, annotations: { a: `"${'['.repeat(5000)}\\` }, manifests: [] });
    const other = await folderOf('oci-quoted', (path) => writeFile(join(path, 'index.json'), quoted));
    await expect(open(`oci:${other}`)).rejects.toThrow(/contains no image/);
  });

  test('an image of an archive with a million layers is refused', async () => {
    const manifest = JSON.stringify([{ Config: 'config', Layers: Array.from({ length: 1001 }, () => 'layer') }]);
    const bytes = tarBytes([{ name: 'manifest.json', content: Buffer.from(manifest) }]);
    await expect(open(`docker-archive:${await fileOf('layers.tar', bytes)}`)).rejects.toThrow(/has 1001 layers/);
  });
});
