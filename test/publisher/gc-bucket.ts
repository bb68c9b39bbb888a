/** A bucket in memory with a clock that stands still until it is told, and images to put into it. */
import { createHash } from 'node:crypto';
import type { Descriptor } from '../../src/registry/descriptor.ts';
import { type Digest, parseDigest } from '../../src/registry/digest.ts';
import { blobKey, manifestKey, tagKey } from '../../src/registry/keys.ts';
import { type Form, MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../src/registry/name.ts';
import { PUBLIC_REALM, type RealmName } from '../../src/registry/realms.ts';
import { encodeTag, type MissingForm } from '../../src/registry/records.ts';
import type {
  BodyStream,
  ByteRange,
  GetOptions,
  ListedObject,
  ObjectInfo,
  PutOptions,
  StoredObject,
  WriteStore,
} from '../../src/registry/store.ts';
import { StorageError } from '../../src/registry/store.ts';

export const HOUR = 3_600_000;

export function digestOf(bytes: Uint8Array): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  if (digest === null) throw new Error('no digest');
  return digest;
}

export function nameOf(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === null) throw new Error(`no name: ${text}`);
  return name;
}

export function tagOf(text: string): Tag {
  const tag = parseTag(text);
  if (tag === null) throw new Error(`no tag: ${text}`);
  return tag;
}

/**
 * The bucket. `before` is called ahead of every operation, so that a test can let something happen at that very moment.
 */
export class Bucket implements WriteStore {
  now = Date.UTC(2026, 0, 1);
  before: (operation: 'head' | 'get' | 'put' | 'delete' | 'list', key: string) => Promise<void> | void = () =>
    undefined;
  readonly objects = new Map<string, ObjectInfo & { bytes: Uint8Array }>();
  private versions = 0;
  readonly deleteFenced: WriteStore['deleteFenced'] = undefined;

  async head(key: string): Promise<ObjectInfo | null> {
    await this.before('head', key);
    return this.objects.get(key) ?? null;
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject | null | 'changed'> {
    await this.before('get', key);
    const object = this.objects.get(key);
    if (object === undefined) return null;
    if (options.ifMatch !== undefined && options.ifMatch !== object.etag) return 'changed';
    const range = clamp(options.range, object.size);
    return {
      ...object,
      range,
      body: new Blob([object.bytes.slice(range.offset, range.offset + range.length)]).stream(),
    };
  }

  async put(
    key: string,
    body: Uint8Array | BodyStream,
    options: PutOptions,
  ): Promise<{ etag: string } | 'precondition-failed'> {
    await this.before('put', key);
    const bytes = body instanceof Uint8Array ? body : await collect(body);
    options.signal?.throwIfAborted();
    if (
      (!(body instanceof Uint8Array) && bytes.length !== body.size) ||
      (options.sha256 !== undefined && digestOf(bytes) !== `sha256:${options.sha256}`)
    ) {
      throw new StorageError('DIGEST_MISMATCH', `writing ${key}: the bytes are not what was announced`);
    }
    const there = this.objects.get(key);
    if (
      options.onlyIf === 'absent'
        ? there !== undefined
        : options.onlyIf !== undefined && there?.etag !== options.onlyIf.etag
    )
      return 'precondition-failed';
    const etag = String((this.versions += 1));
    this.objects.set(key, {
      key,
      bytes,
      size: bytes.length,
      etag,
      contentType: options.contentType,
      metadata: options.metadata ?? {},
      uploaded: new Date(this.now),
    });
    return { etag };
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.before('delete', key);
    for (const key of keys) this.objects.delete(key);
  }

  async *list(prefix: string, { startAfter = '' }: { readonly startAfter?: string } = {}): AsyncIterable<ListedObject> {
    await this.before('list', prefix);
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > startAfter).sort();
    for (const key of keys) {
      const object = this.objects.get(key);
      if (object !== undefined) yield object;
    }
  }

  keys(): string[] {
    return [...this.objects.keys()].sort();
  }
}

/** One manifest in the making. */
export interface Made {
  readonly form: Form;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly blobs: readonly Digest[];
}

/** Writes images as a publisher does. */
export class Writer {
  readonly bucket: Bucket;
  readonly name: RepositoryName;
  readonly realm: RealmName;

  constructor(bucket: Bucket, name: string, realm: RealmName = PUBLIC_REALM) {
    this.bucket = bucket;
    this.name = nameOf(name);
    this.realm = realm;
  }

  async blob(content: string): Promise<Descriptor> {
    const bytes = new TextEncoder().encode(content);
    const digest = digestOf(bytes);
    await this.bucket.put(blobKey(this.realm, digest), bytes, { contentType: 'application/octet-stream' });
    return { mediaType: MEDIA_TYPES.dockerLayerGzip, digest, size: bytes.length };
  }

  /** An image of one layer whose content is the text. */
  async image(
    text: string,
    options: { subject?: Digest; form?: 'oci-manifest' | 'docker-schema2' } = {},
  ): Promise<Made> {
    const form = options.form ?? 'docker-schema2';
    const layer = await this.blob(`layer ${text}`);
    const config = await this.blob(JSON.stringify({ os: 'linux', architecture: 'amd64', text }));
    const subject =
      options.subject === undefined
        ? {}
        : { subject: { mediaType: MEDIA_TYPE_OF_FORM[form], digest: options.subject, size: 1 } };
    return this.manifest(
      form,
      {
        schemaVersion: 2,
        mediaType: MEDIA_TYPE_OF_FORM[form],
        config: { ...config, mediaType: MEDIA_TYPES.dockerConfig },
        layers: [layer],
        ...subject,
      },
      [config.digest, layer.digest],
    );
  }

  async list(children: readonly Made[], form: 'docker-list' | 'oci-index' = 'docker-list'): Promise<Made> {
    const manifests = children.map(({ form: of, digest, bytes }, index) => ({
      mediaType: MEDIA_TYPE_OF_FORM[of],
      digest,
      size: bytes.length,
      platform: { os: 'linux', architecture: ['amd64', 'arm64'][index] ?? 'riscv64' },
    }));
    return this.manifest(form, { schemaVersion: 2, mediaType: MEDIA_TYPE_OF_FORM[form], manifests }, []);
  }

  async manifest(form: Form, content: object, blobs: readonly Digest[]): Promise<Made> {
    const bytes = new TextEncoder().encode(JSON.stringify(content));
    const digest = digestOf(bytes);
    await this.bucket.put(manifestKey(this.name, digest), bytes, { contentType: MEDIA_TYPE_OF_FORM[form] });
    return { form, digest, bytes, blobs };
  }

  /** The tag object; the first is published, the others derived from it. */
  async tag(tag: string, forms: readonly Made[], missing: readonly MissingForm[] = []): Promise<void> {
    let offset = 0;
    const from = forms[0]?.digest;
    const rows = forms.map(({ form, digest, bytes }, index) => {
      const row = {
        form,
        mediaType: MEDIA_TYPE_OF_FORM[form],
        digest,
        offset,
        length: bytes.length,
        source:
          index === 0 || from === undefined ? ({ kind: 'published' } as const) : ({ kind: 'derived', from } as const),
      };
      offset += bytes.length;
      return row;
    });
    const record = { updated: new Date(this.bucket.now).toISOString(), forms: rows, missing };
    const { body, metadata } = encodeTag(
      record,
      forms.map(({ bytes }) => bytes),
    );
    await this.bucket.put(tagKey(this.name, tagOf(tag)), body, { contentType: 'application/octet-stream', metadata });
  }

  has(digest: Digest): boolean {
    return (
      this.bucket.objects.has(manifestKey(this.name, digest)) || this.bucket.objects.has(blobKey(this.realm, digest))
    );
  }

  /** Which of an image's objects are there: `all`, `none` or `some`. */
  state({ digest, blobs }: Made): 'all' | 'none' | 'some' {
    const there = [digest, ...blobs].filter((one) => this.has(one)).length;
    return there === 0 ? 'none' : there === blobs.length + 1 ? 'all' : 'some';
  }
}

function clamp(range: ByteRange | undefined, size: number): { offset: number; length: number } {
  if (range === undefined) return { offset: 0, length: size };
  if ('suffix' in range) return { offset: Math.max(0, size - range.suffix), length: Math.min(size, range.suffix) };
  return { offset: range.offset, length: Math.min(range.length ?? Infinity, size - range.offset) };
}

async function collect({ chunks }: BodyStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}
