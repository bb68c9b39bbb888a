/** The push endpoint's table: method and path of the OCI distribution spec ("Endpoints") → handler. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Digest } from '../../registry/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import { parseReference, type Reference } from '../../registry/reference.ts';
import { parseDigest } from '../../registry/digest.ts';
import type { PublishResult } from '../publish/publish.ts';
import type { RealmTable } from '../../registry/realms.ts';
import type { WriteStore } from '../../registry/store.ts';
import type { Tag } from '../../registry/name.ts';
import type { ImageSource } from '../../bucket/image-source.ts';
import { beginUpload, cancelUpload, continueUpload, finishUpload, getBlob, uploadState } from './blobs.ts';
import { deleteManifest, getManifest, putManifest } from './manifests.ts';
import { getReferrers, getTags } from './lists.ts';
import { PushError } from './push-error.ts';
import type { Uploads } from './uploads.ts';

/** What the handlers work with. */
export interface PushContext {
  readonly store: WriteStore;
  readonly realms: RealmTable;
  readonly uploads: Uploads;
  /** Whether `DELETE` of a tag is allowed. */
  readonly allowDelete: boolean;
  /** Publishes what was pushed under a tag. */
  publish(name: RepositoryName, tag: Tag, source: ImageSource): Promise<PublishResult>;
  /** Stores one manifest by digest, and what it refers to by `subject`. */
  storeManifest(name: RepositoryName, source: ImageSource): Promise<void>;
  /** Removes a tag; false if there is none. */
  removeTag(name: RepositoryName, tag: Tag): Promise<boolean>;
}

/** One request, parsed as far as its path goes. */
export interface PushRequest {
  readonly context: PushContext;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly name: RepositoryName;
  /** The last component of the path. */
  readonly last: string;
}

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

/** Sends a response with its length. `body` null: none (HEAD, 204). */
export function send(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array | null = null,
): void {
  response.writeHead(status, {
    ...(body !== null && { 'content-length': String(Buffer.byteLength(body)) }),
    ...(body === null && status !== 204 && headers['content-length'] === undefined && { 'content-length': '0' }),
    ...headers,
  });
  response.end(body ?? undefined);
}

/** Parses a repository's name. Throws {@link PushError}. */
export function nameOf(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === null) throw new PushError('NAME_INVALID', `${JSON.stringify(text)} is not a valid repository name`);
  return name;
}

/** Parses a digest. Throws {@link PushError}. */
export function digestOf(text: string | null): Digest {
  const digest = text === null ? null : parseDigest(text);
  if (digest === null) {
    throw new PushError('DIGEST_INVALID', `${JSON.stringify(text)} is not a valid sha256 or sha512 digest`);
  }
  return digest;
}

/** Parses a tag or digest. Throws {@link PushError}. */
export function referenceOf(text: string): Reference {
  const reference = parseReference(text);
  if (reference.kind === 'tag' || reference.kind === 'digest') return reference;
  throw new PushError(
    text.includes(':') ? 'DIGEST_INVALID' : 'MANIFEST_INVALID',
    `${JSON.stringify(text)} is neither a valid tag nor a valid digest`,
  );
}
