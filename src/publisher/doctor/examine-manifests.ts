/** Checks manifest answers for any client: HEAD against GET, conditions, lifetimes, and missing objects. */
import { randomUUID } from 'node:crypto';
import type { KnownClient as Client } from '../../manifest/clients/known-clients.ts';
import { short, statusOf } from './examine-clients.ts';
import type { Answer } from './exchange.ts';
import type { Finding, FindingId } from './findings/findings.ts';
import { errorsOf, headersOf, type ImageName, type Session } from './session.ts';
import { listOf, objectOf, parseJson } from '../../registry/values/json.ts';

/** The longest accepted lifetimes of a 404 and of a tag, in seconds. */
const MISS_MAX = 60;
const TAG_MAX = 3_600;
/** The shortest accepted lifetime of immutable content, in seconds. */
const DIGEST_MIN = 86_400;

// Headers that must be equal in HEAD and GET; caches may change others.
const SAME_ON_HEAD = [
  'content-length',
  'content-type',
  'docker-content-digest',
  'etag',
  'vary',
  'cache-control',
] as const;

/** Requests the tag and its digest in several ways: as a modern client, and as an old one that gets another form. */
export async function examineManifests(
  session: Session,
  image: ImageName,
  client: Client,
  old: Client,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add = (id: FindingId, seen: string): void => void findings.push({ id, seen });
  const path = `/v2/${image.name}/manifests/${image.tag}`;
  // Both without gzip, since they are compared header by header.
  const headers = headersOf(client, client.accept, 'HEAD');
  const head = await session.send('HEAD', path, headers);
  const get = await session.send('GET', path, headers);
  const again = await session.send('GET', path, headers);
  if (head.kind === 'failure' || get.kind === 'failure') return findings;
  if (head.status !== get.status) add('head-differs', `by tag: HEAD ${String(head.status)}, GET ${String(get.status)}`);
  if (get.status !== 200) return findings;
  if (head.status === 200) for (const seen of differencesOf(head, get)) add('head-differs', `by tag: ${seen}`);
  const etag = get.headers.etag;
  if (
    etag !== undefined &&
    again.kind === 'answer' &&
    again.headers.etag !== etag &&
    again.headers['docker-content-digest'] === get.headers['docker-content-digest']
  ) {
    add('etag-unstable', `by tag: ${etag}, then ${again.headers.etag ?? 'none'}`);
  }
  if (etag !== undefined) {
    const conditional = await session.send('GET', path, { ...headers, 'if-none-match': etag });
    if (conditional.kind === 'answer' && conditional.status === 200 && conditional.headers.etag === etag)
      add('condition-ignored', `by tag, If-None-Match: ${etag}: 200`);
  }
  if (etag !== undefined) {
    const ofOld = headersOf(old, old.accept, 'HEAD');
    const plain = await session.send('GET', path, ofOld);
    const crossed = await session.send('GET', path, { ...ofOld, 'if-none-match': etag });
    if (plain.kind === 'answer' && plain.headers.etag !== etag && crossed.kind === 'answer' && crossed.status === 304) {
      add('condition-other-form', `GET by tag without Accept, If-None-Match: the ETag of another form: 304`);
    }
  }
  const tagAge = lifetimeOf(get);
  if (tagAge !== undefined && tagAge > TAG_MAX)
    add('tag-cached-long', `Cache-Control: ${get.headers['cache-control'] ?? ''}`);

  const digest = get.headers['docker-content-digest'];
  if (digest !== undefined) {
    const byDigest = await session.send('GET', `/v2/${image.name}/manifests/${digest}`, headers);
    if (byDigest.kind === 'answer' && byDigest.status === 200 && (lifetimeOf(byDigest) ?? 0) < DIGEST_MIN) {
      add(
        'digest-uncached',
        `manifests/${short(digest)}: Cache-Control: ${byDigest.headers['cache-control'] ?? 'none'}`,
      );
    }
  }
  return findings;
}

/** Requests missing objects. */
export async function examineMisses(session: Session, image: ImageName, client: Client): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add = (id: FindingId, seen: string): void => void findings.push({ id, seen });
  const nobody = randomUUID();
  const nothing = `sha256:${nobody.replaceAll('-', '').repeat(2)}`;
  const misses = [
    ['a tag', `/v2/${image.name}/manifests/doctor-${nobody}`],
    ['a digest', `/v2/${image.name}/manifests/${nothing}`],
    ['a blob', `/v2/${image.name}/blobs/${nothing}`],
    ['a repository', `/v2/doctor/${nobody}/tags/list`],
  ] as const;
  for (const [what, path] of misses) {
    const answer = await session.send(
      'GET',
      path,
      headersOf(client, path.includes('/manifests/') ? client.accept : [], 'GET'),
    );
    if (answer.kind === 'failure') add('unreachable', `${what} that does not exist: ${answer.message}`);
    else judgeMiss(answer, what, session.authorized, add);
  }
  const malformed = await session.send(
    'GET',
    `/v2/${image.name}/manifests/sha256:doctor`,
    headersOf(client, client.accept, 'GET'),
  );
  if (malformed.kind === 'answer' && malformed.status >= 500)
    add('bad-digest-5xx', `GET manifests/sha256:doctor: ${String(malformed.status)}`);
  const v1 = await session.send('GET', `/v1/repositories/${image.name}/images`, {
    'user-agent': 'docker/1.6.2 go/go1.4.3 os/linux arch/amd64',
  });
  if (v1.kind === 'answer' && v1.status !== 404 && v1.status !== 400)
    add('v1-answers', `GET /v1/repositories/${image.name}/images: ${String(v1.status)}`);
  return findings;
}

function judgeMiss(
  answer: Answer,
  what: string,
  authorized: boolean,
  add: (id: FindingId, seen: string) => void,
): void {
  const where = `${what} that does not exist: ${String(answer.status)}`;
  // A protected registry may answer the same for missing and for forbidden objects.
  const hidden = authorized && (answer.status === 401 || answer.status === 403);
  if (answer.status >= 500) add('server-error', where);
  else if (answer.status !== 404 && !hidden) add('missing-not-404', where);
  if (answer.status >= 400 && answer.status < 500 && errorsOf(answer.body).length === 0) {
    add('error-body', `${where}, ${answer.headers['content-type'] ?? 'no Content-Type'}`);
  }
  const lifetime = Math.max(lifetimeOf(answer) ?? 0, Number(answer.headers.age ?? 0));
  if (answer.status === 404 && lifetime > MISS_MAX)
    add(
      'missing-cached',
      `${where}, Cache-Control: ${answer.headers['cache-control'] ?? 'none'}, Age: ${answer.headers.age ?? 'none'}`,
    );
}

/** Requests lists of tags and referrers. */
export async function examineLists(session: Session, image: ImageName, digest: string | undefined): Promise<Finding[]> {
  const findings: Finding[] = [];
  const all = await session.send('GET', `/v2/${image.name}/tags/list`);
  const tags = all.kind === 'answer' ? tagsOf(all) : [];
  if (tags.some((tag, index) => index > 0 && (tags[index - 1] ?? '') > tag))
    findings.push({ id: 'tags-unsorted', seen: `${tags.slice(0, 4).join(', ')} …` });
  if (tags.length > 1) {
    const one = await session.send('GET', `/v2/${image.name}/tags/list?n=1`);
    const count = one.kind === 'answer' ? tagsOf(one).length : 1;
    if (count > 1) findings.push({ id: 'tags-unpaged', seen: `n=1 gives ${String(count)} tags` });
  }
  if (digest !== undefined) {
    const referrers = await session.send('GET', `/v2/${image.name}/referrers/${digest}`);
    if (referrers.kind === 'failure' || referrers.status !== 200)
      findings.push({ id: 'referrers-missing', seen: `GET referrers/${short(digest)}: ${statusOf(referrers)}` });
  }
  return findings;
}

/** The tags in the answer of a tag list; empty if it is not valid. */
export function tagsOf(answer: Answer): readonly string[] {
  return listOf(objectOf(parseJson(answer.body)).tags).filter((tag) => typeof tag === 'string');
}

/** Describes headers that differ between HEAD and GET. */
export function differencesOf(head: Answer, get: Answer): readonly string[] {
  return SAME_ON_HEAD.filter(
    (name) =>
      head.headers[name] !== get.headers[name] && !(name === 'content-length' && head.headers[name] === undefined),
  ).map((name) => `${name}: HEAD ${head.headers[name] ?? 'none'}, GET ${get.headers[name] ?? 'none'}`);
}

/** How long a shared cache may keep an answer, in seconds; undefined if the answer does not say. */
export function lifetimeOf({ headers }: Answer): number | undefined {
  const control = headers['cdn-cache-control'] ?? headers['cache-control'];
  if (control === undefined) return undefined;
  if (/\bno-(?:store|cache)\b|\bprivate\b/i.test(control)) return 0;
  const age = /\bs-maxage=(\d+)/i.exec(control) ?? /\bmax-age=(\d+)/i.exec(control);
  return age === null ? undefined : Number(age[1]);
}
