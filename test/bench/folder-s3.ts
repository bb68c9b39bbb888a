/**
 * A bucket behind the S3 API that keeps its objects in a folder, as docker-registry does: what the publisher can do
 * shows only with storage that is not slower than that. (R2's simulator takes one body at a time through SQLite.) A
 * program of its own; its argument is the folder, and it prints the port. It knows the requests that the publisher
 * makes, checks each body's sha256 as S3 does, and looks at no signature. What it has ends with it.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { finished, pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { freeNetworkBuffers } from '../../src/publisher/streams/network-buffers.ts';

interface Piece {
  readonly file: string;
  readonly size: number;
  readonly etag: string;
}

interface Stored {
  readonly pieces: readonly Piece[];
  readonly size: number;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly modified: Date;
}

interface Upload {
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: Map<number, Piece>;
}

const folder = process.argv[2] ?? '.';
const objects = new Map<string, Stored>();
const uploads = new Map<string, Upload>();

const server = createServer((question, answer) => {
  handle(question, answer).catch((error: unknown) => {
    if (!answer.headersSent) refuse(answer, 400, 'BadDigest', error instanceof Error ? error.message : String(error));
    else answer.destroy();
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${String((server.address() as AddressInfo).port)}\n`));

async function handle(question: IncomingMessage, answer: ServerResponse): Promise<void> {
  const url = new URL(question.url ?? '/', 'http://s3');
  const key = decodeURIComponent(url.pathname.split('/').slice(2).join('/'));
  const has = (name: string): boolean => url.searchParams.has(name);
  const upload = uploads.get(url.searchParams.get('uploadId') ?? '');
  switch (question.method) {
    case 'PUT':
      if (upload !== undefined) {
        const piece = await keep(question);
        upload.parts.set(Number(url.searchParams.get('partNumber')), piece);
        answer.writeHead(200, { etag: `"${piece.etag}"` }).end();
      } else await put(key, question, answer);
      return;
    case 'POST':
      if (has('delete')) {
        const deleted: string[] = [];
        for (const [, name = ''] of (await text(question)).matchAll(/<Key>([^<]*)<\/Key>/g)) {
          objects.delete(name);
          deleted.push(`<Deleted><Key>${name}</Key></Deleted>`);
        }
        xml(answer, `<DeleteResult>${deleted.join('')}</DeleteResult>`);
      } else if (has('uploads')) {
        const id = randomUUID();
        uploads.set(id, { key, headers: headersOf(question), parts: new Map() });
        question.resume();
        xml(
          answer,
          `<InitiateMultipartUploadResult><Key>${key}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
        );
      } else await complete(url.searchParams.get('uploadId') ?? '', await text(question), answer);
      return;
    case 'DELETE':
      uploads.delete(url.searchParams.get('uploadId') ?? '');
      answer.writeHead(204).end();
      return;
    case 'HEAD':
    case 'GET':
      if (has('uploads'))
        xml(answer, '<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>');
      else if (key === '') list(url.searchParams, answer);
      else await get(key, question, answer);
      return;
    default:
      refuse(answer, 501, 'NotImplemented');
  }
}

/** The longest body whose MD5 is computed, in bytes. */
const MD5_MAX = 2 ** 20;

/** Chunks of a body that wait for the file, at most. */
const MOST_WAITING = 16;

/** Writes a body to a file of its own while it is hashed. */
async function keep(question: IncomingMessage): Promise<Piece> {
  const file = join(folder, randomUUID());
  const hash = createHash('sha256');
  const md5 = createHash('md5');
  let size = 0;
  const writing = await open(file, 'wx');
  try {
    // What comes while one write is under way goes with the next.
    let batch: Buffer[] = [];
    let written = Promise.resolve();
    let queued = false;
    question.on('data', (chunk: Buffer) => {
      freeNetworkBuffers(chunk.length);
      hash.update(chunk);
      size += chunk.length;
      if (size <= MD5_MAX) md5.update(chunk);
      batch.push(chunk);
      if (batch.length > MOST_WAITING) question.pause();
      if (queued) return;
      queued = true;
      written = written.then(async () => {
        queued = false;
        const now = batch;
        batch = [];
        question.resume();
        await writing.writev(now);
      });
      // Told where it is waited for.
      written.catch(() => undefined);
    });
    await finished(question);
    await written;
  } finally {
    await writing.close();
  }
  const sha256 = hash.digest('hex');
  const told = question.headers['x-amz-content-sha256'];
  if (told !== 'UNSIGNED-PAYLOAD' && told !== sha256)
    throw new Error(`the body has the sha256 ${sha256}, not ${String(told)}`);
  // The ETag of an object that one PUT wrote is its MD5. Of a long body it is not computed: nobody compares it.
  return { file, size, etag: size <= MD5_MAX ? md5.digest('hex') : `${sha256.slice(0, 32)}-1` };
}

async function put(key: string, question: IncomingMessage, answer: ServerResponse): Promise<void> {
  const piece = await keep(question);
  const before = objects.get(key);
  const { 'if-match': wanted, 'if-none-match': unwanted } = question.headers;
  if ((unwanted === '*' && before !== undefined) || (wanted !== undefined && wanted !== `"${before?.etag ?? ''}"`)) {
    refuse(answer, 412, 'PreconditionFailed');
    return;
  }
  objects.set(key, {
    pieces: [piece],
    size: piece.size,
    etag: piece.etag,
    headers: headersOf(question),
    modified: new Date(),
  });
  answer.writeHead(200, { etag: `"${piece.etag}"` }).end();
}

function complete(id: string, body: string, answer: ServerResponse): Promise<void> {
  const upload = uploads.get(id);
  if (upload === undefined) {
    refuse(answer, 404, 'NoSuchUpload');
    return Promise.resolve();
  }
  const pieces = [...body.matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].flatMap(
    ([, number]) => upload.parts.get(Number(number)) ?? [],
  );
  const etag = `${createHash('md5')
    .update(pieces.map((piece) => piece.etag).join(''))
    .digest('hex')}-${String(pieces.length)}`;
  const size = pieces.reduce((sum, piece) => sum + piece.size, 0);
  objects.set(upload.key, { pieces, size, etag, headers: upload.headers, modified: new Date() });
  uploads.delete(id);
  xml(
    answer,
    `<CompleteMultipartUploadResult><Key>${upload.key}</Key><ETag>"${etag}"</ETag></CompleteMultipartUploadResult>`,
  );
  return Promise.resolve();
}

async function get(key: string, question: IncomingMessage, answer: ServerResponse): Promise<void> {
  const stored = objects.get(key);
  if (stored === undefined) {
    refuse(answer, 404, 'NoSuchKey');
    return;
  }
  const { size, etag, headers, modified, pieces } = stored;
  if ((question.headers['if-match'] ?? `"${etag}"`) !== `"${etag}"`) {
    refuse(answer, 412, 'PreconditionFailed');
    return;
  }
  const [, from = '0', to] = /^bytes=(\d+)-(\d*)$/.exec(question.headers.range ?? '') ?? [];
  const isPart = question.headers.range !== undefined;
  const start = Number(from);
  const end = Math.min(size, to === undefined || to === '' ? size : Number(to) + 1);
  answer.writeHead(isPart ? 206 : 200, {
    ...headers,
    etag: `"${etag}"`,
    'last-modified': modified.toUTCString(),
    'content-length': end - start,
    ...(isPart ? { 'content-range': `bytes ${String(start)}-${String(end - 1)}/${String(size)}` } : {}),
  });
  let at = 0;
  for (const piece of question.method === 'HEAD' ? [] : pieces) {
    const [first, last] = [Math.max(start - at, 0), Math.min(end - at, piece.size) - 1];
    if (first <= last)
      await pipeline(createReadStream(piece.file, { start: first, end: last }), answer, { end: false });
    at += piece.size;
  }
  answer.end();
}

function list(parameters: URLSearchParams, answer: ServerResponse): void {
  const most = Number(parameters.get('max-keys') ?? 1_000);
  const after = parameters.get('continuation-token') ?? parameters.get('start-after') ?? '';
  const keys = [...objects.keys()]
    .filter((key) => key.startsWith(parameters.get('prefix') ?? '') && key > after)
    .sort();
  const page = keys.slice(0, most);
  const rows = page.map((key) => {
    const stored = objects.get(key);
    return `<Contents><Key>${key}</Key><Size>${String(stored?.size)}</Size><ETag>"${String(stored?.etag)}"</ETag><LastModified>${String(stored?.modified.toISOString())}</LastModified></Contents>`;
  });
  const more = keys.length > page.length;
  const next = more ? `<NextContinuationToken>${page.at(-1) ?? ''}</NextContinuationToken>` : '';
  xml(answer, `<ListBucketResult><IsTruncated>${String(more)}</IsTruncated>${next}${rows.join('')}</ListBucketResult>`);
}

/** What comes back with the object as it was given. */
function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => name === 'content-type' || name.startsWith('x-amz-meta-'));
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}

function xml(answer: ServerResponse, body: string): void {
  const whole = `<?xml version="1.0" encoding="UTF-8"?>${body}`;
  answer.writeHead(200, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(whole) }).end(whole);
}

function refuse(answer: ServerResponse, status: number, code: string, message = code): void {
  answer
    .writeHead(status, { 'content-type': 'application/xml' })
    .end(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
}
