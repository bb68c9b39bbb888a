/**
 * Manifests with layer types that are not in their specification, as BuildKit writes them: skopeo refuses them by
 * digest, and gets a clean form by tag. And clients that take OCI types alone.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import { type GantryServer, startGantry } from './gantry-server.ts';
import { type Blobs, digestOf, greetingLayer, type MadeImage, makeImage, writeDir } from './matrix/layout.ts';
import { gantry, missingPrograms, must, run, titleWith } from './programs.ts';

const missing = missingPrograms('skopeo');

let folder: string;
let server: GantryServer;
let published: Readonly<Record<'zstd' | 'oci', string>>;

/** An image whose manifest is a schema 2 around the layers as they are, under some other name. */
async function publishAs(
  name: string,
  flavour: 'oci' | 'oci-zstd',
  layer: string,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const blobs: Blobs = new Map();
  const image: MadeImage = await makeImage(blobs, flavour, [greetingLayer(name)]);
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
      config: { ...image.config, mediaType: MEDIA_TYPES.dockerConfig },
      layers: image.layers.map((one) => ({ ...one, mediaType: layer })),
    }),
  );
  const digest = digestOf(bytes);
  blobs.set(digest, bytes);
  const manifest = { mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'], digest, size: bytes.length };
  const source = await writeDir(join(folder, name), blobs, manifest);
  const { code, stderr } = await gantry(['publish', source, `odd/${name}:1`, '--state', server.state], { env });
  if (code !== 0) throw new Error(stderr);
  return digest;
}

beforeAll(async () => {
  if (missing.length > 0) return;
  folder = await mkdtemp(join(tmpdir(), 'gantry-nonstandard-'));
  const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  server = await startGantry(join(folder, 'state'), { env });
  published = {
    zstd: await publishAs('zstd', 'oci-zstd', MEDIA_TYPES.dockerLayerZstd, env),
    oci: await publishAs('oci', 'oci', MEDIA_TYPES.ociLayerGzip, env),
  };
});
afterAll(async () => {
  if (missing.length > 0) return;
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

describe.skipIf(missing.length > 0)(titleWith('skopeo', missing), () => {
  const copy = (from: string, to: string): ReturnType<typeof run> =>
    run('skopeo', [
      'copy',
      '--insecure-policy',
      '--src-tls-verify=false',
      `docker://${server.host}/${from}`,
      `dir:${to}`,
    ]);

  it.each(['zstd', 'oci'] as const)(
    'copies an image of %s layers in a schema 2 by tag, and refuses it by digest',
    async (name) => {
      const to = join(folder, `${name}-copied`);
      const byTag = await copy(`odd/${name}:1`, to);
      expect(byTag.stderr).toBe('');
      const manifest = JSON.parse(await readFile(join(to, 'manifest.json'), 'utf8')) as { mediaType: string };
      // OCI names can be replaced by Docker's; zstd has a name in OCI only.
      expect(manifest.mediaType).toBe(MEDIA_TYPE_OF_FORM[name === 'zstd' ? 'oci-manifest' : 'docker-schema2']);
      const byDigest = await copy(`odd/${name}@${published[name]}`, join(folder, `${name}-refused`));
      expect(byDigest.stderr).toContain('unsupported docker v2s2 media type');
    },
  );

  it('copies from a registry that is asked for OCI types alone', async () => {
    const accept = `accept: ${MEDIA_TYPE_OF_FORM['oci-manifest']}, ${MEDIA_TYPE_OF_FORM['oci-index']}`;
    const answer = await must('curl', ['-fsS', '-H', accept, `${server.url}/v2/odd/oci/manifests/1`]);
    expect(JSON.parse(answer)).toMatchObject({ mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'] });
    const digest = digestOf(Buffer.from(answer));
    expect((await copy(`odd/oci@${digest}`, join(folder, 'oci-by-digest'))).stderr).toBe('');
  });
});
