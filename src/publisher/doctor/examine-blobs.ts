/**
 * Pulls the config and a layer as old and new clients do: checks lengths, digests, ranges, conditions and redirects.
 */
import type { Digest } from '../../registry/digest.ts';
import { blobsOf, readLinks } from '../../manifest/links.ts';
import type { KnownClient as Client } from '../../manifest/clients/known-clients.ts';
import { short, statusOf } from './examine-clients.ts';
import { differencesOf } from './examine-manifests.ts';
import type { Answer, Exchange } from './exchange.ts';
import { BODY_MAX } from './exchange.ts';
import type { Finding, FindingId } from './findings/findings.ts';
import { sha256 } from './manifest-answer.ts';
import { headersOf, type ImageName, type Session } from './session.ts';

type Add = (id: FindingId, seen: string) => void;

// The schema 1 of a large image has some hundred layers; a fault shows in a few of them.
const HEADS_MAX = 16;

/**
 * Chooses the blobs to request from the manifests that clients got: the smallest by GET, all (up to a limit) by HEAD.
 */
export function blobsToRequest(manifests: readonly Uint8Array[]): {
  readonly whole: Digest | undefined;
  readonly heads: readonly Digest[];
} {
  const blobs = manifests.flatMap((bytes) => {
    const links = readLinks(bytes);
    return links === null ? [] : blobsOf(links).filter(({ foreign }) => !foreign);
  });
  const known = blobs.filter(
    ({ size, digest }) => size !== undefined && size <= BODY_MAX && digest.startsWith('sha256:'),
  );
  // A range needs a few bytes, so an empty config is the last choice.
  const [smallest] = known.toSorted(
    (a, b) => Number((a.size ?? 0) < 32) - Number((b.size ?? 0) < 32) || (a.size ?? 0) - (b.size ?? 0),
  );
  const heads = [...new Set(blobs.map(({ digest }) => digest))].slice(0, HEADS_MAX);
  return { whole: smallest?.digest ?? heads[0], heads };
}

/** Requests blobs; `client` is the strictest client from before 1.10. */
export async function examineBlobs(
  session: Session,
  image: ImageName,
  client: Client,
  blobs: ReturnType<typeof blobsToRequest>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add: Add = (id, seen) => void findings.push({ id, seen });
  for (const digest of blobs.heads) {
    const head = await follow(
      session,
      await session.send('HEAD', pathOf(image, digest), headersOf(client, [], 'HEAD')),
      add,
    );
    const where = `HEAD blobs/${short(digest)}`;
    if (head.kind === 'failure') add('redirect-broken', `${where}: ${head.message}`);
    else if (head.status === 404) add('blob-missing', `${where}: 404`);
    else if (head.status === 200 && head.headers['content-length'] === undefined)
      add('head-length-missing', `${where}: no Content-Length`);
    else if (head.status >= 500) add('server-error', `${where}: ${String(head.status)}`);
  }
  if (blobs.whole !== undefined) await examineWhole(session, image, blobs.whole, client, add);
  return dedupe(findings);
}

async function examineWhole(
  session: Session,
  image: ImageName,
  digest: Digest,
  client: Client,
  add: Add,
): Promise<void> {
  const path = pathOf(image, digest);
  const where = `GET blobs/${short(digest)}`;
  const get = await follow(session, await session.send('GET', path, headersOf(client, [], 'GET')), add);
  if (get.kind === 'failure' || get.status !== 200) {
    if (get.kind === 'failure' || get.status !== 404) add('redirect-broken', `${where}: ${statusOf(get)}`);
    return;
  }
  const coding = get.headers['content-encoding'];
  if (coding !== undefined && coding !== 'identity') add('blob-compressed', `${where}: Content-Encoding: ${coding}`);
  else if (get.headers['content-length'] === undefined) add('length-missing', `${where}: no Content-Length`);
  if (get.headers.etag?.startsWith('W/') === true) add('etag-weak', `${where}: ETag: ${get.headers.etag}`);

  // From here on without gzip, as clients request when they resume.
  const plain = await follow(session, await session.send('GET', path), add);
  if (plain.kind === 'failure' || plain.status !== 200) return;
  if (plain.cut && plain.body.length < BODY_MAX)
    add('body-cut', `${where}: ${String(plain.body.length)} of ${plain.headers['content-length'] ?? '?'} bytes`);
  else if (!plain.cut && digest.startsWith('sha256:') && sha256(plain.body) !== digest)
    add('blob-mismatch', `${where}: the body has ${sha256(plain.body)}`);
  const header = plain.headers['docker-content-digest'];
  if (header !== undefined && header !== digest) add('digest-wrong', `${where}: Docker-Content-Digest: ${header}`);
  const head = await follow(session, await session.send('HEAD', path), add);
  if (head.kind === 'answer' && head.status === 200)
    for (const seen of differencesOf(head, plain)) add('head-differs', `blobs/${short(digest)}: ${seen}`);
  await examineRange(session, path, plain, where, add);
  const etag = plain.headers.etag;
  if (etag !== undefined) {
    const headers = { 'if-none-match': etag };
    const conditional = await follow(session, await session.send('GET', path, headers), add, headers);
    if (conditional.kind === 'answer' && conditional.status === 200 && conditional.headers.etag === etag) {
      add('condition-ignored', `${where}, If-None-Match: ${etag}: 200`);
    }
  }
}

async function examineRange(session: Session, path: string, whole: Answer, where: string, add: Add): Promise<void> {
  const size = whole.body.length;
  if (size < 2 || whole.cut) return;
  const from = Math.floor(size / 2);
  const header = `bytes=${String(from)}-`;
  const part = await follow(session, await session.send('GET', path, { range: header }), add, { range: header });
  if (part.kind === 'failure') return;
  if (part.status === 200) add('range-ignored', `${where}, Range: ${header}: 200`);
  if (part.status !== 206) return;
  const expected = `bytes ${String(from)}-${String(size - 1)}/${String(size)}`;
  if (part.headers['content-range'] !== expected)
    add('range-wrong', `${where}, Range: ${header}: Content-Range: ${part.headers['content-range'] ?? 'none'}`);
  else if (!Buffer.from(part.body).equals(Buffer.from(whole.body.subarray(from))))
    add('range-wrong', `${where}, Range: ${header}: the bytes differ from those of the whole blob`);
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Follows redirects as clients do, and reports faults in them. */
async function follow(
  session: Session,
  first: Exchange,
  add: Add,
  headers: Readonly<Record<string, string>> = {},
): Promise<Exchange> {
  let exchange = first;
  for (let hops = 0; exchange.kind === 'answer' && REDIRECTS.has(exchange.status) && hops < 5; hops += 1) {
    const { question, status } = exchange;
    if (question.method === 'POST') return exchange;
    const location = exchange.headers.location ?? '';
    const where = `${question.method} ${question.url.pathname}: ${String(status)}`;
    if (!URL.canParse(location, question.url.href)) {
      add('redirect-broken', `${where} to ${JSON.stringify(location)}`);
      return exchange;
    }
    const target = new URL(location, question.url);
    if (status === 308) add('redirect-308', where);
    if (question.url.protocol === 'https:' && target.protocol === 'http:')
      add('redirect-insecure', `${where} to http://${target.host}`);
    if (target.username !== '' || target.password !== '') add('redirect-userinfo', `${where} to ${target.host}`);
    const next: Exchange = await session.send(question.method, target, headers);
    if (session.authorized && target.host !== session.base.host && sameDomain(session.base.hostname, target.hostname)) {
      const { authorization } = question.headers;
      const kept =
        authorization === undefined ? next : await session.send(question.method, target, { ...headers, authorization });
      if (next.kind === 'answer' && next.status < 400 && kept.kind === 'answer' && kept.status >= 400) {
        add(
          'redirect-credentials',
          `${where} to ${target.host}: ${String(kept.status)} with Authorization, ${String(next.status)} without`,
        );
      }
    }
    if (next.kind === 'failure' || next.status >= 400)
      add('redirect-broken', `${where} to ${target.host}: ${statusOf(next)}`);
    exchange = next;
  }
  return exchange;
}

/** Whether Go's client keeps `Authorization` on a redirect: to the same host (with any port) and to its subdomains. */
function sameDomain(from: string, to: string): boolean {
  return to === from || to.endsWith(`.${from}`);
}

function pathOf(image: ImageName, digest: Digest): string {
  return `/v2/${image.name}/blobs/${digest}`;
}

/** Merges findings about the same fault of the same blob in several requests. */
function dedupe(findings: readonly Finding[]): Finding[] {
  return [
    ...new Map(
      findings.map((finding) => [`${finding.id} ${finding.seen.replace(/^(?:GET|HEAD) /, '')}`, finding]),
    ).values(),
  ];
}
