/** Whether parts of blobs come as parts, below and above what the cache stores. */
import { isListForm } from '../../../registry/media-type.ts';
import { blobsOf, formOfContent, readLinks } from '../../../manifest/links.ts';
import { formatBytes } from '../../../registry/values/byte-size.ts';
import type { Exchange } from '../exchange.ts';
import { answered, type CheckId, type CheckResult, notAsked } from './checks.ts';
import { type CheckTarget, MODERN_ACCEPT } from './target.ts';

/** Bytes that Workers Cache stores at most: 512 MB, read as the larger of its two meanings. */
export const CACHE_LIMIT = 512 * 2 ** 20;

/** Bytes of the part that is asked for. */
const PART = 16;

/** Asks for the end of the image's largest blob. */
export async function checkBlobs(target: CheckTarget, limit: number): Promise<readonly CheckResult[]> {
  const largest = await largestBlob(target);
  const all = ['range', 'range-over-limit', 'body-over-limit'] as const satisfies readonly CheckId[];
  if (largest === null) return all.map((id) => notAsked(id, 'the image has no blob of known size'));
  const { path, size } = largest;
  const { session } = target;
  const from = Math.max(0, size - PART);
  const range = `bytes=${String(from)}-${String(size - 1)}`;
  const part = await session.send('GET', path, { range });
  const what = `a blob of ${formatBytes(size)}, Range: ${range}`;
  if (part.kind === 'answer' && part.status >= 300 && part.status < 400) {
    const why = `${what}: ${String(part.status)} to ${hostOf(part.headers.location)}, so the cache has no part in it`;
    return all.map((id) => notAsked(id, why));
  }
  const isPart =
    part.kind === 'answer' &&
    part.status === 206 &&
    part.headers['content-range'] === `bytes ${String(from)}-${String(size - 1)}/${String(size)}` &&
    part.body.length === size - from;
  const ofPart = answered('range', isPart, `${what}: ${lengthSeen(part)}`);
  if (size <= limit) {
    const why = `the largest blob of the image has ${formatBytes(size)}: name one of more than ${formatBytes(limit)} with --image`;
    return [ofPart, notAsked('range-over-limit', why), notAsked('body-over-limit', why)];
  }
  // Only the beginning of the body is read.
  const whole = await session.send('GET', path);
  const isWhole = whole.kind === 'answer' && whole.status === 200 && whole.headers['content-length'] === String(size);
  return [
    ofPart,
    answered('range-over-limit', isPart, ofPart.seen),
    answered('body-over-limit', isWhole, `a blob of ${formatBytes(size)}: ${lengthSeen(whole)}`),
  ];
}

async function largestBlob({
  session,
  image,
  first,
}: CheckTarget): Promise<{ readonly path: string; readonly size: number } | null> {
  if (first.kind === 'failure' || first.status !== 200) return null;
  let bytes = first.body;
  const form = formOfContent(bytes);
  if (form !== null && isListForm(form)) {
    const children = readLinks(bytes)?.children ?? [];
    const child = children.find(({ platform }) => platform?.architecture === 'amd64') ?? children[0];
    if (child === undefined) return null;
    const answer = await session.send('GET', `/v2/${image.name}/manifests/${child.digest}`, MODERN_ACCEPT);
    if (answer.kind === 'failure' || answer.status !== 200) return null;
    bytes = answer.body;
  }
  const links = readLinks(bytes);
  const blobs = links === null ? [] : blobsOf(links).filter(({ foreign }) => !foreign);
  const [largest] = blobs.toSorted((a, b) => (b.size ?? 0) - (a.size ?? 0));
  if (largest?.size === undefined || largest.size === 0) return null;
  return { path: `/v2/${image.name}/blobs/${largest.digest}`, size: largest.size };
}

function lengthSeen(exchange: Exchange): string {
  if (exchange.kind === 'failure') return exchange.message;
  const { status, headers } = exchange;
  return `${String(status)}, Content-Length: ${headers['content-length'] ?? 'none'}`;
}

function hostOf(location: string | undefined): string {
  return location !== undefined && URL.canParse(location) ? new URL(location).host : 'another place';
}
