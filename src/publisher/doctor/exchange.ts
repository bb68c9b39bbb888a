/**
 * One HTTP exchange, exactly as given: without additional headers, redirects or decoding, all of which `fetch` would
 * add.
 */
import { type IncomingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

/** A request. Headers with several lines are arrays. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Only with POST. */
  readonly body?: string;
}

/** The answer, or the failure. */
export type Exchange =
  | {
      readonly kind: 'answer';
      readonly question: HttpRequest;
      readonly status: number;
      /** Names in lower case; of a header that came more than once, the lines joined by `, `. */
      readonly headers: Readonly<Record<string, string>>;
      /** As on the wire; at most {@link BODY_MAX} bytes. */
      readonly body: Uint8Array;
      /** The body ended before its `Content-Length`, or was longer than we read. */
      readonly cut: boolean;
    }
  | { readonly kind: 'failure'; readonly question: HttpRequest; readonly message: string };

/** An exchange that brought an answer. */
export type Answer = Extract<Exchange, { kind: 'answer' }>;

/** The longest body that is read, in bytes: manifests have at most 4 MiB, and a part of a layer is enough. */
export const BODY_MAX = 8 * 1024 * 1024;

/** The options of {@link sendRequest}. */
export interface ExchangeOptions {
  readonly timeoutMs: number;
  /** Accept any certificate. */
  readonly insecure: boolean;
}

/** Sends the request. Never rejects: a failure is a result too. */
export function sendRequest(question: HttpRequest, options: ExchangeOptions): Promise<Exchange> {
  return new Promise((resolve) => {
    const send = question.url.protocol === 'https:' ? requestHttps : requestHttp;
    const fail = (error: Error): void => resolve({ kind: 'failure', question, message: messageOf(error) });
    const request = send(
      question.url,
      {
        method: question.method,
        // Old engines do so. It also keeps the faults of one answer (e.g. a wrong length) out of the next.
        agent: false,
        headers: { ...mutable(question.headers), connection: 'close' },
        rejectUnauthorized: !options.insecure,
        timeout: options.timeoutMs,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        const done = (cut: boolean): void =>
          resolve({
            kind: 'answer',
            question,
            status: response.statusCode ?? 0,
            headers: flat(response.headers),
            body: new Uint8Array(Buffer.concat(chunks)),
            cut,
          });
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length > BODY_MAX) {
            response.destroy();
            done(true);
          }
        });
        response.on('end', () => done(false));
        response.on('error', () => done(true));
        response.on('aborted', () => done(true));
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer for ${String(options.timeoutMs / 1000)} s`)));
    request.on('error', fail);
    request.end(question.body);
  });
}

/** The message of a network error; an error of `node:net` for several addresses has no message of its own. */
export function messageOf(error: Error): string {
  if (error instanceof AggregateError)
    return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join('; ');
  return error.message;
}

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}

function mutable(headers: HttpRequest['headers']): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
  );
}
