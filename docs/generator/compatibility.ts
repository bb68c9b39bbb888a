/**
 * docs/reference/compatibility.md: which form each client version gets of each kind of image, and how that was tried.
 * The forms
 * are derived and negotiated by the code that publishes and serves; the results are those that `npm run interop` kept.
 */
import { CLIENTS, clientOf, type ClientId, type KnownClient } from '../../src/manifest/clients/known-clients.ts';
import { isBefore, type Limit, LIMITS, limitsOf, type Version } from '../../src/manifest/clients/limits.ts';
import { NAME_RULES } from '../../src/manifest/clients/name-rules.ts';
import { LIMIT_TEXT, obstacleTo } from '../../src/manifest/clients/obstacles.ts';
import { derive } from '../../src/manifest/derive.ts';
import type { ImageContent } from '../../src/manifest/image.ts';
import { type Choice, negotiate } from '../../src/manifest/negotiate.ts';
import { tagRecordOf } from '../../src/manifest/tag-record.ts';
import { helpPath, reasonRow } from '../../src/registry/errors.ts';
import { type Form, FORM_TITLE, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import type { TagRecord } from '../../src/registry/records.ts';
import { parseVersion } from '../../test/interop/matrix/expect.ts';
import type { ImageKind } from '../../test/interop/matrix/images.ts';
import type { Result } from '../../test/interop/matrix/results.ts';
import { content, image, layer, list, on, options } from '../../test/manifest/images.ts';
import { table, wrap } from './markdown.ts';

interface Kind {
  readonly title: string;
  readonly text: string;
  readonly content: ImageContent;
  /** The image of the interoperability matrix that is of this kind. */
  readonly tried?: ImageKind;
  /** What a client cannot use of such an image, whatever form it gets. */
  readonly limit?: Limit;
}

const docker = layer('base', MEDIA_TYPES.dockerLayerGzip);
const dockerImage = image('docker-schema2', [docker]);
const ociImage = image('oci-manifest', [layer('base')]);
const zstd = layer('packed', MEDIA_TYPES.ociLayerZstd);
const zstdImage = image('oci-manifest', [zstd]);
const copies = new Map([[zstd.digest, layer('its copy', MEDIA_TYPES.dockerLayerGzip)]]);
const dockerZstd = image('docker-schema2', [layer('packed', MEDIA_TYPES.dockerLayerZstd)]);
const mixed = image('docker-schema2', [layer('base')]);
const artifact = image(
  'oci-manifest',
  [layer('sbom', 'application/spdx+json')],
  new TextEncoder().encode('{}'),
  MEDIA_TYPES.ociEmpty,
);
const schema1 = schema1Alone();

/** The kinds of images, as they are published. */
const KINDS: readonly Kind[] = [
  {
    title: 'schema 2',
    text: 'Docker schema 2',
    content: content([dockerImage.manifest], [dockerImage]),
    tried: 'schema2',
  },
  { title: 'OCI', text: 'OCI manifest', content: content([ociImage.manifest], [ociImage]), tried: 'oci' },
  {
    title: 'zstd + copies',
    text: 'OCI manifest with zstd layers, published with `--recompress`',
    content: content([zstdImage.manifest], [zstdImage], { recompressed: copies }),
    tried: 'zstd',
  },
  {
    title: 'zstd',
    text: 'the same without `--recompress`',
    content: content([zstdImage.manifest], [zstdImage]),
  },
  {
    title: 'Docker zstd',
    text: 'schema 2 with `…diff.tar.zstd` layers, as BuildKit writes it, published without `--recompress`',
    content: content([dockerZstd.manifest], [dockerZstd]),
  },
  {
    title: 'Docker zstd + copies',
    text: 'the same, published with `--recompress`',
    content: content([dockerZstd.manifest], [dockerZstd], { recompressed: copies }),
    tried: 'docker-zstd',
  },
  {
    title: 'mixed',
    text: 'schema 2 with OCI layer types, as BuildKit writes it',
    content: content([mixed.manifest], [mixed]),
    tried: 'mixed',
  },
  {
    title: 'list',
    text: 'Docker manifest list',
    content: content([list('docker-list', [[dockerImage.manifest, on('linux', 'amd64')]])], [dockerImage]),
    tried: 'list',
  },
  {
    title: 'index',
    text: 'OCI index',
    content: content([list('oci-index', [[ociImage.manifest, on('linux', 'amd64')]])], [ociImage]),
    tried: 'index',
  },
  { title: 'schema 1', text: 'schema 1 alone', content: schema1, tried: 'schema1' },
  {
    title: 'opaque',
    text: 'schema 2 with an opaque whiteout',
    content: content([dockerImage.manifest], [dockerImage]),
    tried: 'opaque',
    limit: 'opaque-whiteouts',
  },
  {
    title: 'opaque, rewritten',
    text: 'the same, published with `--rewrite-opaque`',
    content: content([dockerImage.manifest], [dockerImage]),
    tried: 'rewritten',
  },
  { title: 'artifact', text: 'OCI artifact, such as an SBOM', content: content([artifact.manifest], [artifact]) },
];

/** A tag with a schema 1 and nothing else, whose layers could be unpacked. */
function schema1Alone(): ImageContent {
  const made = derive(content([dockerImage.manifest], [dockerImage]), options);
  const manifest = made.forms.find(({ form }) => form === 'docker-schema1');
  if (manifest === undefined) throw new Error('no schema 1 was derived');
  const unpacked = { diffId: docker.digest, size: docker.size, compression: 'gzip' } as const;
  return content([manifest], [], { unpacked: new Map([[docker.digest, unpacked]]) });
}

const CODES: Readonly<Record<Form, string>> = {
  'docker-schema1': 'S1',
  'docker-schema2': 'S2',
  'docker-list': 'DL',
  'oci-manifest': 'OM',
  'oci-index': 'OI',
};

const METHODS = { engine: 'E', client: 'C', replay: 'R' } as const satisfies Record<Result['method'], string>;

/** Programs of the matrix → the first version that does not belong to the family. Null: all further ones do. */
const FAMILIES: Readonly<Record<string, readonly (readonly [until: Version | null, id: ClientId])[]>> = {
  docker: [
    [[1, 7], 'docker-1.6'],
    [[1, 8], 'docker-1.7'],
    [[1, 9], 'docker-1.8'],
    [[1, 10], 'docker-1.9'],
    [[18, 6], 'docker-1.10'],
    [[19, 3], 'docker-18'],
    [[19, 3, 5], 'docker-19.03.0'],
    [[20], 'docker-19'],
    [[23], 'docker-20'],
    [[26], 'docker-23'],
    [null, 'docker-28'],
  ],
  containerd: [
    [[1, 5], 'containerd-1.4'],
    [[2], 'containerd-1.6'],
    [null, 'containerd-2'],
  ],
  podman: [
    [[5, 7], 'podman-5.6'],
    [null, 'podman'],
  ],
  buildah: [
    [[1, 42], 'podman-5.6'],
    [null, 'podman'],
  ],
  skopeo: [
    [[1, 21], 'podman-5.6'],
    [null, 'podman'],
  ],
  crane: [[null, 'crane']],
  oras: [[null, 'oras']],
  curl: [[null, 'curl']],
};

/** The family of the client of a result; null if it is none of the table. */
export function familyOf({ client, version }: Pick<Result, 'client' | 'version'>): ClientId | null {
  // `skopeo and umoci unpack` has umoci's version.
  if (client.includes(' and ')) return null;
  const [program = ''] = client.split(' ');
  const rows = Object.hasOwn(FAMILIES, program) ? FAMILIES[program] : undefined;
  return rows?.find(([until]) => until === null || isBefore(parseVersion(version), until))?.[1] ?? null;
}

/** The whole page. */
export function compatibilityDocument(results: readonly Result[]): string {
  const records = KINDS.map((kind) => ({
    kind,
    record: tagRecordOf(derive(kind.content, options), '2026-01-01T00:00:00Z').record,
  }));
  const known: readonly KnownClient[] = CLIENTS;
  const rows = known.map((client) => [
    client.title,
    client.headers,
    ...records.map(({ kind, record }) => cell(client, kind, record, results)),
  ]);
  const reasons = new Set(
    known.flatMap((client) =>
      records.flatMap(({ record }) => {
        const choice = negotiate(clientOf(client), record);
        return choice.kind === 'missing' ? [choice.reason] : [];
      }),
    ),
  );
  const notes = known.flatMap((client) =>
    records.flatMap(({ kind, record }) => {
      const choice = negotiate(clientOf(client), record);
      const text = obstacleText(client, kind, record, choice);
      return text === null ? [] : [{ title: client.title, text: `${kind.title}: ${text}` }];
    }),
  );
  return `<!-- Made by \`npm run docs\` from the tables of src and test/interop/results.json; do not edit. -->
# Compatibility

The table shows which form each client version gets of each kind of image, by tag, and how that was tried. Forms are
negotiated by the code of the Worker (\`src/manifest/negotiate.ts\`) with the headers of each client
(\`src/manifest/clients/known-clients.ts\`). \`gantry explain NAME:TAG\` shows the same for a stored tag.

${table([['client', 'headers', ...KINDS.map(({ title }) => title)], ...rows])}

${wrap(`Forms: ${(Object.keys(CODES) as Form[]).map((form) => `**${CODES[form]}** ${FORM_TITLE[form]}`).join(', ')}. A form with an apostrophe is derived. **404**: there is no form for the client, and the answer says why. **✗**: the client gets the form and cannot use it; the limits below say from where that is known.`)}

Headers: captured from a real client, or read in its source code.

How it was tried:

- **E**: a real engine (a daemon) pulled it, and its filesystem was as published ([interop.md](interop.md)).
- **C**: a real client pulled it, and its files were as published ([interop.md](interop.md)).
- **R**: the requests of the engine were replayed, with everything that it requires of the answers.
- **S**: it was not tried with this version. What the client accepts is known from its headers, and what it can use from
  the sources of the limits below.

Kinds of images:

${KINDS.map(({ title, text }) => `- **${title}**: ${text}`).join('\n')}

${wrap(`The reasons of the 404s: ${[...reasons].map((reason) => `[\`${reason}\`](errors.md#${reason})`).join(', ')}.`)}
${notes.length === 0 ? '' : `\nWhat a client gets and cannot use:\n\n${notesList(notes)}\n`}
Nexus Repository and Artifactory have no row: the source code of their Docker support is not public, so nothing is
claimed for them. Sonatype documents support of OCI manifests as of Nexus 3.71. Kaniko and other programs over
go-containerregistry send the headers of crane, perhaps with a name of their own before it.

## Versions that were tried

${table([['client', 'version', 'how', 'on'], ...versionsOf(results)])}

## Limits by version

A limit holds from the first to before the last version. It is one table in the code:
\`src/manifest/clients/limits.ts\`.

${table([
  ['client', 'from', 'until', 'limit', 'known from'],
  ...LIMITS.map(({ program, from, until, limit, source }) => [
    program,
    from === undefined ? 'the first' : versionText(program, from),
    until === null ? 'now' : versionText(program, until),
    LIMIT_TEXT[limit],
    source,
  ]),
])}

## Names that old engines refuse

Docker before 1.10 refuses some names that the OCI distribution specification allows, before it sends a request. Measured
with Docker 1.6.2, 1.7.1, 1.8.3 and 1.9.1.

${table([
  ['refused by Docker before', 'names'],
  ...NAME_RULES.map(({ until, refused }) => [until.join('.'), refused.replace(/^names /, '')]),
])}
`;
}

function cell(client: KnownClient, kind: Kind, record: TagRecord, results: readonly Result[]): string {
  const choice = negotiate(clientOf(client), record);
  if (choice.kind === 'missing') {
    // Both are there, or the program does not compile; a 404 without its page would be a dead end.
    if (helpPath(choice.reason) === '' || reasonRow(choice.reason).message === '') throw new Error(choice.reason);
    return '404';
  }
  const { form, source } = choice.form;
  const text = `${CODES[form]}${source.kind === 'derived' ? '’' : ''}`;
  if (obstacleText(client, kind, record, choice) !== null) return `✗ ${text}`;
  return `${text} ${waysOf(client, kind, results).join('')}`;
}

/** Why a client cannot use what it gets, whatever the name of the repository is. */
function obstacleText(client: KnownClient, { limit }: Kind, record: TagRecord, choice: Choice): string | null {
  if (limit !== undefined && limitsOf(client.userAgent ?? null).includes(limit)) return LIMIT_TEXT[limit];
  return obstacleTo(clientOf(client), { name: options.name, record, choice, nameless: false })?.text ?? null;
}

function notesList(notes: readonly { readonly title: string; readonly text: string }[]): string {
  const texts = [...new Set(notes.map(({ text }) => text))];
  return texts
    .map((text) => {
      const titles = notes.filter((note) => note.text === text).map(({ title }) => title);
      return wrap(`- ${text} (${titles.join('; ')})`, '  ');
    })
    .join('\n');
}

/** A version as its program writes it: Docker 17 to 19 have a month of two digits. */
function versionText(program: string, [major, minor, patch]: Version): string {
  const month = program === 'docker' && major >= 17 && minor !== undefined ? String(minor).padStart(2, '0') : minor;
  return [major, month, patch].filter((part) => part !== undefined).join('.');
}

/** How a cell was tried: the letters of the methods by which a client of the family pulled such an image by tag. */
function waysOf({ id }: KnownClient, { tried }: Kind, results: readonly Result[]): readonly string[] {
  const methods = results.flatMap((result) =>
    tried !== undefined &&
    result.image === tried &&
    result.way === 'tag' &&
    result.outcome.kind === 'pulled' &&
    familyOf(result) === id
      ? [METHODS[result.method]]
      : [],
  );
  return methods.length === 0 ? ['S'] : [...new Set(methods)].sort();
}

function versionsOf(results: readonly Result[]): readonly (readonly string[])[] {
  const HOW = { engine: 'real engine', client: 'real client', replay: 'replay' } as const;
  const rows = results.map(({ client, version, method, machine }) => [
    client.replace(/, replayed$/, ''),
    version,
    HOW[method],
    method === 'replay' ? 'any' : machine,
  ]);
  return [...new Map(rows.map((row) => [row.join(), row])).values()];
}
