/**
 * Reports of answered requests: to the log, to the client (`Server-Timing`), and to Analytics Engine. They contain
 * neither credentials nor queries.
 */
import { clientFamily } from './client-family.ts';
import type { Config, PullSink } from '../config.ts';
import type { HeaderFields } from '../gateway/answer.ts';
import { API_VERSION } from '../gateway/registry-response.ts';
import type { RegistryRequest } from '../gateway/registry-request.ts';
import { dataPointOf, isPull } from '../../statistics/pull-event.ts';
import type { Trace } from './trace.ts';
import { logFailure } from './event.ts';

/** Maximum length of a logged path of an unknown endpoint, in characters. */
const PATH_MAX_LENGTH = 256;

/** A year, for the host alone: other hosts of the domain are not ours (RFC 6797, section 6.1). */
const HSTS = 'max-age=31536000';

/** Adds the headers that each response gets last, when its reads and times are known. */
export function addClosingFields(
  headers: HeaderFields,
  trace: Trace,
  { publicUrl }: Pick<Config, 'publicUrl'>,
): HeaderFields {
  headers['docker-distribution-api-version'] = API_VERSION;
  headers['x-request-id'] = trace.id;
  // Browsers must not take a blob or an error body, which contain others' text, for a page.
  headers['x-content-type-options'] = 'nosniff';
  if (publicUrl?.startsWith('https:') === true) headers['strict-transport-security'] = HSTS;
  if (trace.concealsReads !== true || trace.reason === undefined)
    headers['server-timing'] = serverTiming(trace, Date.now() - trace.begun);
  return headers;
}

/** Reports a response. */
export function report(
  request: Request,
  status: number,
  trace: Trace,
  { log, pulls }: Pick<Config, 'log' | 'pulls'>,
  ctx: Pick<ExecutionContext, 'waitUntil'>,
): void {
  const isLogged = log === 'all' || status >= 500;
  if (isLogged) console.log(JSON.stringify(logLine(request, status, trace, Date.now() - trace.begun)));
  if (pulls !== null) countPull(request, status, trace, pulls, ctx);
}

/** Writes the data point of a pull, which costs no read and no write of R2. A failure does not reach the client. */
function countPull(
  { method, headers }: Request,
  status: number,
  { target, form, reason }: Trace,
  pulls: PullSink,
  ctx: Pick<ExecutionContext, 'waitUntil'>,
): void {
  if (target?.kind !== 'manifest' || target.reference.kind !== 'tag') return;
  const userAgent = headers.get('user-agent');
  if (!isPull({ method, status, userAgent, reason })) return;
  const event = {
    name: target.name,
    tag: target.reference.tag,
    form: status === 200 ? (form ?? '') : '',
    client: clientFamily(userAgent),
    reason: reason ?? '',
  };
  try {
    const written = pulls.writeDataPoint(dataPointOf(event));
    // The platform's method returns nothing. Locally it is a call of another Worker, which the response must not end.
    if (written !== undefined) ctx.waitUntil(Promise.resolve(written).catch(reportLostEvent));
  } catch (error) {
    reportLostEvent(error);
  }
}

function reportLostEvent(error: unknown): void {
  logFailure('pull-not-counted', {}, error);
}

/**
 * The log line of a request. `bytes` is the announced length of the body; whether all of it arrived is unknown here.
 */
export function logLine(request: Request, status: number, trace: Trace, ms: number): Readonly<Record<string, unknown>> {
  const { id, target, reason, form, cache, heads, gets, bytes } = trace;
  return {
    event: 'request',
    id,
    method: request.method,
    ...(target === undefined ? { path: new URL(request.url).pathname.slice(0, PATH_MAX_LENGTH) } : subjectOf(target)),
    status,
    reason,
    form,
    client: clientFamily(request.headers.get('user-agent')),
    cache,
    r2: { head: heads, get: gets },
    bytes,
    ms,
  };
}

function subjectOf(target: RegistryRequest): Readonly<Record<string, unknown>> {
  const { kind } = target;
  switch (target.kind) {
    case 'catalog':
    case 'flatpak-index':
      return { kind };
    case 'manifest':
      return {
        kind,
        name: target.name,
        ...(target.reference.kind === 'tag' ? { tag: target.reference.tag } : { digest: target.reference.digest }),
      };
    case 'blob':
    case 'blob-presence':
      return { kind, name: target.name, digest: target.digest };
    case 'referrers':
    case 'signatures':
      return { kind, name: target.name, digest: target.subject };
    default:
      return { kind, name: target.name };
  }
}

function serverTiming({ cache, heads, gets, storageTime }: Trace, ms: number): string {
  const ofCache = cache === undefined ? '' : `cache;desc="${cache}", `;
  const ofStorage =
    heads + gets === 0 ? '' : `r2;desc="${String(heads)} head, ${String(gets)} get";dur=${String(storageTime)}, `;
  return `${ofCache}${ofStorage}total;dur=${String(ms)}`;
}
