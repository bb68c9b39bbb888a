/** What the checks of a deployment ask: one image, as a modern client reads it. */
import type { Digest } from '../../../registry/digest.ts';
import { parseDigest } from '../../../registry/digest.ts';
import { type Form, formOfMediaType, MEDIA_TYPE_OF_FORM } from '../../../registry/media-type.ts';
import type { Answer, Exchange } from '../exchange.ts';
import { bareType } from '../manifest-answer.ts';
import type { ImageName, Session } from '../session.ts';

/** Forms that a modern client reads. */
const MODERN: readonly Form[] = ['docker-schema2', 'docker-list', 'oci-manifest', 'oci-index'];

/** Header of a modern client. */
export const MODERN_ACCEPT = { accept: MODERN.map((form) => MEDIA_TYPE_OF_FORM[form]).join(', ') } as const;

/** The image, and what its tag gave a modern client. */
export interface CheckTarget {
  readonly session: Session;
  readonly image: ImageName;
  readonly byTag: string;
  /** The first answer by tag. */
  readonly first: Exchange;
  /** Null if the tag gave no digest. */
  readonly digest: Digest | null;
}

/** Asks for the tag once, as a modern client. */
export async function targetOf(session: Session, image: ImageName): Promise<CheckTarget> {
  const byTag = `/v2/${image.name}/manifests/${image.tag}`;
  const first = await session.send('GET', byTag, MODERN_ACCEPT);
  const header = first.kind === 'answer' && first.status === 200 ? first.headers['docker-content-digest'] : undefined;
  return { session, image, byTag, first, digest: header === undefined ? null : parseDigest(header) };
}

/** The path of a manifest by its digest. */
export function pathOfDigest({ name }: ImageName, digest: Digest): string {
  return `/v2/${name}/manifests/${digest}`;
}

/** Whether an answer is a manifest that a modern client reads. */
export function isModern(answer: Answer): boolean {
  const form = formOfMediaType(bareType(answer.headers['content-type']));
  return form !== null && MODERN.includes(form);
}

/** What the cache between gateway and registry did, by `Server-Timing`; undefined if the answer does not say. */
export function cacheStatusOf(exchange: Exchange): string | undefined {
  if (exchange.kind === 'failure') return undefined;
  const timing = exchange.headers['server-timing'];
  if (timing === undefined) return undefined;
  return /\bcache;desc="([A-Z]+)"/.exec(timing)?.[1] ?? 'none';
}

/** The status of an answer, with what the cache did. */
export function describe(exchange: Exchange): string {
  if (exchange.kind === 'failure') return exchange.message;
  const cache = cacheStatusOf(exchange);
  return `${String(exchange.status)}, ${cache === undefined ? 'no Server-Timing' : `cache ${cache}`}`;
}
