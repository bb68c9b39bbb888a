/**
 * Reads a bucket by docs/reference/bucket.md alone, with another S3 client and another hash than the publisher: what a second
 * implementation would find. Whatever is needed and is not there, or has other bytes than its digest says, is a
 * finding.
 */
import { createHash } from 'node:crypto';
import { AwsClient } from 'aws4fetch';

/** Something that must not be. */
export interface Finding {
  /**
   * `lost`: a tag without an object, or one that cannot be read. `unlisted`: a tag or repository that its list lacks.
   */
  readonly kind: 'lost' | 'unlisted' | 'needed-missing' | 'wrong-bytes';
  readonly what: string;
}

/** A tag as it stands. */
export interface TagFound {
  /** Digests of what was published under it, not derived. */
  readonly published: readonly string[];
}

interface Descriptor {
  readonly digest: string;
  readonly size?: number;
  readonly urls?: readonly string[];
}

interface ManifestJson {
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
  readonly fsLayers?: readonly { readonly blobSum: string }[];
  readonly signatures?: readonly { readonly protected: string }[];
}

/** Where a bucket is. */
export interface BucketAddress {
  readonly endpoint: string;
  readonly bucket: string;
  /** Empty, or ending in `/`. */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

/** Reads one. */
export class BucketReader {
  readonly #address: BucketAddress;
  readonly #client: AwsClient;

  constructor(address: BucketAddress) {
    this.#address = address;
    this.#client = new AwsClient({ ...address, service: 's3' });
  }

  /** An object with its metadata; null if there is none. */
  async get(
    key: string,
  ): Promise<{ readonly bytes: Buffer; readonly metadata: (name: string) => string | null } | null> {
    const answer = await this.#ask(this.#urlOf(key));
    if (answer.status === 404) return null;
    return {
      bytes: Buffer.from(await answer.arrayBuffer()),
      metadata: (name) => answer.headers.get(`x-amz-meta-${name}`),
    };
  }

  /** All keys below a prefix. */
  async keys(prefix: string): Promise<readonly string[]> {
    const keys: string[] = [];
    let token: string | undefined;
    do {
      const url = new URL(`${this.#address.endpoint}/${this.#address.bucket}`);
      url.searchParams.set('list-type', '2');
      url.searchParams.set('prefix', this.#address.prefix + prefix);
      if (token !== undefined) url.searchParams.set('continuation-token', token);
      const text = await (await this.#ask(url)).text();
      for (const [, key = ''] of text.matchAll(/<Key>([^<]*)<\/Key>/g))
        keys.push(unescape(key).slice(this.#address.prefix.length));
      token = text.includes('<IsTruncated>true<')
        ? unescape(/<NextContinuationToken>([^<]*)</.exec(text)?.[1] ?? '')
        : undefined;
    } while (token !== undefined);
    return keys;
  }

  /** The names in a list object. Nothing there gives none. */
  async namesIn(key: string): Promise<readonly string[]> {
    const object = await this.get(key);
    if (object === null) return [];
    return (JSON.parse(object.bytes.toString()) as { readonly names: readonly string[] }).names;
  }

  /** Looks through everything that a tag needs. `found`: null if it is lost. */
  async tag(
    name: string,
    tag: string,
    realm = 'public',
  ): Promise<{ readonly found: TagFound | null; readonly findings: readonly Finding[] }> {
    const findings: Finding[] = [];
    const object = await this.get(`repositories/${name}/_tags/${tag}`);
    const text = object?.metadata('gantry-tag') ?? null;
    if (object === null || text === null) return { found: null, findings: [{ kind: 'lost', what: `${name}:${tag}` }] };
    let index = JSON.parse(text) as {
      readonly h?: number;
      readonly f: readonly (readonly [string, string, number, number, string])[];
    };
    const start = index.h ?? 0;
    if (start > 0) index = JSON.parse(object.bytes.subarray(0, start).toString()) as typeof index;
    const blobs = new Map<string, string>();
    const manifests = new Set<string>();
    const visit = async (bytes: Buffer, digest: string, where: string): Promise<void> => {
      const value = JSON.parse(bytes.toString()) as ManifestJson;
      if (digestOf(payloadOf(bytes, value)) !== digest)
        findings.push({ kind: 'wrong-bytes', what: `${where}: ${digest}` });
      for (const one of [value.config, ...(value.layers ?? [])])
        if (one !== undefined && one.urls === undefined) blobs.set(one.digest, where);
      for (const { blobSum } of value.fsLayers ?? []) blobs.set(blobSum, where);
      for (const child of value.manifests ?? []) await manifest(child.digest, where);
    };
    const manifest = async (digest: string, where: string): Promise<void> => {
      if (manifests.has(digest)) return;
      manifests.add(digest);
      const stored = await this.get(`repositories/${name}/_manifests/${digest}`);
      if (stored === null) findings.push({ kind: 'needed-missing', what: `${where}: manifest ${digest}` });
      else await visit(stored.bytes, digest, where);
    };
    for (const [form, digest, offset, length] of index.f) {
      const where = `${name}:${tag} ${form}`;
      await visit(object.bytes.subarray(start + offset, start + offset + length), digest, where);
      await manifest(digest, where);
    }
    for (const [digest, where] of blobs) {
      const [algorithm = '', hex = ''] = digest.split(':');
      const blob = await this.get(`blobs/${realm}/${algorithm}/${hex}`);
      if (blob === null) findings.push({ kind: 'needed-missing', what: `${where}: blob ${digest}` });
      else if (digestOf(blob.bytes) !== digest)
        findings.push({ kind: 'wrong-bytes', what: `${where}: blob ${digest}` });
    }
    return {
      found: { published: index.f.filter(([, , , , source]) => source === 'p').map(([, digest]) => digest) },
      findings,
    };
  }

  /** Looks through the whole bucket: every tag object, what it needs, and whether the lists name it. */
  async everything(): Promise<{ readonly tags: number; readonly findings: readonly Finding[] }> {
    const findings: Finding[] = [];
    const repositories = new Map<string, string[]>();
    for (const key of await this.keys('repositories/')) {
      const [, name, tag] = /^repositories\/(.+)\/_tags\/([^/]+)$/.exec(key) ?? [];
      if (name !== undefined && tag !== undefined) repositories.set(name, [...(repositories.get(name) ?? []), tag]);
    }
    const catalog = new Set(await this.namesIn('catalog.json'));
    let tags = 0;
    for (const [name, present] of repositories) {
      if (!catalog.has(name)) findings.push({ kind: 'unlisted', what: name });
      const listed = new Set(await this.namesIn(`repositories/${name}/_tags.json`));
      for (const tag of present) {
        tags += 1;
        if (!listed.has(tag)) findings.push({ kind: 'unlisted', what: `${name}:${tag}` });
        findings.push(...(await this.tag(name, tag)).findings);
      }
    }
    return { tags, findings };
  }

  #urlOf(key: string): URL {
    const path = (this.#address.prefix + key).split('/').map(encodeURIComponent).join('/');
    return new URL(`${this.#address.endpoint}/${this.#address.bucket}/${path}`);
  }

  async #ask(url: URL): Promise<Response> {
    const answer = await this.#client.fetch(url.href);
    if (answer.ok || answer.status === 404) return answer;
    throw new Error(`${url.pathname}: ${String(answer.status)} ${await answer.text()}`);
  }
}

/** The sha256 of some bytes, as a digest. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/**
 * What a manifest's digest is of: its bytes, or the payload of a signed schema 1 (distribution's "Schema 1", "Signed
 * Manifests").
 */
export function payloadOf(bytes: Buffer, value = JSON.parse(bytes.toString()) as ManifestJson): Buffer {
  const [signature] = value.signatures ?? [];
  if (signature === undefined) return bytes;
  const { formatLength, formatTail } = JSON.parse(Buffer.from(signature.protected, 'base64url').toString()) as {
    readonly formatLength: number;
    readonly formatTail: string;
  };
  return Buffer.concat([bytes.subarray(0, formatLength), Buffer.from(formatTail, 'base64url')]);
}

function unescape(text: string): string {
  return text.replace(/&(quot|apos|lt|gt|amp|#\d+|#x[0-9a-f]+);/gi, (_, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)));
    return { quot: '"', apos: "'", lt: '<', gt: '>', amp: '&' }[name.toLowerCase()] ?? '';
  });
}
