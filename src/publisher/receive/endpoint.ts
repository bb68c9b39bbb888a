/** The push endpoint's table: method and path of the OCI distribution spec ("Endpoints") → handler. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { beginUpload, cancelUpload, continueUpload, finishUpload, getBlob, uploadState } from './blobs.ts';
import { getReferrers, getTags } from './lists.ts';
import { deleteManifest, getManifest, putManifest } from './manifests.ts';
import { PushError } from './push-error.ts';
import { nameOf, type PushContext, type PushRequest, send } from './push-request.ts';

type Handler = (request: PushRequest) => Promise<void>;

// The name may contain any of these words: the last one in the path counts, so the patterns are greedy.
const ROUTES: readonly (readonly [pattern: RegExp, handlers: Readonly<Record<string, Handler>>])[] = [
  [/^\/v2\/(.+)\/blobs\/uploads\/()$/, { POST: beginUpload }],
  [
    /^\/v2\/(.+)\/blobs\/uploads\/([^/]+)$/,
    { GET: uploadState, PATCH: continueUpload, PUT: finishUpload, DELETE: cancelUpload },
  ],
  [/^\/v2\/(.+)\/blobs\/([^/]+)$/, { GET: getBlob, HEAD: getBlob }],
  [
    /^\/v2\/(.+)\/manifests\/([^/]+)$/,
    { GET: getManifest, HEAD: getManifest, PUT: putManifest, DELETE: deleteManifest },
  ],
  [/^\/v2\/(.+)\/tags\/(list)$/, { GET: getTags, HEAD: getTags }],
  [/^\/v2\/(.+)\/referrers\/([^/]+)$/, { GET: getReferrers, HEAD: getReferrers }],
];

/** Answers one request. Throws {@link PushError}, CommandError and StorageError before the response begins. */
export async function answerPush(
  context: PushContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET' } = request;
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  if (/^\/v2\/?$/.test(pathname) && (method === 'GET' || method === 'HEAD')) {
    send(response, 200, { 'content-type': 'application/json' }, method === 'HEAD' ? null : '{}');
    return;
  }
  for (const [pattern, handlers] of ROUTES) {
    const [, nameText, last = ''] = pattern.exec(pathname) ?? [];
    if (nameText === undefined) continue;
    const handle = handlers[method];
    if (handle === undefined) break;
    await handle({
      context,
      request,
      response,
      query: searchParams,
      name: nameOf(nameText),
      last: decodeURIComponent(last),
    });
    return;
  }
  throw new PushError('UNSUPPORTED', `${method} ${pathname} is not supported by this endpoint`);
}
