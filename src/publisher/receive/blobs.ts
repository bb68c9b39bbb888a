/** Blobs: upload sessions, mounting, and reading back what is stored. */
import { pipeline } from 'node:stream/promises';
import { algorithmOf, type Digest, hexOf } from '../../registry/digest.ts';
import { blobKey } from '../../registry/keys.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import { realmOf } from '../../registry/realms.ts';
import { openFileBlob } from '../sources/files.ts';
import { digestOf, type PushContext, type PushRequest, send } from './push-request.ts';
import { PushError } from './push-error.ts';
import { rangeHeaders, type Upload } from './uploads.ts';

/** `POST /v2/<name>/blobs/uploads/`: opens a session, takes a whole blob (`?digest=`), or mounts one (`?mount=`). */
export async function beginUpload({ context, request, response, query, name }: PushRequest): Promise<void> {
  const mount = query.get('mount');
  if (mount !== null && (await isMountable(context, name, digestOf(mount), query.get('from')))) {
    sendCreated(response, name, digestOf(mount));
    return;
  }
  const given = query.get('digest');
  const digest = given === null ? null : digestOf(given);
  const upload = await context.uploads.begin(name);
  if (digest === null) {
    send(response, 202, { location: uploadPath(upload), ...rangeHeaders(upload) });
    return;
  }
  try {
    await context.uploads.append(upload, request);
    await store(context, upload, digest);
  } catch (error) {
    // Nobody knows the session's address, so nobody can continue it.
    await context.uploads.end(upload);
    throw error;
  }
  sendCreated(response, name, digest);
}

/** `GET /v2/<name>/blobs/uploads/<id>`: how much has arrived. */
export async function uploadState({ context, response, name, last }: PushRequest): Promise<void> {
  const upload = context.uploads.find(name, last);
  send(response, 204, { location: uploadPath(upload), ...rangeHeaders(upload) });
  return Promise.resolve();
}

/** `PATCH /v2/<name>/blobs/uploads/<id>`: one chunk, or all of the blob. */
export async function continueUpload({ context, request, response, name, last }: PushRequest): Promise<void> {
  const upload = context.uploads.find(name, last);
  await context.uploads.append(upload, request, offsetOf(request.headers['content-range']));
  const now = context.uploads.find(name, last);
  send(response, 202, { location: uploadPath(now), ...rangeHeaders(now) });
}

/** `PUT /v2/<name>/blobs/uploads/<id>?digest=`: the last chunk, or none; the blob is then verified and stored. */
export async function finishUpload({ context, request, response, query, name, last }: PushRequest): Promise<void> {
  const upload = context.uploads.find(name, last);
  const digest = digestOf(query.get('digest'));
  await context.uploads.append(upload, request, offsetOf(request.headers['content-range']));
  await store(context, context.uploads.find(name, last), digest);
  sendCreated(response, name, digest);
}

/** `DELETE /v2/<name>/blobs/uploads/<id>`: gives the session up. */
export async function cancelUpload({ context, response, name, last }: PushRequest): Promise<void> {
  await context.uploads.end(context.uploads.find(name, last));
  send(response, 204, {});
}

/** `GET` and `HEAD /v2/<name>/blobs/<digest>`. */
export async function getBlob({ context, request, response, name, last }: PushRequest): Promise<void> {
  const digest = digestOf(last);
  const key = keyOf(context, name, digest);
  const info = await context.store.head(key);
  const object = info === null || request.method === 'HEAD' ? null : await context.store.get(key);
  if (info === null || object === 'changed') throw new PushError('BLOB_UNKNOWN', `${name} has no blob ${digest}`);
  const headers = {
    'content-type': MEDIA_TYPES.octetStream,
    'content-length': String(info.size),
    'docker-content-digest': digest,
  };
  if (object === null) {
    send(response, 200, headers);
    return;
  }
  response.writeHead(200, headers);
  await pipeline(object.body, response);
}

/** Stores a blob whose bytes have all arrived, and ends the session. */
async function store(context: PushContext, upload: Upload, digest: Digest): Promise<void> {
  const { uploads, store: target } = context;
  await uploads.verify(upload, digest);
  const key = keyOf(context, upload.name, digest);
  if ((await target.head(key))?.size !== upload.size) {
    const blob = await openFileBlob(upload.path);
    if (blob === null) throw new PushError('UNKNOWN', `the file of the upload ${upload.id} is gone: push again`);
    await target.put(
      key,
      {
        size: upload.size,
        ...(blob.pooled ?? { chunks: blob.chunks }),
        verified: true,
        reread: () => rereadFile(upload.path),
      },
      {
        contentType: MEDIA_TYPES.octetStream,
        ...(algorithmOf(digest) === 'sha256' && { sha256: hexOf(digest) }),
      },
    );
  }
  await uploads.end(upload);
}

async function* rereadFile(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const blob = await openFileBlob(path);
  if (blob !== null) yield* blob.pooled?.chunks ?? blob.chunks;
}

/** A blob can be mounted where it is stored already and both names are in one realm: realms share no blobs. */
async function isMountable(
  context: PushContext,
  name: RepositoryName,
  digest: Digest,
  from: string | null,
): Promise<boolean> {
  const other = from === null ? name : parseRepositoryName(from);
  if (other === null || realmOf(context.realms, other) !== realmOf(context.realms, name)) return false;
  return (await context.store.head(keyOf(context, name, digest))) !== null;
}

function keyOf({ realms }: PushContext, name: RepositoryName, digest: Digest): string {
  return blobKey(realmOf(realms, name), digest);
}

function sendCreated(response: PushRequest['response'], name: RepositoryName, digest: Digest): void {
  send(response, 201, { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest });
}

function uploadPath({ name, id }: Upload): string {
  return `/v2/${name}/blobs/uploads/${id}`;
}

/** Where a chunk begins: `Content-Range: <start>-<end>` as the OCI distribution spec writes it, without a unit. */
function offsetOf(contentRange: string | undefined): number | undefined {
  if (contentRange === undefined) return undefined;
  const start = /^(?:bytes[ =])?(\d{1,15})-\d{1,15}(?:\/.*)?$/.exec(contentRange)?.[1];
  if (start === undefined) {
    throw new PushError(
      'BLOB_UPLOAD_INVALID',
      `Content-Range: ${JSON.stringify(contentRange)} is not of the form START-END`,
    );
  }
  return Number(start);
}
