import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findLogin, parseCreds } from '../../../../src/publisher/sources/registry/login.ts';

let folder: string;
const HUB = { host: 'docker.io', repository: 'library/busybox' };
const OWN = { host: 'registry.example:5000', repository: 'team/app' };
const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-auth-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(path: string, value: unknown): Promise<string> {
  const file = join(folder, path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, typeof value === 'string' ? value : JSON.stringify(value));
  return file;
}

const env = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({ HOME: folder, PATH: process.env.PATH, ...more });
const basic = (username: string, password: string) => ({ kind: 'basic', username, password });

describe('a login is found', () => {
  test('in Docker’s config.json, where Docker Hub has a key of its own', async () => {
    await write('.docker/config.json', {
      auths: { 'https://index.docker.io/v1/': auth('hub:pass:word'), 'registry.example:5000': auth('me:secret') },
    });
    expect(await findLogin(HUB, env())).toEqual(basic('hub', 'pass:word'));
    expect(await findLogin(OWN, env())).toEqual(basic('me', 'secret'));
    expect(await findLogin({ ...OWN, host: 'other.example' }, env())).toBeNull();
  });

  test('in podman’s auth.json first, by the longest path', async () => {
    await write('.docker/config.json', { auths: { 'registry.example:5000': auth('docker:x') } });
    await write('.config/containers/auth.json', {
      auths: { 'registry.example:5000': auth('host:x'), 'registry.example:5000/team': auth('team:x') },
    });
    expect(await findLogin(OWN, env())).toEqual(basic('team', 'x'));
    expect(await findLogin({ ...OWN, repository: 'other/app' }, env())).toEqual(basic('host', 'x'));
  });

  test('in the file that REGISTRY_AUTH_FILE names and no other, which must be there', async () => {
    await write('.docker/config.json', { auths: { 'registry.example:5000': auth('docker:x') } });
    const file = await write('mine.json', { auths: {} });
    expect(await findLogin(OWN, env({ REGISTRY_AUTH_FILE: file }))).toBeNull();
    await expect(findLogin(OWN, env({ REGISTRY_AUTH_FILE: join(folder, 'absent') }))).rejects.toThrow(/cannot be read/);
  });

  test('as tokens', async () => {
    await write('.docker/config.json', {
      auths: {
        'docker.io': { ...auth('<token>:'), identitytoken: 'refresh' },
        'registry.example:5000': { registrytoken: 'access' },
      },
    });
    expect(await findLogin(HUB, env())).toEqual({ kind: 'identity-token', token: 'refresh' });
    expect(await findLogin(OWN, env())).toEqual({ kind: 'registry-token', token: 'access' });
  });

  test('by a credential helper, one for a registry or one for all; what it does not know is no failure', async () => {
    const helper = await write(
      'bin/docker-credential-test',
      `#!/bin/sh
read -r server
case "$server" in
  registry.example:5000) echo '{"ServerURL":"x","Username":"helped","Secret":"s"}' ;;
  https://index.docker.io/v1/) echo '{"ServerURL":"x","Username":"<token>","Secret":"refresh"}' ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
`,
    );
    await chmod(helper, 0o755);
    const more = { PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}` };
    await write('.docker/config.json', { credHelpers: { 'registry.example:5000': 'test' } });
    expect(await findLogin(OWN, env(more))).toEqual(basic('helped', 's'));
    await write('.docker/config.json', { credsStore: 'test' });
    expect(await findLogin(HUB, env(more))).toEqual({ kind: 'identity-token', token: 'refresh' });
    expect(await findLogin({ host: 'other.example', repository: 'a' }, env(more))).toBeNull();
  });

  test.each([
    [
      'a helper that is not installed',
      { credsStore: 'no-such-helper' },
      /docker-credential-no-such-helper cannot be run/,
    ],
    ['a helper whose name is a path', { credsStore: '../evil' }, /not a program name/],
    ['a damaged login', { auths: { 'registry.example:5000': { auth: '????' } } }, /damaged/],
    ['a damaged file', '{"auths": {"registry.example:5000": {"auth": "c2VjcmV0', /is not a JSON object/],
  ])('or it is said why not: %s', async (_, content, message) => {
    await write('.docker/config.json', content);
    await expect(findLogin(OWN, env())).rejects.toThrow(message);
    await expect(findLogin(OWN, env())).rejects.not.toThrow(/c2VjcmV0/);
  });
});

test.each(['', 'me', ':secret'])('--creds %s is refused', (text) => {
  expect(() => parseCreds(text)).toThrow(/not USER:PASSWORD/);
});

test('--creds may have colons in the password', () => {
  expect(parseCreds('me:a:b')).toEqual(basic('me', 'a:b'));
});
