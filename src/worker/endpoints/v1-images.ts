/**
 * `/v1/repositories/<name>/images`: Docker before 1.10 requests it if the v2 API has no manifest for it. Docker 1.6 and
 * 1.7 show nothing of v2's responses: the body of a 400 here is the only text that reaches their user (`Error: Status
 * 400 trying to pull repository …: "<body>"`). A 404 gives a plain "not found".
 */
import { reasonRow, helpPath, isReason, type Reason } from '../../registry/errors.ts';
import { tagListKey } from '../../registry/keys.ts';
import { compareNames, type RepositoryName } from '../../registry/name.ts';
import { decodeSpan, type Leaf } from '../../registry/sorted-list.ts';
import type { ReadStore } from '../../registry/store.ts';
import { type Answer, type HeaderFields, refused } from '../gateway/answer.ts';
import { type OpenList, openList } from '../../bucket/list-page.ts';
import type { RegistryRequest } from '../gateway/registry-request.ts';

/** A tag without a schema 1 manifest (null: which one is unknown), and the reason. */
export interface TagWithoutSchema1 {
  readonly tag: string | null;
  readonly reason: Reason;
}

/**
 * Refuses, because there is no v1 API. The detail has the tag without schema 1 that may be the reason for the request.
 */
export async function answerV1Images(
  { name }: Extract<RegistryRequest, { kind: 'v1-images' }>,
  store: ReadStore,
): Promise<Answer> {
  const list = await openList(store, tagListKey(name));
  const found = list === null ? null : await tagWithoutSchema1(list);
  return refused('v1-unsupported', { detail: { name, ...(found !== null && { tag: found.tag, why: found.reason }) } });
}

/** Whether an answer of {@link answerV1Images} has an explanation. */
export function isExplained(answer: Answer): boolean {
  return answer.kind === 'refused' && readExplanation(answer.detail) !== null;
}

/** The refusal with an outage of the upstream as the explanation: the image may exist. */
export function refuseForOutage(name: RepositoryName): Answer {
  return refused('v1-unsupported', { detail: { name, why: 'upstream-unavailable' }, headers: NOT_CACHED });
}

const NOT_CACHED = { 'cache-control': 'no-store' } as const;

/** The body of the 400. The request does not name the tag that was pulled, so the text says which tag it is about. */
export function explanationText(name: RepositoryName, { tag, reason }: TagWithoutSchema1, origin: string): string {
  return `${name}${tag === null ? '' : `:${tag}`}: ${reasonRow(reason).message} See ${origin}${helpPath(reason)}`;
}

/** Reads the tag that {@link answerV1Images} found; null if it found none. */
export function readExplanation(detail: Readonly<Record<string, unknown>> | undefined): TagWithoutSchema1 | null {
  const { tag, why } = detail ?? {};
  return typeof why === 'string' && isReason(why) ? { tag: typeof tag === 'string' ? tag : null, reason: why } : null;
}

// The request names no tag, and `latest` is the default. Of a long list only the leaf with `latest` is read, so that
// there are at most two reads.
async function tagWithoutSchema1(list: OpenList): Promise<TagWithoutSchema1 | null> {
  const { leaves } = list.header;
  const whole = leaves.length <= 1 ? leaves : leaves.slice(...aroundLatest(leaves));
  if (whole.length === 0) return null;
  const details = decodeSpan(await list.bytesOf(whole, 'details'));
  const lacking = details.flatMap((detail, index): { at: number; reason: Reason }[] => {
    const reason = reasonWithoutSchema1(detail);
    return reason === null ? [] : [{ at: index, reason }];
  });
  const [first] = lacking;
  if (first === undefined) return null;
  if (!list.isAtHand(whole, 'names')) return { tag: null, reason: first.reason };
  const names = decodeSpan(await list.bytesOf(whole, 'names'));
  const tags = lacking.flatMap(({ at, reason }) => (typeof names[at] === 'string' ? [{ tag: names[at], reason }] : []));
  return tags.find(({ tag }) => tag === 'latest') ?? tags[0] ?? null;
}

function aroundLatest(leaves: readonly Leaf[]): [number, number] {
  const beyond = leaves.findIndex(({ first }) => compareNames(first, 'latest') > 0);
  const at = Math.max(0, (beyond === -1 ? leaves.length : beyond) - 1);
  return [at, at + 1];
}

function reasonWithoutSchema1(detail: unknown): Reason | null {
  if (typeof detail !== 'object' || detail === null) return null;
  const { published, derived, missing } = detail as Record<string, unknown>;
  if (!Array.isArray(published) || !Array.isArray(derived)) return null;
  if (published.includes('docker-schema1') || derived.includes('docker-schema1')) return null;
  const row = Array.isArray(missing)
    ? (missing as unknown[]).find((one) => (one as { form?: unknown } | null)?.form === 'docker-schema1')
    : undefined;
  const reason = (row as { reason?: unknown } | undefined)?.reason;
  return typeof reason === 'string' && isReason(reason) ? reason : 'schema1-not-published';
}

/**
 * The 400 that tells the user why there is no image. It is plain text, because the engine prints the body unchanged.
 * `base`: headers to keep.
 */
export function v1Explanation(
  name: RepositoryName,
  found: TagWithoutSchema1,
  origin: string,
  base: HeaderFields,
): Response {
  const body = new TextEncoder().encode(explanationText(name, found, origin));
  const headers = { ...base, 'content-type': 'text/plain; charset=utf-8', 'content-length': String(body.length) };
  return new Response(body, { status: 400, headers });
}
