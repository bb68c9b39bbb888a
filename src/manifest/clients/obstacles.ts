/**
 * Whether a client can use what it gets: its name, its form and its layers. A pure function for `gantry explain`,
 * `gantry doctor`, the pages and docs/reference/compatibility.md.
 */
import type { Form, NonstandardLayers } from '../../registry/media-type.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { formatPlatform, type Platform } from '../../registry/platform.ts';
import type { TagRecord } from '../../registry/records.ts';
import { type Choice, type Client, formsAcceptedBy, platformOf } from '../negotiate.ts';
import { type Limit, limitsOf } from './limits.ts';
import { nameRefusal } from './name-rules.ts';

/** What a client gets. */
export interface Received {
  readonly form: Form;
  /** See the tag record: a layer has zstd compression, or a type that the form's specification does not have. */
  readonly zstd?: true;
  readonly nonstandard?: readonly NonstandardLayers[];
  /** Set for a manifest that is not of a container image. */
  readonly artifact?: boolean;
  /** Set for a schema 1 with an empty `name`. */
  readonly nameless?: boolean;
}

/** Why a client cannot use what it gets. */
export interface Obstacle {
  readonly kind: 'name' | 'form' | 'platform' | 'artifact' | 'layers' | 'nameless-schema1';
  /** A sentence. */
  readonly text: string;
}

/** What each limit means, as a sentence. */
export const LIMIT_TEXT = {
  zstd: 'It cannot unpack zstd layers.',
  'docker-zstd': 'It refuses Docker’s media type for zstd layers.',
  'oci-in-docker': 'It refuses OCI layer types in a Docker manifest.',
  oci: 'It accepts OCI manifests but cannot read them.',
  schema1: 'It refuses schema 1.',
  artifact: 'It pulls container images only, not artifacts.',
  'nameless-schema1': 'It crashes on a schema 1 with an empty name.',
  'opaque-whiteouts': 'It ignores opaque whiteouts, so that deleted files come back.',
  'all-tags': 'It cannot pull all tags of a repository at once.',
} as const satisfies Record<Limit, string>;

/** Why a client cannot use what it gets of a tag; null if nothing is known that keeps it from that. */
export function obstacleTo(
  client: Client,
  {
    name,
    record,
    choice,
    nameless,
    platforms = [],
  }: {
    readonly name: RepositoryName;
    readonly record: TagRecord;
    readonly choice: Choice;
    /** Whether the published schema 1 has an empty `name`. */
    readonly nameless: boolean;
    /** The platforms of the chosen list; none for a single image, or if they are not known. */
    readonly platforms?: readonly Platform[];
  },
): Obstacle | null {
  const ofName = nameObstacle(client, name);
  if (ofName !== null || choice.kind === 'missing') return ofName;
  const { source, form } = choice.form;
  return (
    formObstacle(client, {
      ...choice.form,
      artifact: form === 'oci-manifest' && isArtifact(record),
      nameless: nameless && source.kind === 'published',
    }) ?? platformObstacle(client, platforms)
  );
}

/**
 * Why a client finds no image in a list; null if it finds one, or if its platform or those of the list are not known.
 * A platform also runs what it is compatible with (containerd, `platforms/compare.go`).
 */
function platformObstacle({ userAgent }: Client, platforms: readonly Platform[]): Obstacle | null {
  const own = platformOf(userAgent);
  if (own === null || platforms.length === 0) return null;
  const architectures = [own.architecture, ...(COMPATIBLE[own.architecture] ?? [])];
  if (platforms.some(({ os, architecture }) => os === own.os && architectures.includes(architecture))) return null;
  const has = [...new Set(platforms.map(formatPlatform))].join(', ');
  return { kind: 'platform', text: `It finds no image for ${formatPlatform(own)} in the list, which has ${has}.` };
}

/** Architectures whose programs also run on an architecture. */
const COMPATIBLE: Readonly<Record<string, readonly string[]>> = { amd64: ['386'], arm64: ['arm'] };

/** Whether a tag is an artifact: then it is recorded why no image was made of it. */
export function isArtifact({ missing }: TagRecord): boolean {
  return missing.some(({ reason }) => reason === 'schema2-not-an-image' || reason === 'schema1-not-an-image');
}

/** Why a client cannot even request a repository; null if it can. */
export function nameObstacle({ userAgent }: Pick<Client, 'userAgent'>, name: RepositoryName): Obstacle | null {
  const text = nameRefusal(userAgent, name);
  return text === null ? null : { kind: 'name', text };
}

/** Why a client cannot use a form that it gets by tag; null if nothing is known that keeps it from that. */
export function formObstacle(
  client: Client,
  { form, zstd, nonstandard, artifact, nameless }: Received,
): Obstacle | null {
  const limits = limitsOf(client.userAgent);
  const has = (limit: Limit): boolean => limits.includes(limit);
  if (!formsAcceptedBy(client).includes(form)) return { kind: 'form', text: 'It does not accept this form.' };
  if (form === 'docker-schema1' && has('schema1')) return { kind: 'form', text: LIMIT_TEXT.schema1 };
  if ((form === 'oci-index' || form === 'oci-manifest') && has('oci')) return { kind: 'form', text: LIMIT_TEXT.oci };
  if (artifact === true && has('artifact')) return { kind: 'artifact', text: LIMIT_TEXT.artifact };
  if (form === 'docker-schema1' && nameless === true && has('nameless-schema1'))
    return { kind: 'nameless-schema1', text: LIMIT_TEXT['nameless-schema1'] };
  const refused = zstd === true && has('zstd') ? 'zstd' : nonstandard?.find(has);
  return refused === undefined ? null : { kind: 'layers', text: LIMIT_TEXT[refused] };
}
