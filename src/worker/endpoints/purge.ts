/**
 * `POST /-/purge`: called by the publisher after tags have moved. Body: `{"repositories": [name…], "tags":
 * ["name:tag"…], "everything": [name…]}`, the last one optional.
 */
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { parseRepositoryName, parseTag, type RepositoryName } from '../../registry/name.ts';
import { objectOf, parseJson } from '../../registry/values/json.ts';
import { LOGIN_RETRY_AFTER, tooManyFailures } from '../access/login-limit.ts';
import { refused } from '../gateway/answer.ts';
import {
  CACHING,
  CATALOG_CACHE_TAG,
  everythingCacheTag,
  repositoryCacheTag,
  tagCacheTag,
} from '../gateway/cache-policy.ts';
import { type EdgeContext, type EdgeHandler, refuseTo } from '../gateway/edge-context.ts';
import { accessFactsOf } from '../access/authorize.ts';

/** Seconds until Cloudflare takes purges again: it adds five a minute. */
const PURGE_RETRY_AFTER = '60';

/** More moved tags of one repository are purged by one cache tag: that of all its responses. */
const TAGS_OF_ONE_MAX = 50;

/** Maximum length of the body, in bytes: about ten thousand tags. */
const BODY_MAX = 2 ** 20;

/**
 * Purges tags in all their forms, cached 404s of them, and the lists that contain them; of the repositories in
 * `everything` also what digests name. An empty body purges nothing, and tells of cache and version. Requires
 * `Authorization: Bearer` with the secret `PURGE_TOKEN`.
 */
export const purge: EdgeHandler = async (c) => {
  const { config, registry } = c.env;
  if (config.purgeToken === null) return refuseTo(c, refused('endpoint-unknown'));
  if (!(await presents(c.req.raw.headers.get('authorization'), config.purgeToken))) return refuseLogin(c);
  const cacheTags = await readCacheTags(c.req.raw);
  if (cacheTags === null)
    return refuseTo(
      c,
      refused('query-invalid', {
        message:
          'The body must be {"repositories": [name…], "tags": ["name:tag"…]}, of 1 MiB at most; "everything": [name…] may be added.',
      }),
    );
  const outcome = await registry.purge(cacheTags);
  if (outcome.kind === 'limited') {
    const message = `The cache accepts no more purges for now: ${outcome.message}`;
    return refuseTo(c, refused('too-many-requests', { message, headers: { 'retry-after': PURGE_RETRY_AFTER } }));
  }
  if (outcome.kind === 'failed')
    return refuseTo(c, refused('internal', { message: `The cache refused the purge: ${outcome.message}` }));
  const body = new TextEncoder().encode(
    JSON.stringify({
      purged: outcome.kind === 'purged',
      cache: outcome.kind === 'absent' ? 'absent' : 'present',
      cacheTags: cacheTags.length,
      version: config.version,
    }),
  );
  return new Response(body, {
    headers: {
      'content-type': MEDIA_TYPES.json,
      'content-length': String(body.length),
      'cache-control': CACHING.never.cacheControl,
    },
  });
};

/** Answers all other methods. */
export const purgeByOtherMethods: EdgeHandler = (c) =>
  refuseTo(c, refused('method-not-allowed', { message: 'Use POST to purge.', headers: { allow: 'POST' } }));

async function refuseLogin(c: EdgeContext): Promise<Response> {
  const { limiter } = c.env.config;
  if (await tooManyFailures(limiter, accessFactsOf(c.req.raw).address)) {
    return refuseTo(c, refused('too-many-requests', { headers: { 'retry-after': String(LOGIN_RETRY_AFTER) } }));
  }
  return refuseTo(c, refused('unauthorized', { headers: { 'www-authenticate': 'Bearer realm="purge"' } }));
}

// Digests are compared in constant time, so that the time reveals neither the length nor the content of the secret.
async function presents(authorization: string | null, secret: string): Promise<boolean> {
  const [, given = ''] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
  const [a, b] = await Promise.all(
    [given, secret].map((text) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))),
  );
  return a !== undefined && b !== undefined && crypto.subtle.timingSafeEqual(a, b);
}

async function readCacheTags(request: Request): Promise<readonly string[] | null> {
  const text = await readText(request, BODY_MAX);
  if (text === null) return null;
  const { repositories, tags, everything = [] } = objectOf(parseJson(text));
  if (!Array.isArray(repositories) || !Array.isArray(tags) || !Array.isArray(everything)) return null;
  const names = repositories.map(nameOf);
  const moved = tags.map(tagOf);
  const whole = everything.map(nameOf);
  if (names.includes(null) || moved.includes(null) || whole.includes(null)) return null;
  const lists = names.flatMap((name) => (name === null ? [] : [repositoryCacheTag(name)]));
  const byName = Map.groupBy(
    moved.flatMap((tag) => tag ?? []),
    (tag) => tag.slice(0, tag.lastIndexOf(':')),
  );
  return [
    ...new Set([
      ...whole.flatMap((name) => (name === null ? [] : everythingCacheTag(name))),
      ...[...byName].flatMap(([name, of]) =>
        of.length > TAGS_OF_ONE_MAX ? [everythingCacheTag(name)] : of.map((tag) => tagCacheTag(tag)),
      ),
      ...lists,
      ...(lists.length > 0 ? [CATALOG_CACHE_TAG] : []),
    ]),
  ];
}

function nameOf(value: unknown): RepositoryName | null {
  return typeof value === 'string' ? parseRepositoryName(value) : null;
}

function tagOf(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const colon = value.lastIndexOf(':');
  return parseRepositoryName(value.slice(0, Math.max(0, colon))) !== null && parseTag(value.slice(colon + 1)) !== null
    ? value
    : null;
}

async function readText(request: Request, max: number): Promise<string | null> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += (part as Uint8Array).length;
    if (length > max) return null;
    parts.push(part as Uint8Array);
  }
  return new Blob(parts).text();
}
