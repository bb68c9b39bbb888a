/** Many slow clients of a large manifest: each gets a stream, and no copy is held for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { sha256Of } from '../../../src/manifest/signing/sha256.ts';
import { openLocal } from '../../../src/publisher/local/open-local.ts';
import { tagKey } from '../../../src/registry/keys.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../../src/registry/media-type.ts';
import { parseRepositoryName, parseTag } from '../../../src/registry/name.ts';
import { encodeTag } from '../../../src/registry/records.ts';
import { titleOf } from '../../attacks.ts';
import { descendants, memoryOf } from '../../bench/process-figures.ts';
import { startGantry } from '../../interop/gantry-server.ts';

const MIB = 1024 * 1024;
const CLIENTS = 20;
const PATH = '/v2/test/large/manifests/v1';

/** A schema 1 as earlier versions derived it. */
const LARGE = new Uint8Array(24 * MIB).map((_, at) => (at * 31) >> 7);

it.skipIf(process.platform !== 'linux')(
  titleOf('slow-clients'),
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gantry-slow-'));
    const server = await startGantry(join(folder, 'state'), {
      env: { ...process.env, GANTRY_KEY: join(folder, 'key') },
    });
    const clients: { readonly socket: Socket; readonly received: Buffer[] }[] = [];
    try {
      await writeTag(server.state);
      const [workerd = 0] = descendants(process.pid, 'workerd');
      const download = async (): Promise<number> => (await (await fetch(server.url + PATH)).arrayBuffer()).byteLength;
      for (let times = 0; times < 3; times += 1) expect(await download()).toBe(LARGE.length);
      const before = memoryOf(workerd, 'VmHWM') ?? NaN;
      const { hostname, port } = new URL(server.url);
      for (let client = 0; client < CLIENTS; client += 1) {
        const socket = connect({ host: hostname, port: Number(port) });
        // An engine from before 1.10 sends no Accept.
        socket.write(`GET ${PATH} HTTP/1.1\r\nHost: ${hostname}\r\nUser-Agent: docker/1.9.1\r\n\r\n`);
        const [head] = (await once(socket, 'data')) as [Buffer];
        socket.pause();
        expect(head.toString('latin1')).toMatch(/^HTTP\/1\.1 200 /);
        clients.push({ socket, received: [head] });
      }
      // While they wait, others are answered.
      for (let times = 0; times < 3; times += 1) expect(await download()).toBe(LARGE.length);
      const more = (memoryOf(workerd, 'VmHWM') ?? NaN) - before;
      process.stderr.write(`workerd took ${(more / MIB).toFixed(0)} MiB more\n`);
      expect(more).toBeLessThan(128 * MIB);
      // A client that goes on reading gets all of it.
      const [slow] = clients;
      if (slow === undefined) throw new Error('no client');
      const { socket, received } = slow;
      socket.on('data', (chunk: Buffer) => received.push(chunk)).resume();
      const body = (received[0]?.indexOf('\r\n\r\n') ?? -1) + 4;
      const size = (): number => received.reduce((sum, { length }) => sum + length, 0);
      await vi.waitFor(() => expect(size()).toBe(body + LARGE.length), 30_000);
      expect(Buffer.concat(received).subarray(body).equals(LARGE)).toBe(true);
    } finally {
      for (const { socket } of clients) socket.destroy();
      await server.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
  120_000,
);

async function writeTag(state: string): Promise<void> {
  const form = 'docker-schema1';
  const digest = sha256Of(LARGE);
  const { body, metadata } = encodeTag(
    {
      updated: '2026-01-01T00:00:00Z',
      forms: [
        {
          form,
          mediaType: MEDIA_TYPE_OF_FORM[form],
          digest,
          offset: 0,
          length: LARGE.length,
          source: { kind: 'published' },
        },
      ],
      missing: [],
    },
    [LARGE],
  );
  const target = await openLocal(state);
  try {
    const [name, tag] = [parseRepositoryName('test/large'), parseTag('v1')];
    if (name === null || tag === null) throw new Error('no name');
    const key = tagKey(name, tag);
    await target.store.put(key, body, { contentType: MEDIA_TYPES.octetStream, metadata });
  } finally {
    await target.close();
  }
}
