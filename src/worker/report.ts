/** What is told of a request once it is answered: to the log, to the client (`Server-Timing`), and to Analytics Engine. Credentials are in none of it, nor are queries. */
import { clientFamily } from './client-family.ts';
import type { Config } from './config.ts';
import type { Trace } from './trace.ts';

/** Longest path of an unknown endpoint that is logged, in characters. */
const PATH_MAX_LENGTH = 256;

/** Completes an answer's headers, in place, and tells of it. */
export function report(request: Request, response: Response, trace: Trace, { log, pulls }: Pick<Config, 'log' | 'pulls'>): void {
  const { status, headers } = response;
  const ms = Date.now() - trace.begun;
  headers.set('x-request-id', trace.id);
  headers.set('server-timing', serverTiming(trace, ms));
  if (log === 'all' || status >= 500) console.log(JSON.stringify(logLine(request, response, trace, ms)));
  const { question } = trace;
  if (pulls === null || question?.kind !== 'manifest' || status >= 500) return;
  const { name, reference } = question;
  const asked = reference.kind === 'tag' ? reference.tag : reference.digest;
  pulls.writeDataPoint({
    indexes: [name.slice(0, 96)],
    blobs: [
      name,
      asked,
      trace.form ?? '',
      clientFamily(request.headers.get('user-agent')),
      request.method,
      String(status),
      trace.reason ?? '',
      trace.cache ?? '',
    ],
    doubles: [bytesOf(request, response), ms, trace.heads + trace.gets],
  });
}

/** A log line: one request. Bytes are those that were promised; whether they arrived only the platform knows. */
export function logLine(request: Request, response: Response, trace: Trace, ms: number): Readonly<Record<string, unknown>> {
  const { id, question, reason, form, cache, heads, gets } = trace;
  return {
    event: 'request',
    id,
    method: request.method,
    ...(question === undefined ? { path: new URL(request.url).pathname.slice(0, PATH_MAX_LENGTH) } : subjectOf(question)),
    status: response.status,
    reason,
    form,
    client: clientFamily(request.headers.get('user-agent')),
    cache,
    r2: { head: heads, get: gets },
    bytes: bytesOf(request, response),
    ms,
  };
}

function subjectOf(question: NonNullable<Trace['question']>): Readonly<Record<string, unknown>> {
  const { kind } = question;
  switch (question.kind) {
    case 'catalog':
      return { kind };
    case 'manifest':
      return {
        kind,
        name: question.name,
        ...(question.reference.kind === 'tag' ? { tag: question.reference.tag } : { digest: question.reference.digest }),
      };
    case 'blob':
    case 'blob-presence':
      return { kind, name: question.name, digest: question.digest };
    case 'referrers':
      return { kind, name: question.name, digest: question.subject };
    default:
      return { kind, name: question.name };
  }
}

function bytesOf(request: Request, { body, headers }: Response): number {
  return request.method === 'HEAD' || body === null ? 0 : Number(headers.get('content-length') ?? 0);
}

function serverTiming({ cache, heads, gets, storageTime }: Trace, ms: number): string {
  const parts = [
    ...(cache === undefined ? [] : [`cache;desc="${cache}"`]),
    ...(heads + gets === 0 ? [] : [`r2;desc="${String(heads)} head, ${String(gets)} get";dur=${String(storageTime)}`]),
    `total;dur=${String(ms)}`,
  ];
  return parts.join(', ');
}
