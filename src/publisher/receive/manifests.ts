/** Manifests: what a push ends with, and reading back what is stored. */
import type { Digest } from '../../registry/digest.ts';
import { blobKey, manifestKey, tagKey } from '../../registry/keys.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { realmOf } from '../../registry/realms.ts';
import { readStoredManifest, storedImageOf } from '../../bucket/stored-image.ts';
import type { Manifest } from '../../manifest/image.ts';
import { readLinks } from '../../manifest/links.ts';
import { negotiate } from '../../manifest/negotiate.ts';
import { ManifestError, readManifest } from '../../manifest/read.ts';
import { EMPTY_LAYER } from '../../manifest/schema1.ts';
import { parseAccept } from '../../http/accept.ts';
import { forEachLimit } from '../../bucket/concurrency.ts';
import { readTag } from '../../bucket/read-tag.ts';
import type { ImageSource } from '../../bucket/image-source.ts';
import { verifiedManifest } from '../../bucket/read-image.ts';
import { type PushContext, type PushRequest, isReference, referenceOf, send } from './push-request.ts';
import { PushError } from './push-error.ts';

/**
 * Most bytes of a manifest: the size that the OCI distribution spec asks registries to accept ("Pushing Manifests").
 */
const MANIFEST_MAX = 4 * 1024 * 1024;

/** Blobs and manifests that are looked for at once. */
const HEADS_AT_ONCE = 16;

/** `PUT /v2/<name>/manifests/<reference>`: publishes a tag in every form, or stores a manifest by digest. */
export async function putManifest({ context, request, response, name, last }: PushRequest): Promise<void> {
  const reference = referenceOf(last);
  const bytes = await readBody(request);
  const manifest = read(bytes, request.headers['content-type'], reference.kind === 'digest' ? reference.digest : null);
  await mustBeComplete(context, name, manifest);
  const source = pushedImage(context, name, manifest);
  if (reference.kind === 'tag') await context.publish(name, reference.tag, source);
  else await context.storeManifest(name, source);
  const subject = readLinks(bytes)?.subject;
  send(response, 201, {
    location: `/v2/${name}/manifests/${manifest.digest}`,
    'docker-content-digest': manifest.digest,
    ...(subject !== undefined && { 'oci-subject': subject }),
  });
}

/**
 * `GET` and `HEAD /v2/<name>/manifests/<reference>`: by tag the form that `Accept` asks for, as the edge chooses it.
 */
export async function getManifest({ context, request, response, name, last }: PushRequest): Promise<void> {
  // What is neither a tag nor a digest names no manifest, so it is not found (the conformance suite wants 404).
  if (!isReference(last)) throw new PushError('MANIFEST_UNKNOWN', `${name} has no manifest ${last}`);
  const reference = referenceOf(last);
  const found =
    reference.kind === 'digest'
      ? await storedManifest(context, name, reference.digest)
      : await taggedManifest(context, name, reference.tag, request.headers);
  if (found === null) throw new PushError('MANIFEST_UNKNOWN', `${name} has no manifest ${last}`);
  send(
    response,
    200,
    {
      'content-type': found.mediaType,
      'content-length': String(found.bytes.length),
      'docker-content-digest': found.digest,
    },
    request.method === 'HEAD' ? null : found.bytes,
  );
}

/** `DELETE /v2/<name>/manifests/<tag>`, where deleting is allowed. Manifests by digest stay until gc removes them. */
export async function deleteManifest({ context, response, name, last }: PushRequest): Promise<void> {
  const reference = referenceOf(last);
  if (!context.allowDelete) {
    throw new PushError('UNSUPPORTED', 'this endpoint deletes nothing: start it with --allow-delete to delete tags');
  }
  if (reference.kind === 'digest') {
    throw new PushError(
      'UNSUPPORTED',
      'manifests are not deleted by digest: delete the tags that need them, then run gantry gc',
    );
  }
  if (!(await context.removeTag(name, reference.tag))) {
    throw new PushError('MANIFEST_UNKNOWN', `${name} has no tag ${reference.tag}`);
  }
  send(response, 202, {});
}

type Stored = Pick<Manifest, 'digest' | 'mediaType' | 'bytes'>;

async function storedManifest({ store }: PushContext, name: RepositoryName, digest: Digest): Promise<Stored | null> {
  const found = await readStoredManifest(store, name, digest);
  return found === null ? null : { mediaType: MEDIA_TYPES.json, ...found };
}

async function taggedManifest(
  { store }: PushContext,
  name: RepositoryName,
  tag: Tag,
  headers: PushRequest['request']['headers'],
): Promise<Stored | null> {
  const reading = await readTag(store, tagKey(name, tag));
  if (reading?.kind !== 'read') return null;
  // A client that pushes and names no type reads back what it pushed: no engine from before 1.10 is served here.
  const accept = parseAccept(headers.accept ?? '*/*');
  const choice = negotiate({ accept, userAgent: headers['user-agent'] ?? null }, reading.record);
  if (choice.kind === 'missing') return null;
  const { digest, mediaType } = choice.form;
  const bytes = reading.manifests[reading.record.forms.indexOf(choice.form)];
  return bytes === undefined ? null : { digest, mediaType, bytes };
}

async function readBody(request: PushRequest['request']): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MANIFEST_MAX) {
      throw new PushError('SIZE_INVALID', `a manifest may have ${String(MANIFEST_MAX)} bytes at most`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function read(bytes: Uint8Array, contentType: string | undefined, digest: Digest | null): Manifest {
  let manifest: Manifest;
  try {
    manifest = readManifest(bytes, contentType);
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause;
    throw new PushError('MANIFEST_INVALID', cause.message, { cause });
  }
  if (digest === null || digest === manifest.digest) return manifest;
  try {
    return verifiedManifest({ bytes, ...(contentType !== undefined && { mediaType: contentType }) }, digest);
  } catch (cause) {
    throw new PushError('DIGEST_INVALID', `the manifest has the digest ${manifest.digest}, not ${digest}`, { cause });
  }
}

/**
 * Every blob and manifest that it names must be there, but for foreign layers and its subject. Throws {@link
 * PushError}.
 */
async function mustBeComplete(context: PushContext, name: RepositoryName, manifest: Manifest): Promise<void> {
  const links = readLinks(manifest.bytes);
  const realm = realmOf(context.realms, name);
  const blobs = links === null ? [] : [...(links.config === undefined ? [] : [links.config]), ...links.layers];
  const needed = [
    ...blobs
      .filter(({ foreign, digest }) => !foreign && digest !== EMPTY_LAYER.digest)
      .map(({ digest }) => [digest, blobKey(realm, digest)] as const),
    ...(links?.children ?? []).map(({ digest }) => [digest, manifestKey(name, digest)] as const),
  ];
  await forEachLimit(needed, HEADS_AT_ONCE, async ([digest, key]) => {
    if ((await context.store.head(key)) === null) {
      throw new PushError('MANIFEST_BLOB_UNKNOWN', `the manifest names ${digest}, which was not pushed to ${name}`);
    }
  });
}

/** What was pushed, as a source of images: blobs and children are in the bucket already. Each referrer is a push. */
function pushedImage({ store, realms }: PushContext, name: RepositoryName, root: Manifest): ImageSource {
  return storedImageOf({ store, name, realm: realmOf(realms, name) }, [root]);
}
