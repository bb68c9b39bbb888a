/** What is known about clients: their recorded headers, the names that old engines refuse, and what each cannot use. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CLIENTS, clientOf, type ClientId, type KnownClient } from '../../src/manifest/clients/known-clients.ts';
import { LIMITS, limitsOf } from '../../src/manifest/clients/limits.ts';
import { NAME_RULES, nameRefusal } from '../../src/manifest/clients/name-rules.ts';
import { formObstacle, obstacleTo, type Received } from '../../src/manifest/clients/obstacles.ts';
import { derive } from '../../src/manifest/derive.ts';
import { formsAcceptedBy, negotiate, normalizeAccept } from '../../src/manifest/negotiate.ts';
import { tagRecordOf } from '../../src/manifest/tag-record.ts';
import { MEDIA_TYPES } from '../../src/registry/media-type.ts';
import type { TagRecord } from '../../src/registry/records.ts';
import { content, image, layer, options } from './images.ts';
import { parseAccept } from '../../src/http/accept.ts';
import { parsePlatform } from '../../src/registry/platform.ts';
import { parseRepositoryName, type RepositoryName } from '../../src/registry/name.ts';

const nameOf = (text: string): RepositoryName => {
  const name = parseRepositoryName(text);
  if (name === null) throw new Error(text);
  return name;
};
const recordOfArtifact = (): TagRecord => {
  const sbom = layer('sbom', 'application/spdx+json');
  const one = image('oci-manifest', [sbom], new TextEncoder().encode('{}'), MEDIA_TYPES.ociEmpty);
  return tagRecordOf(derive(content([one.manifest], [one]), options), '2026-01-01T00:00:00Z').record;
};
const known = (id: ClientId): KnownClient => CLIENTS.find((one) => one.id === id) ?? expect.fail(id);
const agent = (version: string): string => `docker/${version} go/go1.4.2 os/linux arch/amd64`;

describe('a known client', () => {
  const recorded = JSON.parse(readFileSync(new URL('../fixtures/clients.json', import.meta.url), 'utf8')) as readonly {
    readonly by: string;
    readonly userAgent: string;
    readonly accept: readonly string[] | null;
  }[];

  it.each(
    (CLIENTS as readonly KnownClient[])
      .filter(({ headers, accept }) => headers === 'captured' && accept.length > 0)
      .map((client) => [client.id, client] as const),
  )('%s sends what was captured, where a capture is kept', (_, { userAgent, accept }) => {
    const program = (text: string): string => text.split(/[\s.]/)[0] ?? '';
    const captures = recorded.filter(
      (one) =>
        one.by === 'tag' &&
        userAgent !== undefined &&
        program(one.userAgent) === program(userAgent) &&
        !one.userAgent.includes('containerd-client'),
    );
    const canonical = (lines: readonly string[] | null): string | null =>
      normalizeAccept(parseAccept(lines?.join(', ') ?? null));
    for (const capture of captures) expect(canonical(accept)).toBe(canonical(capture.accept));
  });

  it('has an id of its own', () => {
    expect(new Set(CLIENTS.map(({ id }) => id)).size).toBe(CLIENTS.length);
  });
});

describe('a limit', () => {
  it('names its source, and its versions are in order', () => {
    for (const { source, from = [0, 0, 0], until } of LIMITS) {
      expect(source).not.toBe('');
      if (until !== null) expect(from < until).toBe(true);
    }
  });

  it.each([
    ['docker/1.6.2', ['nameless-schema1', 'opaque-whiteouts', 'all-tags', 'zstd', 'artifact']],
    ['docker/1.7.1', ['nameless-schema1', 'opaque-whiteouts', 'zstd', 'artifact']],
    ['docker/1.8.3', ['opaque-whiteouts', 'zstd', 'artifact']],
    ['docker/1.9.1', ['zstd', 'artifact']],
    ['docker/19.03.4', ['oci', 'zstd', 'artifact']],
    ['docker/25.0.5', ['artifact']],
    ['docker/26.0.0', ['schema1', 'artifact']],
    ['docker/29.1.0', ['schema1', 'artifact']],
    ['containerd/1.7.28', ['docker-zstd', 'artifact']],
    ['containerd/2.2.0', ['schema1', 'artifact']],
    [
      'docker/29.1.0 go/go1.25 os/linux arch/amd64 containerd-client/2.1.5 storage-driver/overlayfs',
      ['schema1', 'artifact'],
    ],
    ['go-containerregistry/v0.20.6', ['schema1']],
    ['kaniko/v1.24.0 go-containerregistry', ['schema1']],
    ['not-go-containerregistry/1', []],
  ] as const)('%s: %j', (userAgent, expected) => {
    expect(limitsOf(userAgent)).toEqual(expected);
  });
});

describe('the names that old engines refuse', () => {
  const VERSIONS = ['1.6.2', '1.7.1', '1.8.3', '1.9.1', '1.10.3', '28.5.2'] as const;

  it.each([
    ['busybox', []],
    ['library/busybox', []],
    ['my-team/my_app.v1', []],
    ['team/a', []],
    ['hub/library/busybox', ['1.6.2', '1.7.1']],
    ['a/app', ['1.6.2', '1.7.1']],
    ['a', []],
    ['my.team/app', ['1.6.2', '1.7.1']],
    ['team/app.v1', []],
    ['team/a--b', ['1.6.2', '1.7.1', '1.8.3']],
    ['team/a__b', ['1.6.2', '1.7.1', '1.8.3', '1.9.1']],
    ['matrix/a.b/c_d__e/f--g/0/x-1', ['1.6.2', '1.7.1', '1.8.3', '1.9.1']],
    ['ab'.repeat(32), ['1.6.2', '1.7.1', '1.8.3', '1.9.1']],
    [`team/${'ab'.repeat(32)}`, []],
  ] as const)('%s is refused by %j', (name, expected) => {
    expect(VERSIONS.filter((version) => nameRefusal(agent(version), nameOf(name)) !== null)).toEqual(expected);
  });

  it('are those of the rules, none of which goes untested', () => {
    const names = ['hub/library/busybox', 'a/app', 'my.team/app', 'team/a--b', 'team/a__b', 'ab'.repeat(32)];
    expect(names.map((name) => NAME_RULES.findIndex(({ isRefused }) => isRefused(name.split('/'))))).toEqual(
      NAME_RULES.map((_, at) => at),
    );
  });

  it('is no matter for other clients', () => {
    const name = nameOf('a/b/c__d');
    for (const userAgent of [null, '', 'containerd/1.4', 'skopeo/1.9.3', 'containers/5.23.1', 'curl/8'])
      expect(nameRefusal(userAgent, name)).toBeNull();
  });
});

describe('what a client cannot use', () => {
  const SCHEMA1: Received = { form: 'docker-schema1' };
  const ZSTD: Received = { form: 'oci-manifest', zstd: true };
  const DOCKER_ZSTD: Received = { form: 'docker-schema2', zstd: true, nonstandard: ['docker-zstd'] };
  const ARTIFACT: Received = { form: 'oci-manifest', artifact: true };
  const MIXED: Received = { form: 'docker-schema2', nonstandard: ['oci-in-docker'] };

  const kindOf = (id: ClientId, received: Received): string | null =>
    formObstacle(clientOf(known(id)), received)?.kind ?? null;

  it.each([
    ['docker-1.6', SCHEMA1, null],
    ['docker-1.6', { ...SCHEMA1, nameless: true }, 'nameless-schema1'],
    ['docker-1.7', { ...SCHEMA1, nameless: true }, 'nameless-schema1'],
    ['docker-1.8', { ...SCHEMA1, nameless: true }, null],
    ['docker-1.9', { form: 'docker-schema2' }, 'form'],
    ['docker-1.10', { form: 'oci-manifest' }, 'form'],
    ['docker-18', { form: 'oci-index' }, null],
    ['docker-19.03.0', { form: 'oci-index' }, 'form'],
    ['docker-19.03.0', { form: 'docker-list' }, null],
    ['docker-19', { form: 'oci-manifest' }, null],
    ['docker-20', ZSTD, 'layers'],
    ['docker-23', ZSTD, null],
    ['docker-23', SCHEMA1, null],
    ['docker-28', SCHEMA1, 'form'],
    ['containerd-1.4', ZSTD, 'layers'],
    ['containerd-1.6', DOCKER_ZSTD, 'layers'],
    ['containerd-1.6', SCHEMA1, null],
    ['containerd-2', DOCKER_ZSTD, null],
    ['containerd-2', SCHEMA1, 'form'],
    ['podman-5.6', DOCKER_ZSTD, 'layers'],
    ['podman', DOCKER_ZSTD, null],
    ['podman', MIXED, 'layers'],
    ['crane', SCHEMA1, 'form'],
    ['oras', SCHEMA1, 'form'],
    ['systemd', { form: 'docker-schema2' }, 'form'],
    ['systemd', ZSTD, null],
    ['docker-28', ARTIFACT, 'artifact'],
    ['containerd-2', ARTIFACT, 'artifact'],
    ['podman', ARTIFACT, 'artifact'],
    ['systemd', ARTIFACT, 'artifact'],
    ['oras', ARTIFACT, null],
    ['crane', ARTIFACT, null],
    ['docker-cli', ARTIFACT, null],
    ['pulp-2-schema1', { form: 'docker-schema2' }, 'form'],
    ['curl', DOCKER_ZSTD, null],
  ] as const)('%s gets %j: %s', (id, received, expected) => {
    expect(kindOf(id, received)).toBe(expected);
  });

  it('a name that it refuses comes first, whatever the tag has', () => {
    const choice = {
      kind: 'missing',
      reason: 'tag-unknown',
      available: [],
      rule: 'no-accept',
      varies: { userAgent: false },
    } as const;
    const record = { updated: '2026-01-01T00:00:00Z', forms: [], missing: [] };
    const of = (id: ClientId, name: string) =>
      obstacleTo(clientOf(known(id)), { name: nameOf(name), record, choice, nameless: false });
    expect(of('docker-1.7', 'hub/library/busybox')).toEqual({
      kind: 'name',
      text: 'Docker before 1.8 refuses names of more than two components.',
    });
    expect(of('docker-1.8', 'hub/library/busybox')).toBeNull();
  });

  it('of a tag whose record says that it is no image, is the artifact', () => {
    const record = recordOfArtifact();
    const client = clientOf(known('docker-28'));
    const of = (one: TagRecord) =>
      obstacleTo(client, { name: nameOf('a/b'), record: one, choice: negotiate(client, one), nameless: false })?.kind;
    expect([of(record), of({ ...record, missing: [] })]).toEqual(['artifact', undefined]);
  });

  it.each([
    [
      'docker/1.12.6 go/go1.6.4 os/linux arch/amd64',
      ['linux/arm64'],
      'no image for linux/amd64 in the list, which has linux/arm64.',
    ],
    ['docker/20.10.24 os/linux arch/arm64', ['linux/amd64', 'windows/arm64'], 'which has linux/amd64, windows/arm64.'],
    ['docker/20.10.24 os/linux arch/arm64', ['linux/amd64', 'linux/arm64/v8'], null],
    // It runs what it is compatible with.
    ['docker/20.10.24 os/linux arch/amd64', ['linux/386'], null],
    ['docker/20.10.24 os/linux arch/arm64', ['linux/arm/v7'], null],
    // Its platform, or that of the images, is not known.
    ['docker/20.10.24', ['linux/amd64'], null],
    ['docker/20.10.24 os/linux arch/arm64', [], null],
  ] as const)('%s, of a list with %j: %s', (userAgent, platforms, expected) => {
    const one = image('docker-schema2', [layer('one')]);
    const { record } = tagRecordOf(derive(content([one.manifest], [one]), options), '2026-01-01T00:00:00Z');
    const client = { accept: parseAccept('*/*'), userAgent };
    const obstacle = obstacleTo(client, {
      name: nameOf('a/b'),
      record,
      choice: negotiate(client, record),
      nameless: false,
      platforms: platforms.map((text) => parsePlatform(text) ?? expect.fail(text)),
    });
    if (expected === null) expect(obstacle).toBeNull();
    else expect(obstacle).toMatchObject({ kind: 'platform', text: expect.stringContaining(expected) as string });
  });

  it('is nothing for a client without Accept of which nothing is known', () => {
    expect(formsAcceptedBy({ accept: null, userAgent: 'python-requests/2.31' })).toHaveLength(5);
  });
});
