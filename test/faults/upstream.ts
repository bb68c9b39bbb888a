/** docker-registry with images in it, behind a fault proxy. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type DockerRegistry, startDockerRegistry } from '../interop/docker-registry.ts';
import { digestOf, payloadOf } from './bucket-reader.ts';
import { type FaultProxy, startFaultProxy } from './proxy.ts';

export const TYPES = {
  schema2: 'application/vnd.docker.distribution.manifest.v2+json',
  schema1: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const;

/** An image as it was pushed. */
export interface PushedImage {
  readonly name: string;
  readonly tag: string;
  readonly digest: string;
  readonly blobs: readonly string[];
  /** The digest of the schema 1 that the registry itself makes of it. */
  readonly schema1: string;
}

/** A registry and the proxy before it. */
export interface UpstreamBed {
  readonly registry: DockerRegistry;
  readonly proxy: FaultProxy;
  /** Pushes an image; the same seed gives the same bytes. */
  push(name: string, tag: string, seed?: string): Promise<PushedImage>;
  close(): Promise<void>;
}

/** Starts them. `keepSeen` as the proxy's. */
export async function startUpstreamBed(options: { readonly keepSeen?: boolean } = {}): Promise<UpstreamBed> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-faults-upstream-'));
  const registry = await startDockerRegistry(folder);
  const proxy = await startFaultProxy(`http://${registry.host}`, options);
  return {
    registry,
    proxy,
    push: (name, tag, seed = `${name}:${tag}`) => push(`http://${registry.host}`, name, tag, seed),
    close: async () => {
      await proxy.close();
      await registry.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Contents of an image: config, layer and manifest. */
export function imageOf(seed: string): { readonly config: Buffer; readonly layer: Buffer; readonly manifest: Buffer } {
  const content = createHash('sha512').update(seed).digest();
  const layer = gzipSync(content);
  const created = '2026-01-01T00:00:00Z';
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      created,
      config: { Labels: { seed } },
      rootfs: { type: 'layers', diff_ids: [digestOf(content)] },
      history: [{ created, created_by: 'layer' }],
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: TYPES.schema2,
      config: {
        mediaType: 'application/vnd.docker.container.image.v1+json',
        size: config.length,
        digest: digestOf(config),
      },
      layers: [
        { mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', size: layer.length, digest: digestOf(layer) },
      ],
    }),
  );
  return { config, layer, manifest };
}

async function push(base: string, name: string, tag: string, seed: string): Promise<PushedImage> {
  const { config, layer, manifest } = imageOf(seed);
  for (const blob of [config, layer]) {
    const begun = await fetch(`${base}/v2/${name}/blobs/uploads/`, { method: 'POST' });
    await begun.body?.cancel();
    const url = new URL(begun.headers.get('location') ?? '', base);
    url.searchParams.set('digest', digestOf(blob));
    await mustBe(
      201,
      await fetch(url, {
        method: 'PUT',
        body: Buffer.from(blob),
        headers: { 'content-type': 'application/octet-stream' },
      }),
    );
  }
  const url = `${base}/v2/${name}/manifests/${tag}`;
  await mustBe(
    201,
    await fetch(url, { method: 'PUT', body: Buffer.from(manifest), headers: { 'content-type': TYPES.schema2 } }),
  );
  const made = await fetch(url, { headers: { accept: TYPES.schema1 } });
  const schema1 = digestOf(payloadOf(Buffer.from(await made.arrayBuffer())));
  return { name, tag, digest: digestOf(manifest), blobs: [config, layer].map(digestOf), schema1 };
}

async function mustBe(status: number, answer: Response): Promise<void> {
  const text = await answer.text();
  if (answer.status !== status) throw new Error(`${answer.url}: ${String(answer.status)} ${text}`);
}
