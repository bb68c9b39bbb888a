/**
 * The reason table: every reason for an error response, with its status, error codes and message. Error bodies are
 * built from this table only. With the texts of `help.ts` it also makes `/help/<reason>` and `docs/reference/errors.md`.
 *
 * The codes are those of the OCI distribution spec ("Error Codes") and of docker/distribution. The first code decides
 * what an engine shows: Docker 1.8.3 and 1.9 hide the message if the first code is `MANIFEST_UNKNOWN`, so the errors
 * for a missing schema 1 have `UNSUPPORTED` first.
 */

/** How long a cache may store the response: `miss` for seconds, `never` not at all. */
export type ErrorCaching = 'miss' | 'never';

interface ReasonRow {
  readonly status: 400 | 401 | 403 | 404 | 405 | 412 | 416 | 429 | 500 | 502 | 503;
  /** At least one; the first decides what old engines show. */
  readonly codes: readonly [string, ...string[]];
  /** One sentence for people. A response may replace it by a more specific one. */
  readonly message: string;
  readonly caching: ErrorCaching;
}

const NO_SCHEMA1 = ['UNSUPPORTED', 'MANIFEST_UNKNOWN'] as const;

/** Reason → error response. */
export const REASONS = {
  'name-unknown': {
    status: 404,
    codes: ['NAME_UNKNOWN'],
    message: 'The repository is not known to this registry.',
    caching: 'miss',
  },
  'tag-unknown': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message: 'The repository has no such tag.',
    caching: 'miss',
  },
  'tag-invalid': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message: 'The reference is neither a tag nor a digest, so no manifest can have it.',
    caching: 'miss',
  },
  'manifest-unknown': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message: 'The repository has no manifest with this digest.',
    caching: 'miss',
  },
  'schema1-not-published': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'This tag has no schema 1 manifest, which is all that Docker engines before 1.10 can read.',
    caching: 'miss',
  },
  'schema1-foreign-layers': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: the image has foreign layers, which schema 1 cannot point to.',
    caching: 'miss',
  },
  'schema1-zstd-layers': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: the image has zstd layers, which Docker engines before 1.10 cannot unpack.',
    caching: 'miss',
  },
  'schema1-no-platform': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'The tag has no image for the platform of this Docker engine.',
    caching: 'miss',
  },
  'schema1-not-an-image': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: the tag is an artifact, not a container image.',
    caching: 'miss',
  },
  'schema1-no-history': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: the image config has no history.',
    caching: 'miss',
  },
  'schema1-history-mismatch': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: the history of the image config does not fit its layers.',
    caching: 'miss',
  },
  'schema1-config-invalid': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: the image config is damaged or has no rootfs.',
    caching: 'miss',
  },
  'schema1-config-ambiguous': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: the image config can be read in more than one way.',
    caching: 'miss',
  },
  'schema1-base-has-parent': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: the config of this one-layer image names a parent, which engines refuse.',
    caching: 'miss',
  },
  'schema1-layer-digest': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: a layer has a digest that schema 1 cannot carry.',
    caching: 'miss',
  },
  'schema1-too-large': {
    status: 404,
    codes: NO_SCHEMA1,
    message: 'No schema 1 could be derived: it would be longer than clients read, or have too many entries.',
    caching: 'miss',
  },
  'schema2-zstd-layers': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message:
      'No Docker schema 2 could be derived: the image has zstd layers, which Docker schema 2 does not provide for.',
    caching: 'miss',
  },
  'schema2-not-an-image': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message: 'No Docker schema 2 could be derived: the tag is an artifact, not a container image.',
    caching: 'miss',
  },
  'schema2-layers-unreadable': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message: 'No schema 2 could be derived from the schema 1 image: a layer could not be unpacked.',
    caching: 'miss',
  },
  'schema2-layers-unread': {
    status: 503,
    codes: ['UNAVAILABLE'],
    message: 'No schema 2 is derived from this schema 1 image yet: its layers must be unpacked first.',
    caching: 'never',
  },
  'schema2-history-mismatch': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message: 'No schema 2 could be derived from the schema 1 image: its history is damaged.',
    caching: 'miss',
  },
  'schema2-too-large': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message: 'No schema 2 could be derived: it would be longer than clients read, or its history is too long.',
    caching: 'miss',
  },
  'zstd-layers': {
    status: 404,
    codes: NO_SCHEMA1,
    message:
      'The image has zstd layers, which this client cannot unpack. ' +
      'It can be published with gzip copies of them: gantry publish --recompress.',
    caching: 'miss',
  },
  'form-not-published': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message: 'The tag has no manifest in a format that the Accept header allows.',
    caching: 'miss',
  },
  'form-unknown': {
    status: 503,
    codes: ['UNAVAILABLE'],
    message:
      'The upstream registry did not answer for the formats that this client reads, ' +
      'so it is unknown whether the tag has one of them; try again in a few seconds.',
    caching: 'never',
  },
  'manifest-too-new': {
    status: 404,
    codes: NO_SCHEMA1,
    message:
      'The manifest with this digest has a format that this client cannot read, ' +
      'and a request by digest never returns another manifest.',
    caching: 'miss',
  },
  'platform-unknown': {
    status: 404,
    codes: ['MANIFEST_UNKNOWN'],
    message: 'The tag has no image for this platform.',
    caching: 'miss',
  },
  'archive-impossible': {
    status: 404,
    codes: ['UNSUPPORTED'],
    message: 'No archive can be made of this tag.',
    caching: 'miss',
  },
  'blob-unknown': {
    status: 404,
    codes: ['BLOB_UNKNOWN'],
    message: 'The registry has no blob with this digest in this repository.',
    caching: 'miss',
  },
  'name-invalid': {
    status: 400,
    codes: ['NAME_INVALID'],
    message: 'The repository name is invalid.',
    caching: 'never',
  },
  'digest-invalid': {
    status: 400,
    codes: ['DIGEST_INVALID'],
    message: 'The digest is malformed, or its algorithm is not supported.',
    caching: 'never',
  },
  'page-size-invalid': {
    status: 400,
    codes: ['PAGINATION_NUMBER_INVALID'],
    message: 'The page size n must be a whole number, zero or greater.',
    caching: 'never',
  },
  'query-invalid': {
    status: 400,
    codes: ['UNSUPPORTED'],
    message: 'The query cannot be read.',
    caching: 'never',
  },
  'host-invalid': {
    status: 400,
    codes: ['UNSUPPORTED'],
    message: 'The request has several Host headers, or one that is not a host name.',
    caching: 'never',
  },
  'method-not-allowed': {
    status: 405,
    codes: ['UNSUPPORTED'],
    message: 'This registry is read-only; images are published with the gantry command.',
    caching: 'never',
  },
  'endpoint-unknown': {
    status: 404,
    codes: ['UNSUPPORTED'],
    message: 'There is no such endpoint.',
    caching: 'never',
  },
  'v1-unsupported': {
    status: 404,
    codes: ['UNSUPPORTED'],
    message: 'This registry does not support the v1 API.',
    caching: 'miss',
  },
  'precondition-failed': {
    status: 412,
    codes: ['UNSUPPORTED'],
    message: 'The content is not the version that If-Match names.',
    caching: 'never',
  },
  'range-not-satisfiable': {
    status: 416,
    codes: ['RANGE_INVALID'],
    message: 'The range is outside the blob.',
    caching: 'never',
  },
  unauthorized: {
    status: 401,
    codes: ['UNAUTHORIZED'],
    message: 'Authentication is required.',
    caching: 'never',
  },
  denied: {
    status: 403,
    codes: ['DENIED'],
    message: 'The credentials do not allow this.',
    caching: 'never',
  },
  'too-many-requests': {
    status: 429,
    codes: ['TOOMANYREQUESTS'],
    message: 'Too many requests; try again later.',
    caching: 'never',
  },
  'record-corrupt': {
    status: 500,
    codes: ['UNKNOWN'],
    message: 'The stored record of this tag or list is damaged or of a newer version.',
    caching: 'never',
  },
  'storage-unavailable': {
    status: 503,
    codes: ['UNAVAILABLE'],
    message: 'The storage did not answer, so it is unknown whether the image exists.',
    caching: 'never',
  },
  'upstream-unavailable': {
    status: 503,
    codes: ['UNAVAILABLE'],
    message:
      'The upstream registry did not answer and nothing is stored yet, so it is unknown whether the image exists.',
    caching: 'never',
  },
  'upstream-over-limit': {
    status: 502,
    codes: ['DENIED'],
    message: 'The requested content exceeds the limits for fetching from the upstream registry.',
    caching: 'never',
  },
  'fill-limited': {
    status: 429,
    codes: ['TOOMANYREQUESTS'],
    message: 'Too many images are being fetched from the upstream registry; try again in a few seconds.',
    caching: 'never',
  },
  'authority-unavailable': {
    status: 503,
    codes: ['UNAVAILABLE'],
    message: 'The keys for checking login tokens could not be fetched, so it is unknown whether the token is valid.',
    caching: 'never',
  },
  internal: {
    status: 500,
    codes: ['UNKNOWN'],
    message: 'An internal error occurred in the registry.',
    caching: 'never',
  },
} as const satisfies Record<string, ReasonRow>;

/** The key of a row. */
export type Reason = keyof typeof REASONS;

/** Whether the text is a known reason. */
export function isReason(text: string): text is Reason {
  return Object.hasOwn(REASONS, text);
}

/** The row of a reason. */
export function reasonRow(reason: Reason): ReasonRow {
  return REASONS[reason];
}

/** The path of a reason's help page. */
export function helpPath(reason: Reason): string {
  return `/help/${reason}`;
}

/** The `detail` of an error body. `available`: the forms or platforms that the tag has. */
export interface ErrorDetail {
  readonly available?: readonly string[];
  /** More facts for programs, e.g. the requested name. */
  readonly [more: string]: unknown;
}

/**
 * The OCI error envelope, `{"errors":[{code, message, detail: {reason, …, help}}…]}`, with one entry for each code.
 * Docker 1.8 and 1.9 print the messages of all entries and nothing of `detail`, so the second one has the help link.
 * `help` is absolute if `origin` (scheme and host) is given.
 */
export function errorBody(
  reason: Reason,
  options: { message?: string; detail?: ErrorDetail; origin?: string } = {},
): string {
  const row = reasonRow(reason);
  const message = options.message ?? row.message;
  const help = `${options.origin ?? ''}${helpPath(reason)}`;
  const detail = { reason, ...options.detail, help };
  return JSON.stringify({
    errors: row.codes.map((code, index) => ({ code, message: index === 0 ? message : `See ${help}`, detail })),
  });
}

/** Throws on a value outside a union that a `switch` handles completely. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value ${JSON.stringify(value)}`);
}
