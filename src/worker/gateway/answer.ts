import type { Digest } from '../../registry/digest.ts';
import type { ErrorDetail, Reason } from '../../registry/errors.ts';
import type { Form } from '../../registry/media-type.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';

/** The metadata of a representation, the same for GET and HEAD. */
export interface Representation {
  readonly contentType: string;
  /** Length of the body that GET sends, in bytes. */
  readonly length: number;
  /** Entity tag, quoted. */
  readonly etag: string;
  /** For `Docker-Content-Digest`. */
  readonly digest?: Digest;
  /** Set if ranges are supported; with `part`, only these bytes of `size` are sent; `several`: a multipart body. */
  readonly ranges?: {
    readonly size: number;
    readonly part?: { readonly offset: number; readonly length: number } | 'several';
  };
  /** Value of `Link`. */
  readonly link?: string;
  /** Value of `OCI-Filters-Applied`. */
  readonly filtersApplied?: string;
}

/** A body: bytes, or a stream of exactly `length` bytes; null for HEAD. */
export type AnswerBody = Uint8Array | ReadableStream<Uint8Array> | null;

/** The requested representation. */
export interface Found {
  readonly kind: 'found';
  readonly representation: Representation;
  readonly body: AnswerBody;
  /** Request headers that the choice depended on, for `Vary`. */
  readonly vary: readonly string[];
  /** For the log. */
  readonly form?: Form;
  /** Value of `Warning`: that the answer may be out of date, and why. */
  readonly warning?: string;
  /** The client would get another form, which has to be derived first. */
  readonly awaitsSchema2?: true;
  /** It is what an upstream claims, which nobody has verified. */
  readonly isUnverified?: true;
}

/** Why there is no representation: a reason of the table. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: Reason;
  /** Replaces the message of the reason table. */
  readonly message?: string;
  readonly detail?: ErrorDetail;
  readonly vary?: readonly string[];
  /** As for {@link Found}. */
  readonly awaitsSchema2?: true;
  /** No cache may store it, whatever the reason table says. */
  readonly isMomentary?: true;
  /** Additional headers, with names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The answer to a registry request. */
export type Answer = Found | Refused;

/** A temporary redirect to another location. */
export interface Redirect {
  readonly kind: 'redirect';
  readonly location: string;
}

/** Makes the answer with a JSON document. */
export async function foundJson(body: Uint8Array): Promise<Found> {
  return {
    kind: 'found',
    representation: { contentType: MEDIA_TYPES.json, length: body.length, etag: await entityTagOf(body) },
    body,
    vary: [],
  };
}

/** Makes a refusal. */
export function refused(reason: Reason, more: Omit<Refused, 'kind' | 'reason'> = {}): Refused {
  return { kind: 'refused', reason, ...more };
}

/** Cancels the body of an answer that is not sent. */
export function discard(answer: Answer): void {
  if (answer.kind === 'found' && answer.body instanceof ReadableStream) answer.body.cancel().catch(() => undefined);
}

/**
 * Header values by name in lower case, before the response is made. Passing all headers to `Response` at once is faster
 * than setting each.
 */
export type HeaderFields = Record<string, string>;

/** The entity tag of some bytes: their SHA-256, quoted. */
export async function entityTagOf(bytes: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `"sha256:${Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')}"`;
}
