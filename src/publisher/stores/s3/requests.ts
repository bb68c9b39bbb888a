/** The requests of S3 that publishers make (Amazon S3 API reference), and what their answers say. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { ForeignAnswerError } from '../foreign-answers.ts';
import type { S3Client, S3Request } from './client.ts';
import { childrenOf, escapeXml, textOf, type XmlElement } from './xml.ts';

/** A bucket and a key in it. */
export interface ObjectPlace {
  readonly bucket: string;
  readonly key: string;
}

/** The head of an object. */
export interface ObjectHead {
  /** Without quotes. */
  readonly etag: string;
  /** Bytes of the body that is answered. */
  readonly length: number;
  /** `Content-Range`, if a range was requested. */
  readonly contentRange: string | undefined;
  readonly contentType: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly modified: Date;
  /** Whether the ETag of an object from one PUT is the MD5 of its bytes. */
  readonly isPlain: boolean;
}

/** An object and its body, which must be read or destroyed. */
export interface ObjectAnswer extends ObjectHead {
  readonly body: IncomingMessage;
}

/** HeadObject. */
export async function headObject(client: S3Client, place: ObjectPlace): Promise<ObjectHead> {
  const { status, headers, body } = await client.send({ method: 'HEAD', ...place });
  body.resume();
  return headOf(headers, status);
}

/** GetObject. */
export async function getObject(
  client: S3Client,
  {
    bucket,
    key,
    range,
    ifMatch,
    signal,
  }: ObjectPlace & {
    readonly range?: string | undefined;
    /** An ETag with quotes. */
    readonly ifMatch?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<ObjectAnswer> {
  const { status, headers, body } = await client.send({
    method: 'GET',
    bucket,
    key,
    headers: { range, 'if-match': ifMatch },
    signal,
  });
  try {
    return { ...headOf(headers, status), body };
  } catch (error) {
    // The body of such an answer would keep its connection.
    body.destroy();
    throw error;
  }
}

/** How an object is written. */
export interface ObjectWriting {
  readonly contentType: string;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** A body and how it is sent. */
export interface BodyRequest extends ObjectPlace {
  readonly body: Uint8Array | Readable;
  readonly size: number;
  readonly payloadHash: string;
  readonly signal?: AbortSignal | undefined;
}

/** PutObject. Returns the ETag. */
export async function putObject(
  client: S3Client,
  {
    contentType,
    metadata,
    conditions = {},
    ...request
  }: BodyRequest &
    ObjectWriting & { readonly conditions?: { readonly 'if-match'?: string; readonly 'if-none-match'?: string } },
): Promise<string> {
  return sendBody(client, { ...request, headers: { ...writingHeaders({ contentType, metadata }), ...conditions } });
}

/** DeleteObjects. Returns the failures. */
export async function deleteObjects(
  client: S3Client,
  bucket: string,
  keys: readonly string[],
): Promise<readonly { readonly key: string; readonly code: string; readonly message: string }[]> {
  const objects = keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`);
  const body = xmlBody(`<Delete xmlns="${XMLNS}">${objects.join('')}</Delete>`);
  const xml = await xmlOf(
    client,
    {
      method: 'POST',
      bucket,
      query: { delete: '' },
      // S3 requires Content-MD5 (RFC 1864) or a newer checksum, and R2 and many other servers document only this one.
      headers: { ...XML_TYPE, 'content-md5': createHash('md5').update(body).digest('base64') },
      body,
    },
    'DeleteResult',
  );
  const errors = childrenOf(xml, 'Error');
  // Each key is reported, whether it was there or not.
  if (childrenOf(xml, 'Deleted').length + errors.length < keys.length)
    throw new ForeignAnswerError('it does not report each deletion', 200);
  return errors.map((error) => ({
    key: textOf(error, 'Key') ?? '',
    code: textOf(error, 'Code') ?? '',
    message: textOf(error, 'Message') ?? '',
  }));
}

/** A page of keys. */
export interface ObjectPage {
  readonly objects: readonly {
    readonly key: string;
    readonly size: number;
    readonly etag: string;
    readonly modified: Date;
  }[];
  /** For the next page; undefined: there is none. */
  readonly token: string | undefined;
}

/** ListObjectsV2. */
export async function listObjects(
  client: S3Client,
  {
    bucket,
    prefix,
    startAfter,
    token,
    most,
    signal,
  }: {
    readonly bucket: string;
    readonly prefix: string;
    readonly startAfter?: string | undefined;
    readonly token?: string | undefined;
    readonly most?: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<ObjectPage> {
  const query = {
    'list-type': '2',
    ...(prefix !== '' && { prefix }),
    ...(startAfter !== undefined && { 'start-after': startAfter }),
    ...(token !== undefined && { 'continuation-token': token }),
    ...(most !== undefined && { 'max-keys': String(most) }),
  };
  const xml = await xmlOf(client, { method: 'GET', bucket, query, signal }, 'ListBucketResult');
  return {
    objects: childrenOf(xml, 'Contents').map((one) => ({
      key: textOf(one, 'Key') ?? '',
      size: Number(textOf(one, 'Size') ?? 0),
      etag: unquoted(textOf(one, 'ETag')),
      modified: new Date(textOf(one, 'LastModified') ?? 0),
    })),
    token: required(xml, 'IsTruncated') === 'true' ? textOf(xml, 'NextContinuationToken') : undefined,
  };
}

/** ListBuckets: their names. */
export async function listBuckets(client: S3Client): Promise<readonly string[]> {
  const xml = await xmlOf(client, { method: 'GET' }, 'ListAllMyBucketsResult');
  return childrenOf(xml, 'Buckets').flatMap((buckets) =>
    childrenOf(buckets, 'Bucket').flatMap((bucket) => textOf(bucket, 'Name') ?? []),
  );
}

/** CreateMultipartUpload. Returns the ID of the upload. */
export async function createUpload(
  client: S3Client,
  { bucket, key, ...writing }: ObjectPlace & ObjectWriting,
): Promise<string> {
  const request: S3Request = {
    method: 'POST',
    bucket,
    key,
    query: { uploads: '' },
    headers: writingHeaders(writing),
  };
  return required(await xmlOf(client, request, 'InitiateMultipartUploadResult'), 'UploadId');
}

/** UploadPart. Returns the ETag. */
export function uploadPart(
  client: S3Client,
  { uploadId, number, ...request }: BodyRequest & { readonly uploadId: string; readonly number: number },
): Promise<string> {
  return sendBody(client, { ...request, query: { partNumber: String(number), uploadId } });
}

/** CompleteMultipartUpload. Returns the ETag of the object. */
export async function completeUpload(
  client: S3Client,
  {
    bucket,
    key,
    uploadId,
    parts,
  }: ObjectPlace & {
    readonly uploadId: string;
    readonly parts: readonly { readonly number: number; readonly etag: string }[];
  },
): Promise<string> {
  const rows = parts.map(
    ({ number, etag }) => `<Part><PartNumber>${String(number)}</PartNumber><ETag>"${escapeXml(etag)}"</ETag></Part>`,
  );
  const body = xmlBody(`<CompleteMultipartUpload xmlns="${XMLNS}">${rows.join('')}</CompleteMultipartUpload>`);
  const request: S3Request = { method: 'POST', bucket, key, query: { uploadId }, headers: XML_TYPE, body };
  return unquoted(required(await xmlOf(client, request, 'CompleteMultipartUploadResult'), 'ETag'));
}

/** AbortMultipartUpload. */
export async function abortUpload(
  client: S3Client,
  { bucket, key, uploadId }: ObjectPlace & { readonly uploadId: string },
): Promise<void> {
  (await client.send({ method: 'DELETE', bucket, key, query: { uploadId } })).body.resume();
}

/** ListMultipartUploads whose key begins with `key`: the first page. */
export async function listUploads(
  client: S3Client,
  { bucket, key }: ObjectPlace,
): Promise<readonly { readonly key: string; readonly uploadId: string; readonly initiated: Date }[]> {
  const request: S3Request = { method: 'GET', bucket, query: { uploads: '', prefix: key } };
  const xml = await xmlOf(client, request, 'ListMultipartUploadsResult');
  required(xml, 'IsTruncated');
  return childrenOf(xml, 'Upload').map((upload) => ({
    key: textOf(upload, 'Key') ?? '',
    uploadId: textOf(upload, 'UploadId') ?? '',
    initiated: new Date(textOf(upload, 'Initiated') ?? 0),
  }));
}

/** ListParts: a page. `next`: the marker of the next page. */
export async function listParts(
  client: S3Client,
  { bucket, key, uploadId, marker }: ObjectPlace & { readonly uploadId: string; readonly marker?: string | undefined },
): Promise<{
  readonly parts: readonly { readonly number: number; readonly size: number; readonly etag: string }[];
  readonly next: string | undefined;
}> {
  const query = { uploadId, ...(marker !== undefined && { 'part-number-marker': marker }) };
  const xml = await xmlOf(client, { method: 'GET', bucket, key, query }, 'ListPartsResult');
  return {
    parts: childrenOf(xml, 'Part').map((part) => ({
      number: Number(required(part, 'PartNumber')),
      size: Number(required(part, 'Size')),
      etag: unquoted(required(part, 'ETag')),
    })),
    next: required(xml, 'IsTruncated') === 'true' ? textOf(xml, 'NextPartNumberMarker') : undefined,
  };
}

const XMLNS = 'http://s3.amazonaws.com/doc/2006-03-01/';
const XML_TYPE = { 'content-type': 'application/xml' } as const;

function xmlBody(text: string): Buffer {
  return Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>${text}`);
}

/** An ETag without quotes and `W/`; empty if there is none. */
function unquoted(etag: string | undefined): string {
  return etag?.replace(/^W\//, '').replaceAll('"', '') ?? '';
}

function writingHeaders({ contentType, metadata = {} }: ObjectWriting): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': contentType };
  for (const [name, value] of Object.entries(metadata)) headers[`x-amz-meta-${name.toLowerCase()}`] = value;
  return headers;
}

async function sendBody(
  client: S3Client,
  request: BodyRequest & Pick<S3Request, 'headers' | 'query'>,
): Promise<string> {
  const { status, headers, body } = await client.send({ method: 'PUT', ...request });
  body.resume();
  if (headers.etag === undefined) throw new ForeignAnswerError('it has no ETag', status);
  return unquoted(headers.etag);
}

async function xmlOf(client: S3Client, request: S3Request, root: string): Promise<XmlElement> {
  const { xml, status } = await client.sendForXml(request, root);
  if (xml === null) throw new ForeignAnswerError(`it has no ${root}`, status);
  return xml;
}

/** What an answer of S3 has at least (Amazon S3 API reference, "Response Syntax" of each action). */
function required(xml: XmlElement, name: string): string {
  const text = textOf(xml, name);
  if (text === undefined) throw new ForeignAnswerError(`it has no ${name}`, 200);
  return text;
}

function headOf(headers: IncomingHttpHeaders, status: number): ObjectHead {
  if (headers.etag === undefined) throw new ForeignAnswerError('it has no ETag', status);
  const encryption = headers['x-amz-server-side-encryption'];
  return {
    etag: unquoted(headers.etag),
    length: Number(headers['content-length'] ?? 0),
    contentRange: headers['content-range'],
    contentType: headers['content-type'],
    metadata: Object.fromEntries(
      Object.entries(headers)
        .filter(([name]) => name.startsWith('x-amz-meta-'))
        .map(([name, value]): [string, string] => [name.slice('x-amz-meta-'.length), String(value)]),
    ),
    modified: new Date(headers['last-modified'] ?? 0),
    isPlain:
      (encryption === undefined || encryption === 'AES256') &&
      headers['x-amz-server-side-encryption-customer-algorithm'] === undefined,
  };
}
