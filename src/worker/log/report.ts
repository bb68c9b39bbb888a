/**
 * Reports of answered requests: to the log, to the client (`Server-Timing`), and to Analytics Engine. They contain
 * neither credentials nor queries.
 */
import { clientFamily } from './client-family.ts';
import type { Config } from '../config.ts';
import type { HeaderFields } from '../gateway/answer.ts';
import { API_VERSION } from '../gateway/registry-response.ts';
import type { RegistryRequest } from '../gateway/registry-request.ts';
import type { Trace } from './trace.ts';

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
): void {
  const isLogged = log === 'all' || status >= 500;
  const { target } = trace;
  const isCounted = pulls !== null && target?.kind === 'manifest' && status < 500;
  if (!isLogged && !isCounted) return;
  const ms = Date.now() - trace.begun;
  if (isLogged) console.log(JSON.stringify(logLine(request, status, trace, ms)));
  if (!isCounted) return;
  const { name, reference } = target;
  const manifest = reference.kind === 'tag' ? reference.tag : reference.digest;
  pulls.writeDataPoint({
    indexes: [name.slice(0, 96)],
    blobs: [
      name,
      manifest,
      trace.form ?? '',
      clientFamily(request.headers.get('user-agent')),
      request.method,
      String(status),
      trace.reason ?? '',
      trace.cache ?? '',
    ],
    doubles: [trace.bytes ?? 0, ms, trace.heads + trace.gets],
  });
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
