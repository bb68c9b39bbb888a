/** An edge in front of upstreams, and clients that look closely at what it answers. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writePrivateKey } from '../../src/manifest/signing/key.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import type { CertificateTable } from '../../src/publisher/local/client-certificates.ts';
import { type LocalServer, startServer } from '../../src/publisher/local/server.ts';

/** A rule of `ORIGINS`. */
export type Rule = Readonly<Record<string, unknown>> & {
  readonly name: string;
  readonly pattern: string;
  readonly upstream: string;
};

/** A running edge. */
export interface OriginEdge {
  readonly server: LocalServer;
  readonly host: string;
  readonly url: string;
  /** What the Worker logged, as JSON. */
  readonly log: Record<string, unknown>[];
  close(): Promise<void>;
}

/** Starts an edge with these rules and a signing key, over a bucket of its own. */
export async function startOriginEdge(
  rules: readonly Rule[],
  options: {
    credentials?: unknown;
    vars?: Readonly<Record<string, string>>;
    state?: string;
    certificates?: CertificateTable;
  } = {},
): Promise<OriginEdge> {
  const folder = options.state ?? (await mkdtemp(join(tmpdir(), 'gantry-origin-edge-')));
  const log: Record<string, unknown>[] = [];
  const server = await startServer({
    port: 0,
    state: folder,
    ...(options.certificates !== undefined && { certificates: options.certificates }),
    onLog: (line) => {
      if (line.startsWith('{')) log.push(JSON.parse(line) as Record<string, unknown>);
      else log.push({ event: 'text', line });
    },
    vars: {
      LOG: 'failures',
      ORIGINS: JSON.stringify(rules),
      SIGNING_KEY: writePrivateKey(newKey()),
      ...(options.credentials === undefined ? {} : { ORIGIN_CREDENTIALS: JSON.stringify(options.credentials) }),
      ...options.vars,
    },
  });
  return {
    server,
    host: new URL(server.url).host,
    url: server.url,
    log,
    close: async () => {
      await server.close();
      if (options.state === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What a client got. */
export interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly digest: string;
  readonly length: number;
  /** Empty where only the digest was asked for. */
  readonly body: Buffer;
}

const agent = new Agent({ keepAlive: false });

/**
 * A GET (or HEAD) that sends these headers and no others; rejects if the connection breaks or the body is shorter than
 * announced.
 */
export function get(
  url: string,
  options: {
    method?: 'GET' | 'HEAD';
    headers?: Readonly<Record<string, string>>;
    keep?: boolean;
    leaveAfter?: number;
  } = {},
): Promise<Got> {
  const { method = 'GET', headers = {}, keep = true, leaveAfter } = options;
  return new Promise((resolve, reject) => {
    const asking = request(url, { method, headers, agent }, (response) => {
      const hash = createHash('sha256');
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        length += chunk.length;
        if (keep) chunks.push(chunk);
        if (leaveAfter !== undefined && length >= leaveAfter) response.destroy();
      });
      response.on('error', reject);
      response.on('close', () => {
        if (!response.complete) reject(new Error(`cut off after ${String(length)} bytes`));
        else
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            digest: `sha256:${hash.digest('hex')}`,
            length,
            body: Buffer.concat(chunks),
          });
      });
    });
    asking.on('error', reject);
    asking.end();
  });
}

/** `Accept` of a Docker engine of today. */
export const MODERN = {
  accept: [
    'application/vnd.docker.distribution.manifest.v2+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
    'application/json',
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.oci.image.index.v1+json',
  ].join(', '),
} as const;

/** What an engine from before 1.10 sends: no Accept. */
export const OLD = {
  'user-agent': 'docker/1.6.2 go/go1.4.2 git-commit/7c8fca2 kernel/3.19.0 os/linux arch/amd64',
} as const;

/**
 * Pulls an image as an engine does: the manifest by tag, then everything it names; gives how many blobs there were.
 * Rejects where anything is not what its digest says.
 */
export async function pull(base: string, name: string, tag: string): Promise<number> {
  const root = await get(`${base}/v2/${name}/manifests/${tag}`, { headers: MODERN });
  if (root.status !== 200) throw new Error(`${name}:${tag}: ${String(root.status)} ${root.body.toString()}`);
  if (root.headers['docker-content-digest'] !== root.digest) throw new Error(`${name}:${tag}: wrong bytes`);
  const value = JSON.parse(root.body.toString()) as {
    manifests?: { digest: string }[];
    config?: { digest: string };
    layers?: { digest: string }[];
  };
  if (value.manifests !== undefined) {
    let sum = 0;
    for (const { digest } of value.manifests) sum += await pull(base, name, digest);
    return sum;
  }
  const blobs = [value.config, ...(value.layers ?? [])].flatMap((one) => (one === undefined ? [] : [one.digest]));
  for (const digest of blobs) {
    const blob = await get(`${base}/v2/${name}/blobs/${digest}`, { keep: false });
    if (blob.status !== 200) throw new Error(`${digest}: ${String(blob.status)}`);
    if (blob.digest !== digest) throw new Error(`${digest}: wrong bytes`);
  }
  return blobs.length;
}

/** The reason in an error body. */
export function reasonOf({ body }: Got): string {
  const { errors } = JSON.parse(body.toString()) as { errors: { detail: { reason: string } }[] };
  return errors[0]?.detail.reason ?? '';
}
