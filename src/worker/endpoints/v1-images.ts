/**
 * `/v1/repositories/<name>/images`: Docker before 1.10 requests it if the v2 API has no manifest for it. Docker 1.6 and
 * 1.7 show nothing of v2's responses: the body of a 400 here is the only text that reaches their user (`Error: Status
 * 400 trying to pull repository …: "<body>"`). A 404 gives a plain "not found".
 */
import { reasonRow, helpPath, isReason, type Reason } from '../../registry/errors.ts';
import { tagListKey } from '../../registry/keys.ts';
import type { Form } from '../../registry/media-type.ts';
import { parsePlatform, type Platform } from '../../registry/platform.ts';
import { compareNames, type RepositoryName } from '../../registry/name.ts';
import { decodeSpan, type Leaf } from '../../registry/sorted-list.ts';
import type { ReadStore } from '../../registry/store.ts';
import { listOf, objectOf } from '../../registry/values/json.ts';
import { type Answer, type HeaderFields, refused } from '../gateway/answer.ts';
import { type OpenList, openList } from '../../bucket/list-page.ts';
import type { RegistryRequest, RequestOptions } from '../gateway/registry-request.ts';
import { engineOf, noPlatformMessage } from './no-platform.ts';

/** A tag without a schema 1 manifest (null: which one is unknown), and the reason. */
export interface TagWithoutSchema1 {
  readonly tag: string | null;
  readonly reason: Reason;
  /** Replaces the message of the reason. */
  readonly message?: string;
}

/**
 * Refuses, because there is no v1 API. The detail has the tag without schema 1, or without one for the engine's
 * platform, that may be the reason for the request.
 */
export async function answerV1Images(
  { name }: Extract<RegistryRequest, { kind: 'v1-images' }>,
  { userAgent }: Pick<RequestOptions, 'userAgent'>,
  store: ReadStore,
): Promise<Answer> {
  const list = await openList(store, tagListKey(name));
  const found = list === null ? null : await tagWithoutSchema1(list, engineOf(userAgent));
  const why = found !== null && { tag: found.tag, why: found.reason, text: found.message };
  return refused('v1-unsupported', { detail: { name, ...why }, vary: ['User-Agent'] });
}

/** Whether an answer of {@link answerV1Images} has an explanation. */
export function isExplained(answer: Answer): boolean {
  return answer.kind === 'refused' && readExplanation(answer.detail) !== null;
}

/** The refusal with an outage of the upstream as the explanation: the image may exist. */
export function refuseForOutage(name: RepositoryName): Answer {
  return refused('v1-unsupported', { detail: { name, why: 'upstream-unavailable' }, isMomentary: true });
}

/** The body of the 400. The request does not name the tag that was pulled, so the text says which tag it is about. */
export function explanationText(
  name: RepositoryName,
  { tag, reason, message = reasonRow(reason).message }: TagWithoutSchema1,
  origin: string,
): string {
  return `${name}${tag === null ? '' : `:${tag}`}: ${message} See ${origin}${helpPath(reason)}`;
}

/** Reads the tag that {@link answerV1Images} found; null if it found none. */
export function readExplanation(detail: Readonly<Record<string, unknown>> | undefined): TagWithoutSchema1 | null {
  const { tag, why, text } = detail ?? {};
  if (typeof why !== 'string' || !isReason(why)) return null;
  const message = typeof text === 'string' && { message: text };
  return { tag: typeof tag === 'string' ? tag : null, reason: why, ...message };
}

// The request names no tag, and `latest` is the default. Of a long list only the leaf with `latest` is read, so that
// there are at most two reads.
async function tagWithoutSchema1(list: OpenList, engine: Platform): Promise<TagWithoutSchema1 | null> {
  const { leaves } = list.header;
  const whole = leaves.length <= 1 ? leaves : leaves.slice(...aroundLatest(leaves));
  if (whole.length === 0) return null;
  const details = decodeSpan(await list.bytesOf(whole, 'details'));
  const lacking = details.flatMap((detail, index) => {
    const why = reasonWithoutSchema1(detail, engine);
    return why === null ? [] : [{ at: index, why }];
  });
  const [first] = lacking;
  if (first === undefined) return null;
  if (!list.isAtHand(whole, 'names')) return { tag: null, ...first.why };
  const names = decodeSpan(await list.bytesOf(whole, 'names'));
  const tags = lacking.flatMap(({ at, why }) => (typeof names[at] === 'string' ? [{ tag: names[at], ...why }] : []));
  return tags.find(({ tag }) => tag === 'latest') ?? tags[0] ?? null;
}

function aroundLatest(leaves: readonly Leaf[]): [number, number] {
  const beyond = leaves.findIndex(({ first }) => compareNames(first, 'latest') > 0);
  const at = Math.max(0, (beyond === -1 ? leaves.length : beyond) - 1);
  return [at, at + 1];
}

function reasonWithoutSchema1(detail: unknown, engine: Platform): Omit<TagWithoutSchema1, 'tag'> | null {
  const { published, derived, missing, platforms } = objectOf(detail);
  if (!Array.isArray(published) || !Array.isArray(derived)) return null;
  // A schema 1 that was published beside a list stands for a platform that the summary does not have.
  if (published.includes('docker-schema1')) return null;
  const isList = [...(published as unknown[]), ...(derived as unknown[])].some((form) => LISTS.has(form));
  const texts = listOf(platforms).filter((one) => typeof one === 'string');
  if (isList && texts.length > 0 && !texts.some((text) => isFor(text, engine)))
    return { reason: 'schema1-no-platform', message: noPlatformMessage(engine, texts) };
  if (derived.includes('docker-schema1')) return null;
  const { reason } =
    listOf(missing)
      .map(objectOf)
      .find(({ form }) => form === 'docker-schema1') ?? {};
  return { reason: typeof reason === 'string' && isReason(reason) ? reason : 'schema1-not-published' };
}

const LISTS: ReadonlySet<unknown> = new Set<Form>(['oci-index', 'docker-list']);

function isFor(text: string, { os, architecture }: Platform): boolean {
  const platform = parsePlatform(text);
  return platform?.os === os && platform.architecture === architecture;
}

/** Seconds after which a client may retry a 503. */
const RETRY_AFTER = '5';

/**
 * The response that explains to the user why there is no image. It is plain text, because the engine prints the body
 * unchanged. `base`: headers to keep.
 */
export function v1Explanation(
  name: RepositoryName,
  found: TagWithoutSchema1,
  origin: string,
  base: HeaderFields,
  status: 400 | 503 = 400,
): Response {
  const body = new TextEncoder().encode(explanationText(name, found, origin));
  const headers = {
    ...(status === 503 && { 'retry-after': RETRY_AFTER }),
    ...base,
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(body.length),
  };
  return new Response(body, { status, headers });
}
