/** Docker engines before 1.10 as clients of the matrix: replayed, and as real daemons. */
import { limitsOf } from '../../../src/manifest/clients/limits.ts';
import { nameRefusal } from '../../../src/manifest/clients/name-rules.ts';
import { LIMIT_TEXT } from '../../../src/manifest/clients/obstacles.ts';
import { parseRepositoryName } from '../../../src/registry/name.ts';
import type { Client, KnownFailure, Start, Way } from './clients.ts';
import { expectEqual, first, unique } from './expect.ts';
import type { PublishedImage } from './images.ts';
import { digestOf } from './layout.ts';
import { DAEMON_VERSIONS, daemonsIn, startOldDaemon } from './old-daemon.ts';
import { listTagsAsOldEngine, OLD_ENGINES, type OldEngine, pullAsOldEngine } from './old-engine.ts';
import { expectSameTree } from './tree.ts';

/** An engine that is replayed. */
export function replayedEngine(version: OldEngine): Start {
  return ({ host, verify, machine }) => {
    // One machine is enough.
    if (!machine.title.includes('12')) return Promise.resolve(null);
    const pull = async (image: PublishedImage, reference: string): Promise<string> => {
      const got = await pullAsOldEngine({ version, host, name: image.name, reference, ...(verify && { verify }) });
      expectSameTree(got.tree, image.tree);
      if (image.root.form === 'docker-schema1')
        expectEqual('the document', digestOf(got.document), digestOf(image.root.bytes));
      if (!image.hasCopies) expectEqual('the layers', unique(got.layers.filter(isNoEmptyLayer)), unique(image.layers));
      return got.digest;
    };
    const client: Client = {
      title: 'docker engine, replayed',
      version,
      userAgent: `docker/${version}`,
      method: 'replay',
      ways: {
        tag: async (image) => {
          await pull(image, first(image.tags));
        },
        digest: async (image) => {
          const { digest } = schema1Of(image);
          expectEqual('the digest by digest', await pull(image, digest), digest);
        },
        all: async ({ name, tags }) =>
          expectEqual('the tags', await listTagsAsOldEngine({ version, host, name }), [...tags].sort()),
      },
      knownFailure: (image, way) => failureOf(version, image, way),
    };
    return Promise.resolve(client);
  };
}

/** Every engine of {@link OLD_ENGINES}, replayed. */
export const REPLAYED: readonly Start[] = (Object.keys(OLD_ENGINES) as OldEngine[]).map(replayedEngine);

/** The real engines in a folder of binaries. `tell` gets the names of those that are not there. */
export async function oldDaemons(binaries: string, tell: (message: string) => void): Promise<readonly Start[]> {
  const there = await daemonsIn(binaries);
  for (const version of DAEMON_VERSIONS)
    if (!there.includes(version)) tell(`skipped, docker ${version}: ${binaries} has no docker-${version}`);
  return there.map((version) => realEngine(binaries, version));
}

function realEngine(binaries: string, version: string): Start {
  return async ({ host, folder, machine }) => {
    if (!machine.title.includes('12')) return null;
    const daemon = await startOldDaemon(binaries, version, folder);
    const pull = async (image: PublishedImage, reference: string): Promise<void> => {
      const { tree, printed } = await daemon.pull(`${host}/${image.name}${reference}`);
      expectSameTree(tree, image.tree);
      if (printed !== undefined) expectEqual('the printed digest', printed, schema1Of(image).digest);
    };
    return {
      title: 'docker engine',
      version,
      userAgent: `docker/${version}`,
      method: 'engine',
      ways: {
        tag: (image) => pull(image, `:${first(image.tags)}`),
        digest: (image) => pull(image, `@${schema1Of(image).digest}`),
        all: async ({ name, tags }) =>
          expectEqual('the tags', [...(await daemon.pullAll(`${host}/${name}`))].sort(), [...tags].sort()),
      },
      knownFailure: (image, way) => failureOf(version, image, way),
      close: () => daemon.close(),
    };
  };
}

/** What the tables of src say that goes wrong, and the words by which the engine shows it. */
function failureOf(version: string, { kind, name }: PublishedImage, way: Way): KnownFailure | null {
  const userAgent = `docker/${version}`;
  const parsed = parseRepositoryName(name);
  const refusal = parsed === null ? null : nameRefusal(userAgent, parsed);
  if (refusal !== null)
    return { words: refusal, says: /Invalid (?:namespace|repository) name|component must match|image \S+ not found/ };
  const limits = limitsOf(userAgent);
  if (way === 'all') return limits.includes('all-tags') ? { words: LIMIT_TEXT['all-tags'], says: /not found/ } : null;
  if (kind === 'opaque' && limits.includes('opaque-whiteouts'))
    return { words: LIMIT_TEXT['opaque-whiteouts'], says: /data\/old\/one: file .*, not absent/ };
  return null;
}

/** The schema 1 for linux/amd64, which all machines of the matrix are. */
function schema1Of({ forms }: PublishedImage): { readonly digest: string } {
  const found = forms.find(
    ({ form, platform }) => form === 'docker-schema1' && (platform === undefined || platform === 'linux/amd64'),
  );
  if (found === undefined) throw new Error('the tag has no schema 1');
  return found;
}

/** Stands for a step of history that changed nothing (schema 1 has no other way to say so). */
function isNoEmptyLayer(digest: string): boolean {
  return digest !== 'sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4';
}
