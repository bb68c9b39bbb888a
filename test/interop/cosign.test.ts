/** Images that the real cosign signed, in docker-registry, through the command line. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeDirImage } from '../publisher/dir-image.ts';
import { Bucket } from '../publisher/gc-bucket.ts';
import { runGantry } from '../publisher/commands/command-line.ts';
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts';
import { missingPrograms, must, titleWith } from './programs.ts';

const missing = missingPrograms('docker-registry', 'skopeo', 'cosign');

describe.skipIf(missing.length > 0)(titleWith('an image that cosign signed', missing), () => {
  let folder: string;
  let registry: DockerRegistry;
  const images = new Map<string, string>();
  const env = { ...process.env, COSIGN_PASSWORD: '', COSIGN_EXPERIMENTAL: '1' };

  /** Pushes an image of its own to the registry; returns its name with the digest. */
  async function push(name: string): Promise<string> {
    const image = await writeDirImage(join(folder, name));
    await must('skopeo', [
      'copy',
      '--dest-tls-verify=false',
      image.source,
      `docker://${registry.host}/team/${name}:v1`,
    ]);
    return `${registry.host}/team/${name}@${image.manifest.digest}`;
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-cosign-'));
    registry = await startDockerRegistry(join(folder, 'registry'));
    for (const name of ['ours', 'theirs'])
      await must('cosign', ['generate-key-pair', '--output-key-prefix', name], { cwd: folder, env });
    const sign = (image: string, ...args: readonly string[]): Promise<string> =>
      must('cosign', ['sign', '--yes', '--tlog-upload=false', ...args, image], { cwd: folder, env });
    for (const name of ['tagged', 'referrer', 'stranger', 'unsigned']) images.set(name, await push(name));
    await sign(images.get('tagged') ?? '', '--key', 'ours.key');
    await sign(images.get('referrer') ?? '', '--key', 'ours.key', '--registry-referrers-mode', 'oci-1-1');
    await sign(images.get('stranger') ?? '', '--key', 'theirs.key');
  });
  afterAll(async () => {
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  const publish = async (name: string) => {
    const bucket = new Bucket();
    const source = `docker://${registry.host}/team/${name}:v1`;
    const args = ['publish', source, `team/${name}:v1`, '--verify-signature', join(folder, 'ours.pub')];
    const ran = await runGantry(bucket, args, { GANTRY_KEY: join(folder, 'key.pem'), HOME: folder });
    return { ...ran, keys: bucket.keys() };
  };

  test.each(['tagged', 'referrer'])('is published with our key: %s', async (name) => {
    const { code, stderr } = await publish(name);
    expect(stderr).toContain('signed by');
    expect(code).toBe(0);
  });

  test.each([
    ['stranger', /signature verification failed/],
    ['unsigned', /is not signed, so it is refused/],
  ])('is refused without it, and nothing is written: %s', async (name, message) => {
    const { code, stderr, keys } = await publish(name);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
    expect(keys).toEqual([]);
  });

  test('is synced only with it, together with the tag of the signature', async () => {
    const config = join(folder, 'sync.yaml');
    const repositories = ['tagged', 'stranger'].map((name) => ({
      from: `docker://${registry.host}/team/${name}`,
      'tls-verify': false,
    }));
    await writeFile(
      config,
      JSON.stringify({ defaults: { 'verify-signature': join(folder, 'ours.pub') }, repositories }),
    );
    const bucket = new Bucket();
    const variables = { GANTRY_KEY: join(folder, 'key.pem'), HOME: folder };
    const { code, stdout } = await runGantry(bucket, ['sync', config], variables);
    expect(code).toBe(1);
    expect(stdout.replaceAll(/\s+/g, ' ')).toMatch(/stranger:v1 sha256:\w+ has no signature .* verification failed/);
    const tags = bucket.keys().filter((key) => key.includes('/_tags/'));
    expect(tags.filter((key) => key.includes('stranger/_tags/v1'))).toEqual([]);
    expect(tags.some((key) => key.endsWith('tagged/_tags/v1'))).toBe(true);
    expect(tags.some((key) => /tagged\/_tags\/sha256-.*\.sig$/.test(key))).toBe(true);
  });
});
