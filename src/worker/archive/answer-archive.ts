/**
 * `/r/<name>:<tag>.tar?platform=`: an image as a docker-archive, for hosts that cannot reach a registry. It is streamed
 * from where a pull reads, with the access of a pull, and the Worker holds only the config in memory.
 */
import { isNamed } from '../../http/conditions.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import { parsePlatform } from '../../registry/platform.ts';
import { StorageError } from '../../registry/store.ts';
import { logFailure } from '../log/event.ts';
import type { Grant } from '../access/guard.ts';
import { entityTagOf, refused, type Refused } from '../gateway/answer.ts';
import { isBrowser } from '../gateway/browser.ts';
import { CACHING } from '../gateway/cache-policy.ts';
import {
  type EdgeContext,
  fetchFromRegistry,
  publicOrigin,
  refuseTo,
  WHOLE_REPRESENTATION,
  withAccess,
} from '../gateway/edge-context.ts';
import { refusalPage } from '../pages/refusal.tsx';
import { parsePagePath } from '../pages/paths.ts';
import { chooseImage, type FetchFromRegistry, type WantedImage } from './choose-image.ts';
import { archiveEntries, type ArchivedImage } from './docker-archive.ts';
import { tarLength, tarStream } from './tar.ts';
import { CorruptRecordError } from '../../registry/unreadable-record.ts';

/** Part of the entity tag: raised whenever the same image gives another archive. */
const ARCHIVE_FORMAT = 1;

/** Answers with the archive, or with the reason why there is none: a page for browsers, an error body for others. */
export async function answerArchive(c: EdgeContext): Promise<Response> {
  const wanted = parseArchiveRequest(c);
  if (!('name' in wanted)) return refuse(c, wanted);
  const { name, tag } = wanted;
  c.env.trace.target = { kind: 'manifest', name, reference: { kind: 'tag', tag } };
  return withAccess(c, { kind: 'repository', name }, (grant) => answerFor(c, wanted, grant), true);
}

function parseArchiveRequest(c: EdgeContext): WantedImage | Refused {
  const path = parsePagePath((c.req.param('path') ?? '').replace(/\.tar$/, ''));
  if (path === null) return refused('endpoint-unknown', { message: 'There is no such archive.' });
  const { name } = path;
  if (path.kind !== 'tag')
    return refused('endpoint-unknown', { message: `An archive is of one tag: /r/${name}:TAG.tar`, detail: { name } });
  const text = new URL(c.req.url).searchParams.get('platform');
  const platform = text === null ? null : parsePlatform(text);
  if (text !== null && platform === null)
    return refused('query-invalid', { message: 'The platform must be os/architecture[/variant], as linux/arm64.' });
  return { name, tag: path.tag, platform };
}

async function answerFor(c: EdgeContext, wanted: WantedImage, grant: Grant): Promise<Response> {
  const fetch: FetchFromRegistry = (request, options) => fetchFromRegistry(c, request, options, grant);
  let chosen;
  try {
    chosen = await chooseImage(wanted, fetch);
  } catch (error) {
    if (!(error instanceof CorruptRecordError)) throw error;
    logFailure('record-corrupt', { path: c.req.path }, error);
    return refuse(c, refused('record-corrupt'));
  }
  if (chosen.kind === 'refused') return refuse(c, chosen);
  const { name, tag } = wanted;
  const { config, layers } = chosen.image;
  const archived: ArchivedImage = {
    repository: `${hostForImages(publicOrigin(c))}${name}`,
    name,
    tag,
    config: { digest: config.digest, bytes: chosen.config },
    layers,
  };
  const entries = archiveEntries(archived, (layer) => openLayer(layer, wanted, fetch));
  const about = JSON.stringify([ARCHIVE_FORMAT, chosen.digest, archived.repository, tag]);
  const etag = await entityTagOf(new TextEncoder().encode(about));
  // The time of the last refusal is over: the layers were found by their names.
  delete c.env.trace.reason;
  const headers = { etag, 'cache-control': CACHING.never.cacheControl };
  if (isNamed(c.req.raw.headers.get('if-none-match'), etag)) return new Response(null, { status: 304, headers });
  return new Response(c.req.raw.method === 'HEAD' ? null : tarStream(entries), {
    headers: {
      ...headers,
      'content-type': 'application/x-tar',
      'content-length': String(tarLength(entries)),
      'content-disposition': `attachment; filename="${name.replaceAll('/', '_')}_${tag}.tar"`,
      'x-content-type-options': 'nosniff',
    },
  });
}

/** The bytes of a layer, with the length that the manifest gives. Throws {@link StorageError}. */
async function openLayer(
  { digest, size }: Descriptor,
  { name }: WantedImage,
  fetch: FetchFromRegistry,
): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  const { body, headers, refusal } = await fetch(
    { kind: 'blob', name, digest },
    { ...WHOLE_REPRESENTATION, streamed: true },
  );
  const length = headers['content-length'];
  if (refusal === null && body !== null && length === String(size)) return body;
  if (body instanceof ReadableStream) await body.cancel();
  const what = refusal === null ? `has ${length ?? 'no'} bytes instead of ${String(size)}` : `is ${refusal.reason}`;
  const error = new StorageError('STORAGE_UNAVAILABLE', `the layer ${digest} of ${name} ${what}`);
  logFailure('archive-broken-off', {}, error);
  throw error;
}

/** The host as the first part of an image name. Image names cannot have an IPv6 address. */
function hostForImages(origin: string): string {
  const { host } = new URL(origin);
  return host.startsWith('[') ? '' : `${host}/`;
}

function refuse(c: EdgeContext, refusal: Refused): Promise<Response> | Response {
  return isBrowser(c.req.raw.headers.get('accept')) ? refusalPage(c, refusal) : refuseTo(c, refusal);
}
