import { describe, expect, test } from 'vitest';
import { parseSyncConfig } from '../../../src/publisher/sync/config.ts';
import { parseRepositoryName } from '../../../src/registry/name.ts';

const name = (text: string) => parseRepositoryName(text) ?? (undefined as never);

describe('a sync file', () => {
  test('is read with its settings, defaults and names', () => {
    const [first, second] = parseSyncConfig(
      `
defaults:
  platforms: [linux/amd64, linux/arm/v7]
  prune: missing
repositories:
  - from: docker://busybox
    to: mirror/busybox
    tags: { glob: ['1.*', '!*-musl'], regex: '^1', semver: '>=1.30', newest: 5 }
    recompress: all
    schema1: false
    tls-verify: false
    retention: { tags: ['pr-*', '!pr-keep'], keep: 10, older-than: 90d }
  - from: pulp2:/srv/pulp
    repositories: rhel7/*
    to: legacy/*
    prune: none
    recompress: true
    compat: true
    tags: latest
`,
      'sync.yaml',
    );
    expect(first?.source).toEqual({
      kind: 'registry',
      remote: { host: 'docker.io', name: 'library/busybox' },
      missing: 'registry',
      tlsVerify: false,
    });
    expect(first?.settings).toMatchObject({
      platforms: [
        { os: 'linux', architecture: 'amd64' },
        { os: 'linux', architecture: 'arm', variant: 'v7' },
      ],
      prune: 'missing',
      recompress: 'all',
      schema1: false,
      referrers: true,
      mode: 'strict',
      tags: { glob: ['1.*', '!*-musl'], regex: /^1/u, newest: 5 },
      retention: { tags: ['pr-*', '!pr-keep'], keep: 10, olderThan: 90 * 86_400_000 },
    });
    expect(first?.rename(name('library/busybox'))).toBe('mirror/busybox');
    expect(second?.source).toEqual({ kind: 'pulp2', path: '/srv/pulp', repositories: ['rhel7/*'] });
    expect(second?.rename(name('rhel7/etcd'))).toBe('legacy/rhel7/etcd');
    expect(second?.settings).toMatchObject({
      prune: 'none',
      recompress: 'zstd',
      mode: 'compat',
      tags: { glob: ['latest'] },
    });
  });

  test('may switch the retention of its defaults off', () => {
    const [first, second] = parseSyncConfig(
      `defaults: { retention: { keep: 3 } }
repositories: [{ from: 'docker://a' }, { from: 'docker://b', retention: none }]`,
      's.yaml',
    );
    expect(first?.settings.retention).toEqual({ tags: [], keep: 3, olderThan: undefined });
    expect(second?.settings.retention).toBeUndefined();
  });

  test.each<[string, string, RegExp]>([
    ['is not YAML', 'repositories: [', /^s\.yaml:1: /],
    ['has a member twice', 'repositories: []\nrepositories: []', /^s\.yaml:2: .*unique/],
    ['is a list', '- a', /must have members: defaults, repositories/],
    ['names nothing', 'defaults: {}', /has no "repositories"/],
    ['has an empty list', 'repositories: []', /names no repository/],
    [
      'has a member that is not known',
      'repositories:\n  - from: docker://a\n    tag: x',
      /^s\.yaml:3: repositories\[0\] has the unknown member "tag"/,
    ],
    ['has a member without a value', 'repositories:\n  - from: docker://a\n    tags:', /^s\.yaml:3: tags has no value/],
    ['has no source', 'repositories:\n  - to: a', /has no "from"/],
    ['has a source of another kind', 'repositories:\n  - from: dir:/a', /"dir:\/a" is not a valid source/],
    ['has a tag in its source', 'repositories:\n  - from: docker://a:1', /is not a valid repository/],
    [
      'has a name outside the grammar',
      'repositories:\n  - from: docker://a\n    to: Upper',
      /"Upper" is not a valid repository name/,
    ],
    [
      'puts many repositories into one',
      'repositories:\n  - from: pulp2:/a\n    repositories: ["x/*"]\n    to: b',
      /must have a \*/,
    ],
    [
      'chooses repositories of a registry',
      'repositories:\n  - from: docker://a\n    repositories: b',
      /only for a Pulp 2 tree/,
    ],
    [
      'has a path in the address of a Pulp 3',
      'repositories:\n  - from: pulp3+https://pulp.example.com/pulp',
      /is not a valid address of a Pulp 3/,
    ],
    [
      'would send a password unencrypted',
      'repositories:\n  - from: pulp3+http://pulp.example.com',
      /would send the password unencrypted/,
    ],
    [
      'has a password where the name of a variable belongs',
      'repositories:\n  - from: pulp3+https://pulp.example.com\n    credentials: "me:secret"',
      /^s\.yaml:3: credentials must be the name of an environment variable/,
    ],
    [
      'puts all of a Pulp 3 into one repository',
      'repositories:\n  - from: pulp3+https://pulp.example.com\n    to: b',
      /must have a \*/,
    ],
    [
      'names an account for what is no Pulp 3',
      'repositories:\n  - from: docker://a\n    credentials: PULP',
      /is only for a Pulp 3/,
    ],
    [
      'reads one Pulp 3 by two accounts',
      'repositories:\n  - from: pulp3+https://p.example\n    credentials: A\n  - from: pulp3+https://p.example\n    credentials: B',
      /repositories\[1\] reads a Pulp with another account/,
    ],
    [
      'has a number where a version is meant',
      'repositories:\n  - from: docker://a\n    tags: [1.10]',
      /^s\.yaml:3: tags\[0\] must be text/,
    ],
    [
      'has a range that is none',
      'repositories:\n  - from: docker://a\n    tags: { semver: "abc def" }',
      /is not a valid range of versions/,
    ],
    [
      'has an expression that is none',
      'repositories:\n  - from: docker://a\n    tags: { regex: "(" }',
      /is not a valid regular expression/,
    ],
    [
      'asks for less than one tag',
      'repositories:\n  - from: docker://a\n    tags: { newest: 0 }',
      /whole number from 1/,
    ],
    [
      'has a platform that is none',
      'repositories:\n  - from: docker://a\n    platforms: [arm]',
      /"arm" is not a valid platform/,
    ],
    [
      'prunes in a way that is not known',
      'repositories:\n  - from: docker://a\n    prune: yes please',
      /must be one of none, missing, unselected/,
    ],
    ...[
      ['{ tags: "pr-*" }', /retention has no condition/],
      ['{ keep: 0 }', /keep must be a whole number from 1/],
      ['{ keep: "10" }', /keep must be a whole number from 1/],
      ['{ older-than: 90 }', /older-than must be text/],
      ['{ older-than: ninety days }', /older-than is not a duration/],
      ['{ older-than: 0d }', /older-than is not a duration/],
      ['{ keep: 1, newest: 1 }', /retention has the unknown member "newest"/],
      ['10', /retention must have members: tags, keep, older-than/],
    ].map(([retention, message]): [string, string, RegExp] => [
      `has the retention ${String(retention)}`,
      `repositories:\n  - from: docker://a\n    retention: ${String(retention)}`,
      new RegExp(`^s\\.yaml:3: .*${(message as RegExp).source}`),
    ]),
    [
      'says yes where true is meant',
      'repositories:\n  - from: docker://a\n    referrers: "yes"',
      /must be true or false/,
    ],
  ])('is refused with its line if it %s', (_, text, message) => {
    expect(() => parseSyncConfig(text, 's.yaml')).toThrow(message);
  });
});
