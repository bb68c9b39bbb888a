import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAccept } from '../../src/http/accept.ts';
import {
  canRead,
  type Choice,
  normalizeAccept,
  normalizeUserAgent,
  negotiate,
  RULES,
  unreadableReason,
} from '../../src/manifest/negotiate.ts';
import { limitsOf } from '../../src/manifest/clients/limits.ts';
import { sha256Of } from '../../src/manifest/signing/sha256.ts';
import type { Reason } from '../../src/registry/errors.ts';
import { type Form, FORMS, MEDIA_TYPE_OF_FORM, SCHEMA1_PLAIN } from '../../src/registry/media-type.ts';
import { formatPlatform, parsePlatform, type Platform } from '../../src/registry/platform.ts';
import type { MissingForm, TagForm, TagRecord } from '../../src/registry/records.ts';

const OI = MEDIA_TYPE_OF_FORM['oci-index'];
const DL = MEDIA_TYPE_OF_FORM['docker-list'];
const OM = MEDIA_TYPE_OF_FORM['oci-manifest'];
const S2 = MEDIA_TYPE_OF_FORM['docker-schema2'];
const S1P = MEDIA_TYPE_OF_FORM['docker-schema1'];
const S1 = SCHEMA1_PLAIN;

const platformOf = (text: string): Platform => {
  const platform = parsePlatform(text);
  if (platform === null) throw new Error(text);
  return platform;
};

/**
 * A form as a row: `published oci-manifest`, `derived docker-schema1 linux/arm64`, `published oci-manifest+zstd`,
 * `published docker-schema2+oci-in-docker`.
 */
const form = (text: string): TagForm => {
  const [source, packed = '', platform] = text.split(' ');
  const [name, ...marks] = packed.split('+');
  const nonstandard = (['docker-zstd', 'oci-in-docker'] as const).filter((mark) => marks.includes(mark));
  const kind = FORMS.find((one) => one === name);
  if (kind === undefined) throw new Error(text);
  const digest = sha256Of(new TextEncoder().encode(text));
  return {
    form: kind,
    mediaType: MEDIA_TYPE_OF_FORM[kind],
    digest,
    offset: 0,
    length: 1,
    source: source === 'published' ? { kind: 'published' } : { kind: 'derived', from: digest },
    ...(platform === undefined ? {} : { platform: platformOf(platform) }),
    ...(marks.includes('zstd') ? { zstd: true } : {}),
    ...(nonstandard.length > 0 ? { nonstandard } : {}),
  };
};

const lack = (name: Form, reason: Reason, platform?: string): MissingForm => ({
  form: name,
  reason,
  ...(platform === undefined ? {} : { platform: platformOf(platform) }),
});

const recordOf = (forms: readonly string[], missing: readonly MissingForm[] = []): TagRecord => ({
  updated: '2026-11-24T00:00:00Z',
  forms: forms.map(form),
  missing,
});

/** What tags there are: the columns of the table. */
const RECORDS = {
  schema2: recordOf(['published docker-schema2', 'derived oci-manifest', 'derived docker-schema1']),
  oci: recordOf(['published oci-manifest', 'derived docker-schema2', 'derived docker-schema1']),
  'oci without history': recordOf(
    ['published oci-manifest', 'derived docker-schema2'],
    [lack('docker-schema1', 'schema1-no-history')],
  ),
  'oci zstd': recordOf(
    ['published oci-manifest'],
    [lack('docker-schema2', 'schema2-zstd-layers'), lack('docker-schema1', 'schema1-zstd-layers')],
  ),
  artifact: recordOf(
    ['published oci-manifest'],
    [lack('docker-schema2', 'schema2-not-an-image'), lack('docker-schema1', 'schema1-not-an-image')],
  ),
  list: recordOf([
    'published docker-list',
    'derived oci-index',
    'published docker-schema2 linux/amd64',
    'derived oci-manifest linux/amd64',
    'derived docker-schema1 linux/amd64',
    'derived docker-schema1 linux/arm/v7',
    'derived docker-schema1 linux/arm/v5',
    'derived docker-schema1 linux/arm64/v8',
  ]),
  index: recordOf(
    [
      'published oci-index',
      'derived docker-list',
      'published oci-manifest linux/amd64',
      'derived docker-schema2 linux/amd64',
      'derived docker-schema1 linux/amd64',
    ],
    [lack('docker-schema1', 'schema1-foreign-layers', 'windows/amd64')],
  ),
  'index without amd64': recordOf(
    ['published oci-index', 'derived docker-list', 'derived docker-schema1 linux/arm64'],
    [lack('docker-schema1', 'schema1-no-platform')],
  ),
  'schema 1': recordOf(['published docker-schema1', 'derived docker-schema2', 'derived oci-manifest']),
  'schema 1 unreadable': recordOf(['published docker-schema1'], [lack('docker-schema2', 'schema2-layers-unreadable')]),
  joined: recordOf(['published docker-schema2', 'published docker-schema1', 'derived oci-manifest']),
  'joined with list': recordOf([
    'published docker-list',
    'published docker-schema2',
    'published docker-schema1 linux/amd64',
    'derived oci-index',
    'derived oci-manifest',
    'derived docker-schema1 linux/arm64',
  ]),
} as const satisfies Record<string, TagRecord>;

type RecordName = keyof typeof RECORDS;

const shown = (choice: Choice): string => {
  if (choice.kind === 'missing') return `404 ${choice.reason}`;
  const { source, form: name, platform } = choice.form;
  return [source.kind, name, ...(platform === undefined ? [] : [formatPlatform(platform)])].join(' ');
};

const choose = (lines: readonly string[] | null, userAgent: string | null, record: RecordName): string =>
  shown(negotiate({ accept: parseAccept(lines === null ? null : lines.join(', ')), userAgent }, RECORDS[record]));

/** Everything that is current takes these, whatever else it takes. */
const CURRENT: Readonly<Record<RecordName, string>> = {
  schema2: 'published docker-schema2',
  oci: 'published oci-manifest',
  'oci without history': 'published oci-manifest',
  'oci zstd': 'published oci-manifest',
  artifact: 'published oci-manifest',
  list: 'published docker-list',
  index: 'published oci-index',
  'index without amd64': 'published oci-index',
  'schema 1': 'derived docker-schema2',
  'schema 1 unreadable': 'published docker-schema1',
  joined: 'published docker-schema2',
  'joined with list': 'published docker-list',
};

/** Engines before 1.10 that tell no platform, and whoever asks for schema 1 alone. */
const OLD: Readonly<Record<RecordName, string>> = {
  schema2: 'derived docker-schema1',
  oci: 'derived docker-schema1',
  'oci without history': '404 schema1-no-history',
  'oci zstd': '404 schema1-zstd-layers',
  artifact: '404 schema1-not-an-image',
  list: 'derived docker-schema1 linux/amd64',
  index: 'derived docker-schema1 linux/amd64',
  'index without amd64': '404 schema1-no-platform',
  'schema 1': 'published docker-schema1',
  'schema 1 unreadable': 'published docker-schema1',
  joined: 'published docker-schema1',
  'joined with list': 'published docker-schema1 linux/amd64',
};

/** Whoever takes what there is: what was published. */
const ANYTHING: Readonly<Record<RecordName, string>> = { ...CURRENT, 'schema 1': 'published docker-schema1' };

/** Clients of Docker types with lists, from between 1.10 and OCI; `schema1` tells whether they take that too. */
const dockerOnly = (schema1: boolean): Readonly<Record<RecordName, string>> => ({
  ...CURRENT,
  oci: 'derived docker-schema2',
  'oci without history': 'derived docker-schema2',
  'oci zstd': '404 schema2-zstd-layers',
  artifact: '404 schema2-not-an-image',
  index: 'derived docker-list',
  'index without amd64': 'derived docker-list',
  'schema 1 unreadable': schema1 ? 'published docker-schema1' : '404 schema2-layers-unreadable',
});

const onUserAgent = (userAgent: string, changes: Partial<Record<RecordName, string>> = {}) =>
  [userAgent, null, userAgent, { ...OLD, ...changes }] as const;

/** The table: who asks, with which header lines, and what it gets of each tag. */
const CLIENTS: readonly (readonly [
  title: string,
  accept: readonly string[] | null,
  userAgent: string | null,
  expected: Readonly<Record<RecordName, string>>,
])[] = [
  onUserAgent('docker/1.6.2 go/go1.4.2 git-commit/7c8fca2 kernel/3.10.0 os/linux arch/amd64'),
  onUserAgent('docker/1.7.1 go/go1.4.2 git-commit/786b29d kernel/3.10.0 os/linux arch/amd64'),
  onUserAgent('docker/1.8.3 go/go1.4.3 git-commit/f4bf5c7 kernel/3.10.0-327.el7.x86_64 os/linux arch/amd64'),
  onUserAgent('docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/4.2.0 os/linux arch/arm64', {
    list: 'derived docker-schema1 linux/arm64/v8',
    index: '404 schema1-no-platform',
    'index without amd64': 'derived docker-schema1 linux/arm64',
    'joined with list': 'derived docker-schema1 linux/arm64',
  }),
  onUserAgent('docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/4.2.0 os/linux arch/arm', {
    // It does not tell its variant: the lowest runs on all.
    list: 'derived docker-schema1 linux/arm/v5',
    index: '404 schema1-no-platform',
    'joined with list': '404 schema1-no-platform',
  }),
  onUserAgent('docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 os/windows arch/amd64', {
    list: '404 schema1-no-platform',
    index: '404 schema1-foreign-layers',
    'joined with list': '404 schema1-no-platform',
  }),
  onUserAgent('Go 1.1 package http'),
  ['a client without Accept and User-Agent', null, null, OLD],
  ['an empty Accept', [''], 'x', OLD],
  [
    'docker 1.10 to 17.x',
    [S2, DL, S1P, 'application/json'],
    'docker/1.12.6 go/go1.6.4 os/linux arch/amd64',
    dockerOnly(true),
  ],
  ['Pulp 2 asks for the v2 types', [`${S2},${DL}`], 'python-requests/2.6.0 CPython/2.7.5', dockerOnly(false)],
  ['Pulp 2 asks again for the v1 types alone', [`${S1P},${S1}`], 'python-requests/2.6.0 CPython/2.7.5', OLD],
  ['Pulp 2 asks a third time without Accept', null, 'python-requests/2.6.0 CPython/2.7.5', OLD],
  ['Pulp 3', [`${S2},${S1},${S1P},${DL},${OI},${OM}`], 'pulpcore/3.40', CURRENT],
  ['curl', ['*/*'], 'curl/7.88.1', ANYTHING],
  ['wget, a wildcard subtype', ['application/*'], 'Wget/1.21', ANYTHING],
  ['application/json alone', ['application/json'], 'python-requests/2.31', ANYTHING],
  ['a browser', ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'], 'Mozilla/5.0', ANYTHING],
  ['Java', ['text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2'], 'Java/1.8', ANYTHING],
  [
    'schema 2 alone: no list, so the default platform of one',
    [S2],
    null,
    {
      ...dockerOnly(false),
      list: 'published docker-schema2 linux/amd64',
      index: 'derived docker-schema2 linux/amd64',
      'index without amd64': '404 form-not-published',
      'joined with list': 'published docker-schema2',
    },
  ],
  [
    'OCI manifest alone: one that is derived where none was published',
    [OM],
    null,
    {
      ...CURRENT,
      schema2: 'derived oci-manifest',
      list: 'derived oci-manifest linux/amd64',
      index: 'published oci-manifest linux/amd64',
      'index without amd64': '404 form-not-published',
      'schema 1': 'derived oci-manifest',
      'schema 1 unreadable': '404 form-not-published',
      joined: 'derived oci-manifest',
      'joined with list': 'derived oci-manifest',
    },
  ],
  [
    'OCI alone, as systemd 260 asks (importctl pull-oci)',
    [`${OM}, ${OI}`],
    'systemd/260',
    {
      ...CURRENT,
      schema2: 'derived oci-manifest',
      list: 'derived oci-index',
      'schema 1': 'derived oci-manifest',
      'schema 1 unreadable': '404 form-not-published',
      joined: 'derived oci-manifest',
      'joined with list': 'derived oci-index',
    },
  ],
];

describe('by tag', () => {
  describe.each(CLIENTS)('%s', (_, accept, userAgent, expected) => {
    it.each(Object.keys(RECORDS) as RecordName[])('and a tag with: %s', (record) => {
      expect(choose(accept, userAgent, record)).toBe(expected[record]);
    });
  });

  const real = JSON.parse(readFileSync(new URL('../fixtures/clients.json', import.meta.url)).toString()) as readonly {
    by: 'tag' | 'digest';
    userAgent: string;
    accept: string[] | null;
  }[];

  describe.each(real.filter(({ by }) => by === 'tag').map((row) => [row.userAgent, row.accept, row] as const))(
    'the headers of %s: %j',
    (userAgent, accept) => {
      const expected = userAgent.startsWith('curl') ? ANYTHING : CURRENT;
      // oras and `docker manifest inspect` never take schema 1; go-containerregistry and the others name it, or say
      // */*.
      const refusesSchema1 = !/v1\+prettyjws|\*\/\*/.test((accept ?? []).join());
      it.each(Object.keys(RECORDS) as RecordName[])('and a tag with: %s', (record) => {
        const last =
          record === 'schema 1 unreadable' && refusesSchema1 ? '404 schema2-layers-unreadable' : expected[record];
        expect(choose(accept, userAgent, record)).toBe(last);
      });
    },
  );

  it.each([
    ['the highest q wins over the published form', [`${OM};q=0.5, ${S2}`], 'oci', 'derived docker-schema2'],
    ['q=0 rules a form out', [`${OM};q=0, */*`], 'oci', 'derived docker-schema2'],
    ['q=0.000 too', [`${OM};q=0.000, */*`], 'oci', 'derived docker-schema2'],
    ['q of one form does not touch the others', [`${OI};q=0.1, ${DL};q=0.2`], 'index', 'derived docker-list'],
    [
      'a specific range wins over a wildcard, whatever its q',
      [`*/*;q=1, ${OM};q=0.1`],
      'oci',
      'derived docker-schema2',
    ],
    ['application/* with q=0 rules all out', ['application/*;q=0, */*'], 'oci', '404 form-not-published'],
    ['the types in other case', [S2.toUpperCase()], 'schema2', 'published docker-schema2'],
    ['parameters other than q', [`${S2};charset=utf-8;q=0.4;ext="a,b"`], 'schema2', 'published docker-schema2'],
    ['white space everywhere', [` \t${S2} ; q = 0.4 ,, `], 'schema2', 'published docker-schema2'],
    ['several header lines', [OM, S2], 'schema2', 'published docker-schema2'],
    ['a weight that cannot be read counts as 1', [`${S2};q=high, ${OM};q=0.9`], 'oci', 'derived docker-schema2'],
    ['what cannot be read is passed over', ['garbage, /, a/b/c, ;q=1', S2], 'schema2', 'published docker-schema2'],
    ['a quote that is not closed', [`x/y;a="${S2}`], 'schema2', '404 form-not-published'],
    ['a type that no form has', ['text/plain'], 'schema2', '404 form-not-published'],
    ['schema 1 first in the header gains it nothing', [`${S1},${S1P},${S2}`], 'joined', 'published docker-schema2'],
    [
      'schema 1 with the highest q is what the client wants',
      [`${S1P}, ${S2};q=0.5`],
      'joined',
      'published docker-schema1',
    ],
    ['schema 1 under its plain name alone', [S1], 'joined', 'published docker-schema1'],
    [
      'everything but schema 1 ruled out',
      [`*/*, ${OI};q=0, ${DL};q=0, ${OM};q=0, ${S2};q=0`],
      'list',
      'derived docker-schema1 linux/amd64',
    ],
    ['application/json beside a type says nothing', ['application/json', OI], 'schema2', '404 form-not-published'],
    ['a derived OCI form wins by a higher q', [`${S2};q=0.5, ${OM}`], 'schema2', 'derived oci-manifest'],
  ] as const)('%s', (_, accept, record, expected) => {
    expect(choose(accept, null, record)).toBe(expected);
  });

  it('of images for several platforms a client without lists gets that for linux/amd64, wherever it stands', () => {
    const several = recordOf([
      'published docker-list',
      'published docker-schema2 linux/arm64',
      'published docker-schema2 linux/amd64',
    ]);
    expect(shown(negotiate({ accept: parseAccept(S2), userAgent: null }, several))).toBe(
      'published docker-schema2 linux/amd64',
    );
  });

  it('says what could be had instead: media types, or platforms where only the platform is lacking', () => {
    const forms = negotiate({ accept: parseAccept(DL), userAgent: null }, RECORDS.schema2);
    expect(forms).toMatchObject({ kind: 'missing', available: [S2, OM, S1P] });
    const platforms = negotiate({ accept: null, userAgent: 'docker/1.9.1 os/linux arch/s390x' }, RECORDS.list);
    expect(platforms).toMatchObject({
      kind: 'missing',
      available: ['linux/amd64', 'linux/arm/v7', 'linux/arm/v5', 'linux/arm64/v8'],
      varies: { userAgent: true },
    });
  });

  it('looks at the User-Agent only for schema 1 of a tag with platforms', () => {
    const varies = (accept: string | null, record: RecordName): boolean =>
      negotiate({ accept: parseAccept(accept), userAgent: null }, RECORDS[record]).varies.userAgent;
    expect([varies(null, 'list'), varies(S1P, 'index'), varies(null, 'index without amd64')]).toEqual([
      true,
      true,
      true,
    ]);
    expect([varies(null, 'schema2'), varies(S2, 'list'), varies('*/*', 'list'), varies(null, 'schema 1')]).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it('every rule has its words', () => {
    const rules = Object.keys(RECORDS).flatMap((record) =>
      [null, S1P, '*/*', S2].map(
        (accept) => negotiate({ accept: parseAccept(accept), userAgent: null }, RECORDS[record as RecordName]).rule,
      ),
    );
    const packed = recordOf(['published oci-manifest+zstd']);
    rules.push(negotiate({ accept: parseAccept('*/*'), userAgent: 'docker/20.10.24' }, packed).rule);
    const odd = recordOf(['published docker-schema2+oci-in-docker', 'derived oci-manifest']);
    rules.push(negotiate({ accept: parseAccept('*/*'), userAgent: 'skopeo/1.9.3' }, odd).rule);
    rules.push(negotiate({ accept: parseAccept([S1P, S2, OM].join()), userAgent: 'docker/19.03.1' }, RECORDS.oci).rule);
    expect(new Set(rules)).toEqual(new Set(Object.keys(RULES)));
  });

  describe('a schema 1 whose schema 2 nobody has tried to derive', () => {
    const unread = recordOf(['published docker-schema1'], [lack('docker-schema2', 'schema2-layers-unread')]);

    it.each([
      ['Docker', [S1P, 'application/json', OM, S2, DL, OI], 'published docker-schema1', true],
      ['containerd, by its wildcard', [`${S2}, ${DL}, ${OM}, ${OI}, */*`], 'published docker-schema1', true],
      ['who takes schema 2 alone', [S2], '404 schema2-layers-unread', true],
      ['who takes OCI alone', [OM, OI], '404 form-not-published', true],
      ['who wants schema 1 more', [`${S2};q=0.5`, S1P], 'published docker-schema1', false],
      ['who takes lists alone', [DL, OI], '404 form-not-published', false],
      ['who takes schema 1 alone', [S1P], 'published docker-schema1', false],
      ['who takes anything', ['*/*'], 'published docker-schema1', false],
      ['an old engine', null, 'published docker-schema1', false],
    ] as const)('%s', (_, accept, expected, awaits) => {
      const choice = negotiate({ accept: parseAccept(accept?.join(', ') ?? null), userAgent: null }, unread);
      expect(shown(choice)).toBe(expected);
      expect(choice.awaitsSchema2 === true).toBe(awaits);
    });
  });

  describe('where layers are packed with zstd', () => {
    const copied = ['published oci-manifest+zstd', 'derived docker-schema2', 'derived docker-schema1'];
    const listed = [
      'published oci-index+zstd',
      'derived docker-list',
      'published oci-manifest+zstd linux/amd64',
      'derived docker-schema2 linux/amd64',
    ];
    const bare = ['published oci-manifest+zstd'];
    const joined = ['published oci-manifest+zstd', 'published docker-schema1'];
    const DOCKER_20 = 'docker/20.10.24+dfsg1 go/go1.19.8 os/linux arch/amd64';
    const every = [S1P, OM, S2, DL, OI];

    it.each([
      ['docker 20.10 gets the form with gzip copies', copied, DOCKER_20, every, 'derived docker-schema2'],
      ['in whatever order, with whatever q', copied, DOCKER_20, [S2 + ';q=0.1', OM], 'derived docker-schema2'],
      ['docker 1.10 too', copied, 'docker/1.10.3 go/go1.5.3 os/linux arch/amd64', [S2, OM], 'derived docker-schema2'],
      ['so does containerd 1.4, by its wildcard', copied, 'containerd/1.4.13', ['*/*'], 'derived docker-schema2'],
      ['of an index the Docker list', listed, DOCKER_20, every, 'derived docker-list'],
      ['without lists the image of that platform', listed, DOCKER_20, [OM, S2], 'derived docker-schema2 linux/amd64'],
      ['without copies it is told how to have them', bare, DOCKER_20, every, '404 zstd-layers'],
      ['a published schema 1 is better than nothing', joined, DOCKER_20, every, 'published docker-schema1'],
      [
        'docker 23 gets what was published',
        copied,
        'docker/23.0.0 go/go1.19.5 os/linux arch/amd64',
        every,
        'published oci-manifest+zstd',
      ],
      ['containerd 1.6 as well', copied, 'containerd/1.6.20~ds1', every, 'published oci-manifest+zstd'],
      ['and everybody of whom nothing is known', bare, 'skopeo/1.9.3', every, 'published oci-manifest+zstd'],
      ['whoever takes no form of zstd is answered as ever', bare, DOCKER_20, [S2, DL], '404 form-not-published'],
    ] as const)('%s', (_, forms, userAgent, accept, expected) => {
      const choice = negotiate({ accept: parseAccept(accept.join(', ')), userAgent }, recordOf(forms));
      const packed =
        choice.kind === 'form' && choice.form.zstd === true
          ? shown(choice).replace('oci-manifest', 'oci-manifest+zstd')
          : shown(choice);
      expect(packed).toBe(expected);
      expect(choice.rule === 'no-zstd').toBe(expected !== '404 form-not-published' && !expected.includes('+zstd'));
    });

    it('the User-Agent plays a part there, and of other tags in none', () => {
      const varies = (forms: readonly string[], accept: string): boolean =>
        negotiate({ accept: parseAccept(accept), userAgent: DOCKER_20 }, recordOf(forms)).varies.userAgent;
      expect([varies(copied, OM), varies(bare, OM), varies(listed, '*/*')]).toEqual([true, true, true]);
      expect([
        varies(['published oci-manifest', 'derived docker-schema2'], OM),
        varies(copied, S2),
        varies(copied, S1P),
      ]).toEqual([false, false, false]);
    });

    it.each([
      ['docker/1.13.1 go/go1.7.5', false],
      ['docker/20.10.24+dfsg1 go/go1.19.8', false],
      ['docker/22.06.0-beta.0 go/go1.18', true],
      ['docker/23.0.1 go/go1.19.5', true],
      ['docker/28.5.2', true],
      ['docker/dev', true],
      ['containerd/1.4.13~ds1', false],
      ['containerd/v1.4.0', false],
      ['containerd/1.5.0', true],
      ['containerd/2.1.9+unknown', true],
      ['Docker-Client/20.10.24 (linux)', true],
      ['x docker/20.10', true],
      ['', true],
      [null, true],
    ])('%s unpacks it: %s', (userAgent, expected) => {
      expect(!limitsOf(userAgent).includes('zstd')).toBe(expected);
    });
  });

  describe('where a schema 2 has layer types that are not in its specification', () => {
    const packed = ['published docker-schema2+zstd+docker-zstd', 'derived oci-manifest+zstd'];
    const copied = [...packed, 'derived docker-schema2', 'derived docker-schema1'];
    const mixed = ['published docker-schema2+oci-in-docker', 'derived docker-schema2', 'derived oci-manifest'];
    const listed = [
      'published docker-list+zstd+docker-zstd',
      'derived oci-index+zstd',
      'published docker-schema2+zstd+docker-zstd linux/amd64',
      'derived oci-manifest+zstd linux/amd64',
    ];
    const every = [S1P, OM, S2, DL, OI];
    const [PODMAN_5, PODMAN_NOW] = ['containers/5.36.1 (github.com/containers/image)', 'containers/5.39.2 (x)'];
    const DOCKER_28 = 'docker/28.5.2 go/go1.24.9 os/linux arch/amd64';

    it.each([
      ['podman gets the OCI manifest', packed, PODMAN_5, every, 'derived oci-manifest'],
      ['skopeo too', packed, 'skopeo/1.20.0', every, 'derived oci-manifest'],
      ['and buildah', packed, 'Buildah/1.41.5', every, 'derived oci-manifest'],
      ['and CRI-O', packed, 'cri-o/1.34.1 go/go1.24 os/linux arch/amd64', every, 'derived oci-manifest'],
      ['of a list the index', listed, PODMAN_5, every, 'derived oci-index'],
      ['the schema 2 with gzip copies where there is one', copied, PODMAN_5, every, 'derived docker-schema2'],
      ['a library that knows the name gets what was published', packed, PODMAN_NOW, every, 'published docker-schema2'],
      ['OCI names are refused by every version', mixed, PODMAN_NOW, every, 'derived docker-schema2'],
      [
        'containerd before 2.0 does not know Docker zstd',
        packed,
        'containerd/1.7.24~ds1',
        every,
        'derived oci-manifest',
      ],
      ['but takes OCI names', mixed, 'containerd/1.7.24~ds1', every, 'published docker-schema2'],
      ['containerd 2 takes both', packed, 'containerd/2.1.9+unknown', ['*/*'], 'published docker-schema2'],
      ['Docker sniffs what layers are', packed, DOCKER_28, every, 'published docker-schema2'],
      [
        'Docker on an old containerd does not',
        packed,
        `${DOCKER_28} containerd-client/1.7.27 x`,
        every,
        'derived oci-manifest',
      ],
      ['Docker 20.10 cannot unpack zstd by any name', packed, 'docker/20.10.24', every, '404 zstd-layers'],
      ['but the gzip copies', copied, 'docker/20.10.24', every, 'derived docker-schema2'],
      ['what is not known to be refused is served', packed, 'curl/8.14.1', ['*/*'], 'published docker-schema2'],
      ['and so is what has no clean form', packed, PODMAN_5, [S2], 'published docker-schema2'],
    ] as const)('%s', (_, forms, userAgent, accept, expected) => {
      const choice = negotiate({ accept: parseAccept(accept.join(', ')), userAgent }, recordOf(forms));
      expect(shown(choice)).toBe(expected);
      expect(choice.varies.userAgent).toBe(true);
    });

    it.each([
      ['containers/5.37.0 (github.com/containers/image)', ['docker-zstd', 'oci-in-docker']],
      ['containers/5.38.0', ['oci-in-docker']],
      ['skopeo/1.9.3', ['docker-zstd', 'oci-in-docker']],
      ['skopeo/1.21.0', ['oci-in-docker']],
      ['Buildah/1.42.0', ['oci-in-docker']],
      ['containerd/1.4.13~ds1', ['zstd', 'docker-zstd']],
      ['containerd/v1.7.0', ['docker-zstd']],
      ['containerd/2.0.0', []],
      ['docker/20.10.24+dfsg1', ['zstd']],
      ['docker/19.03.4-ce', ['oci', 'zstd']],
      ['docker/19.03.5', ['zstd']],
      ['docker/18.09.9', ['zstd']],
      ['docker/28.5.2 os/linux arch/amd64 containerd-client/1.7.27 storage-driver/overlayfs', ['docker-zstd']],
      ['podman', []],
      ['oras/1.3.3', []],
    ] as const)('%s cannot use %j', (userAgent, expected) => {
      const ofForms = ['zstd', 'docker-zstd', 'oci-in-docker', 'oci'] as const;
      expect(limitsOf(userAgent).filter((limit) => (ofForms as readonly string[]).includes(limit))).toEqual(expected);
    });
  });

  describe('Docker 19.03.0 to 19.03.4, which accept OCI manifests and cannot read them (moby/moby#39727)', () => {
    // The types that Docker 20.10 was seen to send are those of 19.03, in an order that changes.
    const accepts = real.filter(({ by, userAgent }) => by === 'tag' && userAgent.startsWith('docker/20.10'));
    const agentOf = (version: string): string =>
      `docker/${version} go/go1.12.8 git-commit/6a30dfc kernel/4.19.0 os/linux arch/amd64 UpstreamClient(Docker-Client/${version} \\(linux\\))`;

    it.each(accepts.map(({ accept }) => [accept] as const))('get the Docker forms for %j', (accept) => {
      for (const version of ['19.03.0', '19.03.1', '19.03.2-ce', '19.03.3', '19.03.4', '19.03.4+dfsg1'])
        for (const record of Object.keys(RECORDS) as RecordName[])
          expect(choose(accept, agentOf(version), record), record).toBe(dockerOnly(true)[record]);
    });

    it.each(['18.06.0-ce', '18.09.9', '19.03.5', '19.03.15', '20.10.0'])(
      'and %s gets what was published',
      (version) => {
        for (const record of Object.keys(RECORDS) as RecordName[])
          expect(choose(accepts[0]?.accept ?? [], agentOf(version), record)).toBe(CURRENT[record]);
      },
    );

    it('so the User-Agent plays a part where that Accept gets an OCI form, and nowhere else', () => {
      const varies = (accept: readonly string[], record: RecordName): boolean =>
        negotiate({ accept: parseAccept(accept.join()), userAgent: 'curl/8' }, RECORDS[record]).varies.userAgent;
      const engine = accepts[0]?.accept ?? [];
      expect([varies(engine, 'oci'), varies(engine, 'index'), varies(engine, 'artifact')]).toEqual([true, true, true]);
      expect([varies(engine, 'schema2'), varies(engine, 'list'), varies(engine, 'joined')]).toEqual([
        false,
        false,
        false,
      ]);
      expect([varies([OM, OI], 'oci'), varies(['*/*'], 'oci'), varies([S2, DL, OM, OI], 'index')]).toEqual([
        false,
        false,
        false,
      ]);
    });

    it('where there is no Docker form, they get the reason', () => {
      const choice = negotiate(
        { accept: parseAccept((accepts[0]?.accept ?? []).join()), userAgent: agentOf('19.03.1') },
        RECORDS.artifact,
      );
      expect(choice).toMatchObject({ kind: 'missing', reason: 'schema2-not-an-image', rule: 'no-oci' });
    });
  });

  describe('by digest', () => {
    const readable = (lines: readonly string[] | null, userAgent: string | null): Form[] =>
      FORMS.filter(
        (one) => canRead({ accept: parseAccept(lines === null ? null : lines.join(', ')), userAgent }, one).readable,
      );

    it.each([
      ['docker 1.6 sends no Accept', null, 'docker/1.6.2 go/go1.4.2 os/linux arch/amd64', ['docker-schema1']],
      ['docker 1.9 sends no Accept', null, 'docker/1.9.1 go/go1.4.3 os/linux arch/amd64', ['docker-schema1']],
      ['docker 0.9', null, 'docker/0.9.1', ['docker-schema1']],
      [
        'docker 1.10 without Accept is not taken for older',
        null,
        'docker/1.10.3 go/go1.5.3 os/linux arch/amd64',
        FORMS,
      ],
      ['docker 19 neither', null, 'docker/19.03.1', FORMS],
      ['a script without Accept gets the bytes', null, 'python-requests/2.31', FORMS],
      ['nothing told at all', null, null, FORMS],
      ['curl', ['*/*'], 'curl/8', FORMS],
      ['schema 1 alone', [S1], null, ['docker-schema1']],
      ['OCI types alone', [OM, OI], null, ['oci-index', 'oci-manifest']],
      ['a type that no manifest has says nothing', ['application/json'], null, FORMS],
      ['nor does one outside', ['text/html'], null, FORMS],
      ['q=0 rules out', [`*/*, ${OI};q=0`], null, ['docker-list', 'oci-manifest', 'docker-schema2', 'docker-schema1']],
    ] as const)('%s', (_, accept, userAgent, expected) => {
      expect(readable(accept, userAgent)).toEqual(expected);
    });

    it.each(real.filter(({ by }) => by === 'digest').map((row) => [row.userAgent, row.accept] as const))(
      '%s reads what it asks for: %j',
      (userAgent, accept) => {
        const forms = readable(accept, userAgent);
        expect(forms.length).toBeGreaterThan(0);
        for (const name of FORMS)
          if ((accept ?? []).join().includes(MEDIA_TYPE_OF_FORM[name])) expect(forms).toContain(name);
      },
    );

    it('the reason tells a client of schema 1 that the manifest is too new, any other that its form is not there', () => {
      const reason = (accept: string | null) =>
        unreadableReason({ accept: parseAccept(accept), userAgent: 'docker/1.9.1' });
      expect([reason(null), reason(S1P), reason(OM)]).toEqual([
        'manifest-too-new',
        'manifest-too-new',
        'form-not-published',
      ]);
    });
  });
});

const rangeText = fc
  .tuple(
    fc.constantFrom(
      OI,
      DL,
      OM,
      S2,
      S1P,
      S1,
      '*/*',
      'application/*',
      'application/json',
      'text/html',
      'text/*',
      'garbage',
      OM.toUpperCase(),
      '',
    ),
    fc.constantFrom(
      '',
      '',
      '',
      ';q=1',
      ';q=0',
      ';q=0.5',
      '; q=0.9',
      ';q=0.25',
      ';q=0.001',
      ';q=x',
      ';charset=utf-8',
      ';a=b;q=0.3',
      ';q=0.7;q=0',
    ),
  )
  .map((parts) => parts.join(''));
const ranges = fc.array(rangeText, { maxLength: 8 });
const header = fc.option(ranges.map((list) => list.join(', ')));
const userAgent = fc.option(
  fc.oneof(
    fc
      .tuple(
        fc.constantFrom(
          ...[
            'docker/1.6.2',
            'docker/1.9.1',
            'docker/1.9',
            'docker/1.10.0',
            'docker/19.03.2',
            'docker/20.10.24',
            'docker/28.0',
            'docker/1.1',
            'curl/8',
            '',
          ],
          ...[
            'containerd/1.4.13',
            'containerd/1.7.24~ds1',
            'containerd/2.1.9',
            'containers/5.36.1',
            'containers/5.39.2',
          ],
          ...['skopeo/1.9.3', 'Buildah/1.28.2', 'cri-o/1.35.0', 'docker/28.5 containerd-client/1.7.27'],
        ),
        fc.constantFrom('linux', 'windows', 'LINUX'),
        fc.constantFrom('amd64', 'arm', 'arm64', 's390x'),
      )
      .map(([engine, os, arch]) => `${engine} go/go1.4 os/${os} arch/${arch}`),
    fc.constantFrom('docker/1.9.1', 'os/linux', 'arch/arm', 'x os/linux arch/amd64 os/windows', ''),
    fc.string(),
  ),
);
const anyForm = fc
  .tuple(
    fc.constantFrom('published', 'derived'),
    fc.constantFrom(
      ...[...FORMS, ...FORMS, 'oci-index+zstd', 'oci-manifest+zstd', 'docker-list+zstd'],
      ...[
        'docker-schema2+zstd+docker-zstd',
        'docker-schema2+oci-in-docker',
        'docker-list+zstd+docker-zstd+oci-in-docker',
      ],
    ),
    fc.constantFrom('', '', 'linux/amd64', 'linux/arm/v7', 'linux/arm/v5', 'windows/amd64:10.0'),
  )
  .map((parts) => form(parts.join(' ').trim()));
const anyMissing = fc.record({
  form: fc.constantFrom(...FORMS),
  reason: fc.constantFrom<Reason>('schema1-no-history', 'schema2-zstd-layers', 'schema1-no-platform'),
});
const record: fc.Arbitrary<TagRecord> = fc.oneof(
  fc.constantFrom(...Object.values<TagRecord>(RECORDS)),
  fc.record({
    updated: fc.constant('2026-11-24T00:00:00Z'),
    forms: fc.uniqueArray(anyForm, {
      selector: (one) => `${one.form} ${one.platform === undefined ? '' : formatPlatform(one.platform)}`,
      maxLength: 8,
    }),
    missing: fc.array(anyMissing, { maxLength: 3 }),
  }),
);

describe('whatever the headers', () => {
  it('folded they choose the same, by tag and by digest, and fold no further', () => {
    fc.assert(
      fc.property(header, userAgent, record, (text, agent, tag) => {
        const client = { accept: parseAccept(text), userAgent: agent };
        const folded = normalizeAccept(client.accept);
        const foldedAgent = normalizeUserAgent(client);
        const same = { accept: parseAccept(folded), userAgent: foldedAgent };
        expect(negotiate(same, tag)).toEqual(negotiate(client, tag));
        for (const one of FORMS) expect(canRead(same, one)).toEqual(canRead(client, one));
        expect(unreadableReason(same)).toBe(unreadableReason(client));
        expect(normalizeAccept(same.accept)).toBe(folded);
        expect(normalizeUserAgent(same)).toBe(foldedAgent);
      }),
      { numRuns: 3_000, seed: 1 },
    );
  });

  it('all real clients fold to few values', () => {
    const headers = JSON.parse(readFileSync(new URL('../fixtures/clients.json', import.meta.url)).toString()) as {
      accept: string[] | null;
    }[];
    expect(
      new Set(headers.map(({ accept }) => normalizeAccept(parseAccept(accept?.join(', ') ?? null)))).size,
    ).toBeLessThanOrEqual(6);
  });

  it('the order of the types means nothing', () => {
    fc.assert(
      fc.property(ranges, record, fc.infiniteStream(fc.nat()), (list, tag, keys) => {
        const shuffled = list.map((text) => ({ text, key: Number(keys.next().value) })).sort((a, b) => a.key - b.key);
        const ask = (texts: readonly string[]) =>
          negotiate({ accept: parseAccept(texts.join(',')), userAgent: null }, tag);
        expect(ask(shuffled.map(({ text }) => text))).toEqual(ask(list));
      }),
      { numRuns: 1_000, seed: 1 },
    );
  });

  it('the order of the forms in the record decides nothing but between equals of one form and platform', () => {
    fc.assert(
      fc.property(header, userAgent, record, (text, agent, tag) => {
        const client = { accept: parseAccept(text), userAgent: agent };
        const turned = shown(negotiate(client, { ...tag, forms: [...tag.forms].reverse() }));
        const [one, other] = [shown(negotiate(client, tag)), turned];
        // Platforms that are neither the default nor told are equal; a record lists them in the list's order.
        if (one !== other)
          expect([one.split(' ')[1], one.split(' ')[0]]).toEqual([other.split(' ')[1], other.split(' ')[0]]);
      }),
      { numRuns: 1_000, seed: 1 },
    );
  });

  it('a client that names something newer gets schema 1 only by a higher q, or where nothing else fits', () => {
    fc.assert(
      fc.property(
        fc.subarray([OI, DL, OM, S2], { minLength: 1 }),
        fc.subarray([S1, S1P, '*/*', 'application/json']),
        record,
        (newer, more, tag) => {
          const accept = parseAccept([...more, ...newer].join(', '));
          const choice = negotiate({ accept, userAgent: null }, tag);
          if (choice.kind !== 'form' || choice.form.form !== 'docker-schema1') return;
          const takes = (one: TagForm): boolean => more.includes('*/*') || newer.includes(one.mediaType as typeof S2);
          expect(tag.forms.filter((one) => one.form !== 'docker-schema1' && takes(one))).toEqual([]);
        },
      ),
      { numRuns: 1_000, seed: 1 },
    );
  });

  it('among equally wanted forms for the whole tag a published one wins', () => {
    fc.assert(
      fc.property(fc.subarray([OI, DL, OM, S2], { minLength: 1 }), record, (types, tag) => {
        const whole = tag.forms.filter(
          ({ platform, mediaType }) => platform === undefined && types.includes(mediaType as typeof S2),
        );
        const choice = negotiate({ accept: parseAccept(types.join(', ')), userAgent: null }, tag);
        if (!whole.some(({ source }) => source.kind === 'published')) return;
        expect(
          choice.kind === 'form' && choice.form.source.kind === 'published' && choice.form.platform === undefined,
        ).toBe(true);
      }),
      { numRuns: 1_000, seed: 1 },
    );
  });

  it('who asks without Accept gets schema 1 or a 404, never another form', () => {
    fc.assert(
      fc.property(fc.constantFrom(null, S1, S1P, `${S1};q=0.1`), userAgent, record, (text, agent, tag) => {
        const choice = negotiate({ accept: parseAccept(text), userAgent: agent }, tag);
        expect(choice.kind === 'missing' || choice.form.form === 'docker-schema1').toBe(true);
      }),
      { numRuns: 1_000, seed: 1 },
    );
  });
});
