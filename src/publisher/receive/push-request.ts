/** A request to the push endpoint: what its handlers get, and how they answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { parseRepositoryName, type RepositoryName, type Tag } from '../../registry/name.ts';
import type { RealmTable } from '../../registry/realms.ts';
import { parseReference, type Reference } from '../../registry/reference.ts';
import type { WriteStore } from '../../registry/store.ts';
import type { PublishResult } from '../publish/request.ts';
import type { ImageSource } from '../../bucket/image-source.ts';
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

/** Whether a text is a valid tag or digest. */
export function isReference(text: string): boolean {
  const { kind } = parseReference(text);
  return kind === 'tag' || kind === 'digest';
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
