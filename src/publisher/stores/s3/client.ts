/**
 * Sends signed requests to an S3 server, each once: the store retries. Over Node's `http`; `https` is loaded where the
 * address needs it. No header is sent that R2 does not document ("S3 API compatibility").
 */
import { createHash } from 'node:crypto';
import {
  Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
} from 'node:http';
import type { Readable } from 'node:stream';
import { S3Error } from './error.ts';
import {
  EMPTY_SHA256,
  encodeQuery,
  encodeRfc3986,
  presignedUrl,
  signedHeaders,
  type SigningKeys,
} from './signature.ts';
import { parseXml, textOf, type XmlElement } from './xml.ts';

/** Where a server is and how requests to it are signed. */
export interface S3ClientOptions {
  /** Undefined: Amazon S3. Otherwise the bucket is the first part of the path. */
  readonly endpoint?: string | undefined;
  readonly region: string;
  /** A function is called for each request, and remembers keys by itself. */
  readonly keys: SigningKeys | (() => Promise<SigningKeys>);
  /** A server that sends nothing for so many milliseconds is given up. */
  readonly silentMs?: number;
}

/** A request. */
export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly bucket?: string;
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Names in lower case; undefined ones are left out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: Uint8Array | Readable | undefined;
  /** The length of a stream in bytes. */
  readonly size?: number;
  /** What is signed for the body: its hex sha256, or `UNSIGNED-PAYLOAD`. Computed for bytes. */
  readonly payloadHash?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An answer with a status of success. Its body must be read or destroyed. */
export interface S3Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
}

/** Most servers close an idle connection after five seconds or more, in milliseconds. */
const IDLE_MS = 4_000;
const CONNECT_MS = 10_000;
const SILENT_MS = 60_000;
/** Connections at once. */
const SOCKETS = 50;
/** The longest XML that is read, in characters: a page of 1,000 keys of 1,024 bytes, each escaped, has less. */
const XML_MAX = 8 * 2 ** 20;
/** S3 refuses a request whose date is further off than 15 minutes; this is well before, in milliseconds. */
const SKEW_MS = 5 * 60_000;

/** A client. Errors of the server are {@link S3Error}; others are those of Node. */
export class S3Client {
  readonly #endpoint: string | undefined;
  readonly #region: string;
  readonly #keys: () => Promise<SigningKeys>;
  readonly #silentMs: number;
  #transport: Promise<{ readonly agent: Agent; readonly send: typeof httpRequest }> | undefined;
  /** How far the server's clock is ahead, in milliseconds. */
  #skew = 0;
  #isClosed = false;

  constructor({ endpoint, region, keys, silentMs = SILENT_MS }: S3ClientOptions) {
    this.#endpoint = endpoint?.replace(/\/+$/, '');
    this.#region = region;
    this.#keys = typeof keys === 'function' ? keys : () => Promise.resolve(keys);
    this.#silentMs = silentMs;
  }

  /** Sends a request. Throws {@link S3Error} unless the status is one of success. */
  async send(request: S3Request): Promise<S3Answer> {
    const { method, body, signal, payloadHash = hashOf(body) } = request;
    const keys = await this.#keys();
    signal?.throwIfAborted();
    const url = this.#urlOf(request);
    const length = body === undefined ? undefined : body instanceof Uint8Array ? body.length : request.size;
    const isWrite = method === 'PUT' || method === 'POST';
    const headers = {
      ...defined(request.headers),
      ...((isWrite || length !== undefined) && { 'content-length': String(length ?? 0) }),
      'user-agent': 'gantry-registry',
    };
    const date = new Date(Date.now() + this.#skew);
    const signed = signedHeaders({ method, url, headers, payloadHash }, { keys, region: this.#region, date });
    const answer = await this.#exchange(url, { ...request, headers: signed });
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return { status, headers: answer.headers, body: answer };
    const text = method === 'HEAD' ? '' : await readText(answer).catch(() => '');
    if (method === 'HEAD') answer.resume();
    throw this.#errorOf(answer, text);
  }

  /** Sends a request and reads its answer. The root element must be `root`; null: the answer is something else. */
  async sendForXml(
    request: S3Request,
    root: string,
  ): Promise<{ readonly xml: XmlElement | null; readonly status: number }> {
    const { status, headers, body } = await this.send(request);
    const xml = parseXml(await readText(body));
    // S3 sends the head of the answer before the work is done (CompleteMultipartUpload, "Important").
    if (xml?.name === 'Error') throw errorIn(xml, { status: 503, headers });
    return { xml: xml?.name === root ? xml : null, status };
  }

  /** Sends a request that is signed in its address and holds for some seconds from a date on. */
  async sendPresigned(
    request: Pick<S3Request, 'method' | 'bucket' | 'key' | 'signal'>,
    { from, seconds }: { readonly from: Date; readonly seconds: number },
  ): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string }> {
    const keys = await this.#keys();
    const unsigned = { method: request.method, url: this.#urlOf(request) };
    const url = presignedUrl(unsigned, { keys, region: this.#region, date: from }, seconds);
    const answer = await this.#exchange(url, { ...request, headers: { 'user-agent': 'gantry-registry' } });
    return { status: answer.statusCode ?? 0, headers: answer.headers, text: await readText(answer) };
  }

  /** Closes all connections. */
  destroy(): void {
    this.#isClosed = true;
    void this.#transport?.then(({ agent }) => {
      agent.destroy();
    });
  }

  #urlOf({ bucket, key, query }: Pick<S3Request, 'bucket' | 'key' | 'query'>): URL {
    const path = [bucket, ...(key?.split('/') ?? [])].filter((part) => part !== undefined).map(encodeRfc3986);
    let base = this.#endpoint;
    if (base === undefined) {
      const host = `s3.${this.#region}.amazonaws.com${this.#region.startsWith('cn-') ? '.cn' : ''}`;
      // Buckets with dots in their names do not match the certificate.
      const isHost = bucket !== undefined && !bucket.includes('.');
      if (isHost) path.shift();
      base = `https://${isHost ? `${bucket}.` : ''}${host}`;
    }
    return new URL(`${base}/${path.join('/')}${query === undefined ? '' : `?${encodeQuery(query)}`}`);
  }

  async #exchange(
    url: URL,
    {
      method,
      body,
      signal,
      headers,
    }: Pick<S3Request, 'method' | 'body' | 'signal'> & {
      readonly headers: Readonly<Record<string, string>>;
    },
  ): Promise<IncomingMessage> {
    this.#transport ??= transportFor(url.protocol);
    const { agent, send } = await this.#transport;
    if (this.#isClosed) throw Object.assign(new Error('the client is closed'), { code: 'ECONNABORTED' });
    return new Promise((resolve, reject) => {
      const sent = send(url, { method, headers, agent, signal });
      limitWaits(sent, url.protocol, this.#silentMs);
      sent.on('response', resolve);
      // After the answer, errors reach the reader of its body.
      sent.on('error', reject);
      if (body === undefined || body instanceof Uint8Array) sent.end(body);
      else body.pipe(sent);
    });
  }

  /** The error in an answer. Adopts the server's clock if the request was refused for its date. */
  #errorOf(answer: IncomingMessage, text: string): S3Error {
    const { statusCode: status = 0, headers } = answer;
    const xml = parseXml(text);
    const error = errorIn(xml?.name === 'Error' ? xml : null, { status, headers });
    const ahead = Date.parse(headers.date ?? '') - Date.now();
    const isRefused = error.code === 'RequestTimeTooSkewed' || (error.code === undefined && status === 403);
    if (!isRefused || Number.isNaN(ahead) || Math.abs(ahead - this.#skew) < SKEW_MS) return error;
    this.#skew = ahead;
    return new S3Error(
      `the clock of this machine is ${String(Math.round(Math.abs(ahead) / 60_000))} minutes ` +
        `${ahead > 0 ? 'behind' : 'ahead of'} that of storage`,
      { status, code: 'RequestTimeTooSkewed', headers },
    );
  }
}

function errorIn(xml: XmlElement | null, { status, headers }: Pick<S3Error, 'status' | 'headers'>): S3Error {
  const code = xml === null ? undefined : textOf(xml, 'Code');
  const region = xml === null ? undefined : (textOf(xml, 'Region') ?? headers['x-amz-bucket-region']);
  const message = xml === null ? undefined : textOf(xml, 'Message');
  const hint = status === 301 && region !== undefined ? `; the region of the bucket is ${String(region)}` : '';
  return new S3Error(`${message ?? code ?? `status ${String(status)}`}${hint}`, { status, code, headers });
}

/** Ends a request that gets no connection, or whose server is silent. */
function limitWaits(request: ClientRequest, protocol: string, silentMs: number): void {
  const giveUp = (what: string): void => {
    request.destroy(Object.assign(new Error(what), { code: 'ETIMEDOUT' }));
  };
  request.on('socket', (socket) => {
    request.setTimeout(silentMs, () => {
      giveUp(`no data within ${String(silentMs)} ms`);
    });
    if (!socket.connecting) return;
    const limit = Math.min(CONNECT_MS, silentMs);
    const timer = setTimeout(giveUp, limit, `no connection within ${String(limit)} ms`);
    const made = (): void => {
      clearTimeout(timer);
    };
    socket.once(protocol === 'https:' ? 'secureConnect' : 'connect', made).once('close', made);
  });
}

async function transportFor(protocol: string): Promise<{ readonly agent: Agent; readonly send: typeof httpRequest }> {
  const options = { keepAlive: true, maxSockets: SOCKETS, timeout: IDLE_MS };
  if (protocol !== 'https:') return { agent: new Agent(options), send: httpRequest };
  const https = await import('node:https');
  return { agent: new https.Agent(options), send: https.request };
}

function hashOf(body: S3Request['body']): string {
  if (body === undefined) return EMPTY_SHA256;
  if (body instanceof Uint8Array) return createHash('sha256').update(body).digest('hex');
  throw new TypeError('the hash of a stream must be given');
}

async function readText(body: IncomingMessage): Promise<string> {
  let text = '';
  body.setEncoding('utf8');
  for await (const chunk of body) {
    text += String(chunk);
    if (text.length > XML_MAX) throw new Error('the answer is too long');
  }
  return text;
}

function defined(headers: S3Request['headers'] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter((pair): pair is [string, string] => pair[1] !== undefined));
}
