/** `/v2/<name>/manifests/<reference>`: OCI distribution spec 1.1, "Pulling manifests". */
import type { Digest } from '../../../registry/digest.ts';
import { manifestKey, tagKey } from '../../../registry/keys.ts';
import { formOfMediaType } from '../../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../../registry/name.ts';
import {
  decodeTagIndex,
  decodeTagMetadata,
  INDEX_METADATA,
  type TagForm,
  type TagIndex,
  type TagRecord,
} from '../../../registry/records.ts';
import type { ReadStore } from '../../../registry/store.ts';
import { canRead, negotiate, unreadableReason } from '../../../manifest/negotiate.ts';
import { type Answer, type AnswerBody, refused, type Representation } from '../../gateway/answer.ts';
import type { RegistryRequest, RequestOptions } from '../../gateway/registry-request.ts';
import { type ByteReader, openBytes, readAll, WHOLE_UP_TO } from '../../../bucket/read-object.ts';
import { sizedStream } from '../../storage/sized-stream.ts';
import { engineOf, noPlatformMessage, platformsOf } from '../no-platform.ts';
import { refuseUnknown } from './known-repository.ts';
import { CorruptRecordError } from '../../../registry/unreadable-record.ts';

/** Answers by tag, with the form that fits the client, or by digest, with exactly those bytes. HEAD opens no body. */
export async function answerManifest(
  request: Extract<RegistryRequest, { kind: 'manifest' }>,
  options: RequestOptions,
  store: ReadStore,
): Promise<Answer> {
  const { name, reference } = request;
  return reference.kind === 'tag'
    ? byTag(name, reference.tag, options, store)
    : byDigest(name, reference.digest, options, store);
}

async function byTag(name: RepositoryName, tag: Tag, options: RequestOptions, store: ReadStore): Promise<Answer> {
  const key = tagKey(name, tag);
  const unknown = refused('tag-unknown', {
    message: `The repository ${name} has no tag ${tag}.`,
    detail: { name, tag },
  });
  if (options.head) {
    const object = await store.head(key);
    if (object === null) return refuseUnknown(store, name, unknown);
    const index = readIndex(object.metadata);
    if (index.kind === 'record') return answerFrom(index.record, options, () => Promise.resolve(null));
    const head = await store.get(key, { range: { offset: 0, length: index.length }, ifMatch: object.etag });
    // The tag moved in between: the new object is read whole.
    if (head !== null && head !== 'changed') {
      return answerFrom(decodeTagIndex(await readAll(head.body, index.length)), options, () => Promise.resolve(null));
    }
  }
  const object = await store.get(key, { atOnce: true });
  if (object === null || object === 'changed') return refuseUnknown(store, name, unknown);
  const index = readIndex(object.metadata);
  const reader = await openBytes(object);
  let isStreamed = false as boolean;
  try {
    const offset = index.kind === 'record' ? 0 : index.length;
    const within = (length: number): number => {
      if (length > object.size) throw new CorruptRecordError('the tag object is shorter than its index says');
      return length;
    };
    const record = index.kind === 'record' ? index.record : decodeTagIndex(await reader.take(within(index.length)));
    return await answerFrom(record, options, async (form) => {
      within(offset + form.offset + form.length);
      if (options.head) return null;
      await reader.skip(form.offset);
      if (form.length <= WHOLE_UP_TO) return reader.take(form.length);
      isStreamed = true;
      return sizedStream(passAndEnd(reader, form.length), form.length);
    });
  } finally {
    if (!isStreamed) await reader.end();
  }
}

/** A long manifest is streamed: a copy for each slow client would fill the isolate. */
async function* passAndEnd(reader: ByteReader, length: number): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* reader.pass(length);
  } finally {
    await reader.end();
  }
}

/**
 * Parsed indexes by their text, because popular tags are requested again and again. Only indexes in the metadata are
 * kept, so at most 8 KiB each.
 */
const indexes = new Map<string, TagIndex>();
const INDEXES_KEPT = 256;

function readIndex(metadata: Readonly<Record<string, string>>): TagIndex {
  const text = metadata[INDEX_METADATA];
  const before = text === undefined ? undefined : indexes.get(text);
  if (before !== undefined) return before;
  const index = decodeTagMetadata(metadata);
  if (indexes.size >= INDEXES_KEPT) indexes.clear();
  if (text !== undefined) indexes.set(text, index);
  return index;
}

async function answerFrom(
  record: TagRecord,
  options: RequestOptions,
  bodyOf: (form: TagForm) => Promise<AnswerBody>,
): Promise<Answer> {
  const choice = negotiate(options, record);
  const vary = varyOf(choice);
  const awaits = choice.awaitsSchema2 === true && { awaitsSchema2: true as const };
  if (choice.kind === 'missing') {
    const { reason, available } = choice;
    const why = reason === 'schema1-no-platform' && {
      message: noPlatformMessage(engineOf(options.userAgent), platformsOf(record)),
    };
    return refused(reason, { detail: { available }, vary, ...awaits, ...why });
  }
  const { form } = choice;
  return {
    kind: 'found',
    representation: representationOf(form.digest, form.mediaType, form.length),
    body: await bodyOf(form),
    vary,
    form: form.form,
    ...awaits,
  };
}

async function byDigest(
  name: RepositoryName,
  digest: Digest,
  options: RequestOptions,
  store: ReadStore,
): Promise<Answer> {
  const key = manifestKey(name, digest);
  const got = options.head ? null : await store.get(key, { atOnce: true });
  const stored = got === 'changed' ? null : got;
  const object = options.head ? await store.head(key) : stored;
  if (object === null) {
    return refuseUnknown(
      store,
      name,
      refused('manifest-unknown', {
        message: `The repository ${name} has no manifest ${digest}.`,
        detail: { name, digest },
      }),
    );
  }
  const { contentType, size } = object;
  if (contentType === undefined) throw new CorruptRecordError(`the manifest ${digest} has no media type`);
  const form = formOfMediaType(contentType);
  // An unknown media type says nothing about which clients can read it.
  const reading = form === null ? { readable: true, varies: { userAgent: false } } : canRead(options, form);
  const vary = varyOf(reading);
  if (!reading.readable) {
    if (stored !== null && stored.bytes === undefined) await stored.body.cancel();
    const reason = unreadableReason(options);
    const why = reason === 'form-not-published' && {
      message:
        `The manifest ${digest} is of the type ${contentType}, which the Accept header does not allow, ` +
        'and a request by digest never returns another manifest.',
    };
    return refused(reason, { detail: { name, digest, available: [contentType] }, vary, ...why });
  }
  // A short manifest is read completely before it is sent, so that a failed read can be repeated.
  const body =
    stored === null ? null : (stored.bytes ?? (size <= WHOLE_UP_TO ? await readAll(stored.body, size) : stored.body));
  return {
    kind: 'found',
    representation: representationOf(digest, contentType, size),
    body,
    vary,
    ...(form !== null && { form }),
  };
}

function varyOf({ varies }: { readonly varies: { readonly userAgent: boolean } }): readonly string[] {
  return varies.userAgent ? ['Accept', 'User-Agent'] : ['Accept'];
}

function representationOf(digest: Digest, contentType: string, length: number): Representation {
  return { contentType, length, digest, etag: `"${digest}"` };
}
