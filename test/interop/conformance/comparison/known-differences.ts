/** Where Gantry differs from docker-registry on purpose, each with its reason. */
import { type Form, MEDIA_TYPE_OF_FORM } from '../../../../src/registry/media-type.ts';
import type { Difference } from './compare.ts';

/** One rule. */
export interface KnownDifference {
  /** What docker-registry 2.8.2 does. */
  readonly peer: string;
  /** What Gantry does. */
  readonly gantry: string;
  readonly reason: string;
  /** Whether the rule explains this difference. */
  readonly fits: (difference: Difference) => boolean;
}

/**
 * Everything that is known; the first that fits counts. An entry that fits nothing is out of date, and fails the run.
 */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    peer: 'ignores weights',
    gantry: 'gives the form with the highest weight, and none with `q=0`',
    reason: 'RFC 9110, section 12.4.2.',
    fits: (d) => hasOwnWeights(d) && weightOf(d, formOf(d.gantry)) > weightOf(d, formOf(d.peer)),
  },
  {
    peer: 'gives schema 1 to an `Accept` that takes newer forms by a wildcard alone',
    gantry: 'gives the published form',
    reason: '`*/*` takes every form (RFC 9110, section 12.5.1), and schema 1 says least about the image.',
    fits: (d) => isByTag(d) && formOf(d.peer) === 'docker-schema1' && accepts(d, formOf(d.gantry)),
  },
  {
    peer: 'by tag, has only the form that was pushed, and schema 1 of a schema 2: 404',
    gantry: 'has every form that can be derived',
    reason: 'A client that reads none of the pushed forms can pull the image, too.',
    fits: (d) => isByTag(d) && d.peer === '404 MANIFEST_UNKNOWN' && accepts(d, formOf(d.gantry)),
  },
  {
    peer: 'by tag, gives a form that `Accept` does not take',
    gantry: 'gives a derived form that it takes, or 404 with the reason',
    reason: 'The client could not read it.',
    fits: (d) => isByTag(d) && isRefused(d, formOf(d.peer)) && (is404(d) || accepts(d, formOf(d.gantry))),
  },
  {
    peer: 'gives the OCI manifest with zstd layers to engines that cannot unpack zstd',
    gantry: 'gives the schema 2 with gzip layers (published with `--recompress`)',
    reason: 'These engines are known by their User-Agent.',
    fits: (d) =>
      isByTag(d) &&
      d.request.image?.kind === 'zstd' &&
      d.peer === '200 oci-manifest' &&
      d.gantry === '200 docker-schema2',
  },
  {
    peer: 'by digest, refuses an OCI manifest or index unless `Accept` names its type: 404',
    gantry: 'gives it unless `Accept` has other types of manifests and not this one',
    reason:
      'Wildcards and a missing `Accept` take every type (RFC 9110, section 12.5.1), and nothing else has that digest.',
    fits: (d) =>
      isByDigest(d) &&
      d.peer === '404 MANIFEST_UNKNOWN' &&
      isOci(formOf(d.gantry)) &&
      (!isRefused(d, formOf(d.gantry)) || !acceptOf(d).includes('manifest')),
  },
  {
    peer: 'by digest, gives other forms whatever `Accept` says',
    gantry: '404 with the reason if `Accept` does not take the type, or gives it `q=0`',
    reason: 'The client could not read it, and would report a damaged manifest.',
    fits: (d) => isByDigest(d) && is404(d) && isRefused(d, formOf(d.peer)),
  },
  {
    peer: 'by digest, gives schema 2 and lists to engines from before 1.10',
    gantry: '404 with the reason (their User-Agent tells them)',
    reason: 'These engines read schema 1 alone, and report a damaged manifest.',
    fits: (d) => isByDigest(d) && d.gantry === '404 UNSUPPORTED' && /^docker 1\.[69]/.test(d.request.label),
  },
  {
    peer: '404 `MANIFEST_UNKNOWN` where the client reads schema 1 alone and there is none',
    gantry: '404 `UNSUPPORTED`, then `MANIFEST_UNKNOWN`',
    reason: 'Docker 1.8.3 and 1.9 hide the message of an error that begins with `MANIFEST_UNKNOWN`.',
    fits: (d) => isManifest(d) && d.peer === '404 MANIFEST_UNKNOWN' && d.gantry === '404 UNSUPPORTED',
  },
  {
    peer: 'does not know the digest of a schema 1 that it has made',
    gantry: 'has every derived manifest by its digest',
    reason: 'Engines pull by the digest that they got for a tag.',
    fits: (d) =>
      d.request.label === 'derived schema 1' && d.peer === '404 MANIFEST_UNKNOWN' && d.gantry === '200 docker-schema1',
  },
  {
    peer: 'signs a schema 1 anew for each response, with the key of the process',
    gantry: 'has signed it once',
    reason: 'Bytes that stay the same can be cached. The payload, and so the digest, is the same in both.',
    fits: (d) => d.field === 'signature',
  },
  {
    peer: '304 for any manifest of the tag that has the ETag',
    gantry: 'looks at `If-None-Match` after it has chosen the form',
    reason: 'RFC 9110, section 13.1.2: the condition is about the selected representation.',
    fits: (d) =>
      d.request.label === 'If-None-Match: its digest' && d.peer === '304' && d.gantry?.startsWith('200') === true,
  },
  {
    peer: 'ignores `If-None-Match: *`',
    gantry: '304',
    reason: 'RFC 9110, section 13.1.2.',
    fits: (d) => d.request.label === 'If-None-Match: *' && d.gantry === '304',
  },
  {
    peer: '304 without Docker-Content-Digest',
    gantry: '304 with it',
    reason: 'A client that asks whether a tag has moved learns the digest either way.',
    fits: (d) => d.field === 'docker-content-digest' && d.peer === null && isConditional(d),
  },
  {
    peer: 'no Cache-Control on manifests, lists and `/v2/`; `max-age` on blobs',
    gantry: 'Cache-Control on each; `immutable` on what is addressed by digest',
    reason: 'Caches in front need it ([caching.md](../explanation/caching.md)).',
    fits: (d) => d.field === 'cache-control',
  },
  {
    peer: 'no Vary',
    gantry: '`Vary: Accept`, and `User-Agent` where it was used',
    reason: 'A cache in front would give one client the form of another.',
    fits: (d) => d.field === 'vary' && d.peer === null && isManifest(d),
  },
  {
    peer: 'X-Content-Type-Options only if it is configured',
    gantry: '`X-Content-Type-Options: nosniff` on each response',
    reason: 'A browser must not take a blob for a page.',
    fits: (d) => d.field === 'x-content-type-options' && d.peer === null && d.gantry === 'nosniff',
  },
  {
    peer: '`application/json; charset=utf-8`',
    gantry: '`application/json`',
    reason: 'JSON has no charset parameter (RFC 8259, section 11).',
    fits: (d) =>
      d.field === 'content-type' && d.peer === 'application/json; charset=utf-8' && d.gantry === 'application/json',
  },
  {
    peer: 'error messages that name no cause',
    gantry: 'a sentence with the reason, and `detail` with a help page ([errors.md](errors.md))',
    reason: 'The message reaches people.',
    fits: (d) =>
      d.field === 'body' && d.peer?.startsWith('{"errors"') === true && d.gantry?.includes('"help":') === true,
  },
  {
    peer: 'a line feed behind JSON lists',
    gantry: 'none',
    reason: 'It has no meaning.',
    fits: (d) => isList(d) && ((d.field === 'body' && d.peer === `${d.gantry ?? ''}\n`) || lengthDiffersBy(d, 1)),
  },
  {
    peer: 'tags in any order, whole whatever `n` and `last` say',
    gantry: 'sorted, in pages that `Link` leads through',
    reason: 'The OCI specification, "Listing Tags".',
    fits: (d) => d.request.label.startsWith('tags') && ['body', 'content-length', 'link'].includes(d.field),
  },
  {
    peer: 'no ETag on lists',
    gantry: 'an ETag',
    reason: 'Lists can be asked for conditionally.',
    fits: (d) => isList(d) && d.field === 'etag' && d.peer === null,
  },
  {
    peer: 'the parameters of `Link` in another order; a `Link` behind the last page',
    gantry: 'a `Link` only where there is more',
    reason: 'The OCI specification asks for none at the end.',
    fits: (d) => d.request.label.startsWith('catalogue') && d.field === 'link',
  },
  {
    peer: 'ignores an `n` that is no number',
    gantry: '400 `PAGINATION_NUMBER_INVALID`',
    reason: 'docker-registry 3 does the same.',
    fits: (d) => isList(d) && d.gantry === '400 PAGINATION_NUMBER_INVALID',
  },
  {
    peer: '416 with a wrong Content-Length, so that the connection breaks',
    gantry: '416 with an error body, or 200 where Range is not valid or of an unknown unit',
    reason: 'RFC 9110, section 14.2.',
    fits: (d) =>
      d.request.group === 'blob' && d.peer === 'breaks off' && /^(?:416 RANGE_INVALID|200)$/.test(d.gantry ?? ''),
  },
  {
    peer: 'redirects `/v2` to `/v2/`',
    gantry: 'answers it',
    reason: 'One request less.',
    fits: (d) => d.request.label === 'ping without a slash' && d.peer === '301' && d.gantry === '200',
  },
  {
    peer: '500 for a malformed digest',
    gantry: '400 `DIGEST_INVALID`',
    reason: "The request is wrong, not the registry's state.",
    fits: (d) => d.peer === '500 UNKNOWN' && d.gantry === '400 DIGEST_INVALID',
  },
  {
    peer: '500 for the digest of a blob as that of a manifest',
    gantry: '404 `MANIFEST_UNKNOWN`',
    reason: 'There is no such manifest.',
    fits: (d) =>
      d.request.label === 'a blob as a manifest' && d.peer === '500 UNKNOWN' && d.gantry === '404 MANIFEST_UNKNOWN',
  },
  {
    peer: '404 `MANIFEST_UNKNOWN` or `BLOB_UNKNOWN` in an unknown repository',
    gantry: '404 `NAME_UNKNOWN`',
    reason: 'It says what is unknown.',
    fits: (d) =>
      d.request.label.endsWith('of an unknown repository') &&
      (d.peer ?? '').startsWith('404') &&
      d.gantry === '404 NAME_UNKNOWN',
  },
  {
    peer: 'has no referrers',
    gantry: 'an index; an empty one where there are none or the repository is unknown',
    reason: 'The OCI specification, "Listing Referrers".',
    fits: (d) => d.request.label.startsWith('the referrers') && d.peer === '404' && d.gantry === '200 oci-index',
  },
  {
    peer: '404 without a body for a name or a tag that is none, and for an unknown endpoint',
    gantry: 'an error body; 400 `NAME_INVALID` for a malformed name',
    reason: 'The OCI specification, "Error Codes".',
    fits: (d) =>
      d.peer === '404' && ['404 MANIFEST_UNKNOWN', '404 UNSUPPORTED', '400 NAME_INVALID'].includes(d.gantry ?? ''),
  },
  {
    peer: 'takes pushes and deletions',
    gantry: '405 `UNSUPPORTED`',
    reason: 'The Worker only reads; `gantry receive` takes pushes.',
    fits: (d) => d.request.method !== 'GET' && d.gantry === '405 UNSUPPORTED',
  },
];

const isManifest = ({ request }: Difference): boolean => request.group.startsWith('manifest');
const isByTag = ({ request, field }: Difference): boolean =>
  request.group === 'manifest by tag' && field === 'response';
const isByDigest = ({ request, field }: Difference): boolean =>
  request.group === 'manifest by digest' && field === 'response';
const isList = ({ request }: Difference): boolean => request.group === 'list';
const isConditional = ({ request }: Difference): boolean => request.headers['if-none-match'] !== undefined;
const is404 = ({ gantry }: Difference): boolean => gantry?.startsWith('404 ') === true;
const isOci = (form: Form | null): boolean => form === 'oci-manifest' || form === 'oci-index';

function formOf(response: string | null): Form | null {
  const form = /^200 (.+)$/.exec(response ?? '')?.[1];
  return form === undefined ? null : (form as Form);
}

function acceptOf({ request }: Difference): string {
  const { accept } = request.headers;
  return typeof accept === 'string' ? accept : (accept ?? []).join(', ');
}

function hasOwnWeights(difference: Difference): boolean {
  return /;\s*q=/.test(acceptOf(difference));
}

/** The weight of a form by RFC 9110, section 12.5.1: the most specific range counts. Without `Accept`, 1 for all. */
function weightOf(difference: Difference, form: Form | null): number {
  if (form === null) return 0;
  const accept = acceptOf(difference);
  if (accept === '') return 1;
  const weights = new Map(
    accept.split(',').map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
      const weight = parameters.find((parameter) => parameter.startsWith('q='));
      return [type, weight === undefined ? 1 : Number(weight.slice('q='.length))];
    }),
  );
  return weights.get(MEDIA_TYPE_OF_FORM[form]) ?? weights.get('application/*') ?? weights.get('*/*') ?? 0;
}

/** Whether the client takes the form: by its type or a wildcard; `application/json` alone counts as one. */
function accepts(difference: Difference, form: Form | null): boolean {
  if (form === null) return false;
  const accept = acceptOf(difference);
  if (form === 'docker-schema1') return accept === '' || accept.includes('manifest.v1');
  return accept !== '' && (accept === 'application/json' || weightOf(difference, form) > 0);
}

/** Whether `Accept` is there and rules the form out. */
function isRefused(difference: Difference, form: Form | null): boolean {
  return form !== null && acceptOf(difference) !== '' && weightOf(difference, form) === 0;
}

function lengthDiffersBy({ field, peer, gantry }: Difference, bytes: number): boolean {
  return field === 'content-length' && Number(peer) - Number(gantry) === bytes;
}

/** The differences that nothing explains, how many each entry explains, and the entries that explain none. */
export function explainDifferences(differences: readonly Difference[]): {
  readonly unknown: readonly Difference[];
  readonly counts: ReadonlyMap<KnownDifference, number>;
} {
  const unknown: Difference[] = [];
  const counts = new Map(KNOWN_DIFFERENCES.map((known) => [known, 0]));
  for (const difference of differences) {
    const known = KNOWN_DIFFERENCES.find(({ fits }) => fits(difference));
    if (known === undefined) unknown.push(difference);
    else counts.set(known, (counts.get(known) ?? 0) + 1);
  }
  return { unknown, counts };
}
