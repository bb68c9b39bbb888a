import type { Digest } from '../../registry/digest.ts';
import type { ErrorDetail, Reason } from '../../registry/errors.ts';
import type { Form } from '../../registry/media-type.ts';

/** What is known about what is sent, the same for GET and HEAD. */
export interface Representation {
  readonly contentType: string;
  /** Bytes of the body that GET sends. */
  readonly length: number;
  /** Entity tag, quoted. */
  readonly etag: string;
  /** For `Docker-Content-Digest`. */
  readonly digest?: Digest;
  /** Set where ranges are served; with `part`, only these bytes of `size` are sent. */
  readonly ranges?: { readonly size: number; readonly part?: { readonly offset: number; readonly length: number } };
  /** Value of `Link`. */
  readonly link?: string;
  /** Value of `OCI-Filters-Applied`. */
  readonly filtersApplied?: string;
}

/** What stands in for a body: bytes, or a stream of exactly `length` bytes; null on HEAD. */
export type AnswerBody = Uint8Array | ReadableStream<Uint8Array> | null;

/** It is there. */
export interface Found {
  readonly kind: 'found';
  readonly representation: Representation;
  readonly body: AnswerBody;
  /** Request headers that the choice depended on. */
  readonly vary: readonly string[];
  /** For the log. */
  readonly form?: Form;
  /** Value of `Warning`: it may be out of date, and why. */
  readonly warning?: string;
}

/** It is not, or it cannot be had: why. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: Reason;
  /** Instead of the reason's own message. */
  readonly message?: string;
  readonly detail?: ErrorDetail;
  readonly vary?: readonly string[];
  /** Further headers, in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What comes of a request. */
export type Answer = Found | Refused;

/** The client gets it elsewhere, at an address that is for now. */
export interface Redirect {
  readonly kind: 'redirect';
  readonly location: string;
}

/** Shorthand for a refusal. */
export function refused(reason: Reason, more: Omit<Refused, 'kind' | 'reason'> = {}): Refused {
  return { kind: 'refused', reason, ...more };
}

/** Lets go of the body of an answer that nobody gets. */
export function discard(answer: Answer): void {
  if (answer.kind === 'found' && answer.body instanceof ReadableStream) answer.body.cancel().catch(() => undefined);
}

/** The headers of a response that is not made yet: values by name in lower case. A `Response` takes all of them at once, which is cheaper than setting each. */
export type HeaderFields = Record<string, string>;

/** The entity tag of bytes: their sha256, quoted. */
export async function entityTagOf(bytes: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `"sha256:${Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')}"`;
}
