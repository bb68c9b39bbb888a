/** A client that pushes: what it needs, and its steps. */
import { createHash } from 'node:crypto';
import { MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import type { Machine } from '../matrix/machine.ts';

const ACCEPT_ALL = Object.values(MEDIA_TYPE_OF_FORM).join(', ');

/** What a client gets to push with. */
export interface PushBench {
  /** `127.0.0.1:port` of the endpoint that takes pushes. */
  readonly push: string;
  /** `127.0.0.1:port` of the edge, from which the client pulls. */
  readonly edge: string;
  /** A folder of the client's own, the same inside and outside of the machine. */
  readonly folder: string;
  readonly machine: Machine;
  /** An OCI layout of an image with the tag `latest`. */
  readonly layout: string;
}

/** One command of a user, and what must be true after it. Throws if it is not. */
export interface Step {
  readonly title: string;
  readonly run: () => Promise<void>;
}

/** A client that is ready to push. */
export interface StartedClient {
  readonly version: string;
  /** In order; each needs those before it. */
  readonly steps: readonly Step[];
  close?(): Promise<void>;
}

/** A client. */
export interface PushClient {
  readonly title: string;
  /** Without these it cannot be tried. */
  readonly programs: readonly string[];
  /** The first major version of the Docker engine that has what it needs; any, where this is left out. */
  readonly minimumEngine?: number;
  start(bench: PushBench): Promise<StartedClient>;
}

/** The digest that a registry gives a client that accepts every form; null where there is no such manifest. */
export async function digestAt(host: string, name: string, reference: string): Promise<string | null> {
  const response = await fetch(`http://${host}/v2/${name}/manifests/${reference}`, {
    method: 'HEAD',
    headers: { accept: ACCEPT_ALL },
  });
  return response.ok ? response.headers.get('docker-content-digest') : null;
}

/** The manifest that a registry gives a client that accepts every form, and its digest by its bytes. */
export async function manifestAt(
  host: string,
  name: string,
  reference: string,
): Promise<{ readonly digest: string; readonly manifest: ReadManifest }> {
  const response = await fetch(`http://${host}/v2/${name}/manifests/${reference}`, { headers: { accept: ACCEPT_ALL } });
  const text = await response.text();
  if (!response.ok) throw new Error(`${name}:${reference} is answered with ${String(response.status)}: ${text}`);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  return { digest, manifest: JSON.parse(text) as ReadManifest };
}

/** Members that the steps look at. */
export interface ReadManifest {
  readonly mediaType?: string;
  readonly layers?: readonly { readonly digest: string; readonly mediaType: string }[];
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
}

/** The digests of a manifest's layers. */
export function layersOf({ layers = [] }: ReadManifest): readonly string[] {
  return layers.map(({ digest }) => digest);
}

/** The version that a program prints when it is called with these words, or that of its Debian package. */
export async function versionBy(machine: Machine, program: string, ...words: readonly string[]): Promise<string> {
  const told = await machine.run(program, words);
  const { stdout } = VERSION.test(told.stdout)
    ? told
    : await machine.run('dpkg-query', ['--show', '--showformat=${Version}', program]);
  return VERSION.exec(stdout)?.[0] ?? 'unknown';
}

// The version of Go is none of the program's.
const VERSION = /(?<!go|\.|\d)\d+(?:\.\d+)+/;
