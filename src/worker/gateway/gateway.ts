/**
 * The gateway: parses the client's request, checks access, sends the request to the registry, and applies what is
 * specific to this client. Conditions (`If-None-Match`) and ranges are evaluated here, after negotiation.
 */
import { parseAccept } from '../../http/accept.ts';
import { allowsMatch, allowsRange, isNamed } from '../../http/conditions.ts';
import { parseRanges, type RequestedRange } from '../../http/range.ts';
import { readAll, WHOLE_UP_TO } from '../../bucket/read-object.ts';
import { reasonRow } from '../../registry/errors.ts';
import { isOldEngine } from '../../manifest/negotiate.ts';
import type { Resource } from '../access/decision.ts';
import type { Grant } from '../access/guard.ts';
import { readExplanation, v1Explanation } from '../endpoints/v1-images.ts';
import { redirectBlob } from '../endpoints/v2/blob-redirect.ts';
import { addClosingFields } from '../log/report.ts';
import { noteResponse } from '../log/trace.ts';
import { redirectsBlobs } from '../storage/blob-location.ts';
import type { HeaderFields, Refused } from './answer.ts';
import {
  clientAddress,
  discardBody,
  type EdgeContext,
  type EdgeHandler,
  notModified,
  publicOrigin,
  refuseTo,
  registryProps,
  withAccess,
} from './edge-context.ts';
import { inNamespace, namespaceOf, onDockerHub } from './namespace.ts';
import type { RequestTarget } from './parse-request.ts';
import type { RegistryRequest } from './registry-request.ts';

/** The handler of an endpoint that is answered from storage. `parse` makes the registry request from path and query. */
export function handle(parse: (target: RequestTarget) => RegistryRequest | Refused): EdgeHandler {
  return async (c) => {
    const target = requestTargetOf(c);
    const { origins } = c.env.config;
    const parsed = parse(target);
    const request = inNamespace(parsed, target, origins);
    if (request.kind === 'refused') return refuseTo(c, request);
    let response = await answerTo(c, request);
    if (c.env.trace.reason === 'name-unknown') {
      const mirrored = onDockerHub(request, origins);
      if (mirrored !== null) response = await answerTo(c, mirrored);
    }
    const ns = namespaceOf(parsed, target, origins);
    if (ns !== null) response.headers.set('oci-namespace', ns);
    return response;
  };
}

/** Answers a request to the registry, within what the caller may access. */
function answerTo(c: EdgeContext, request: RegistryRequest): Promise<Response> {
  c.env.trace.target = request;
  delete c.env.trace.reason;
  return withAccess(c, resourceOf(request), (grant) => answer(c, request, grant));
}

async function answer(c: EdgeContext, request: RegistryRequest, grant: Grant): Promise<Response> {
  const { raw } = c.req;
  if (request.kind === 'blob' && !grant.hidden && redirectsBlobs(c.env.config.delivery, grant.realm))
    return redirectBlob(c, request, grant);
  const condition = raw.headers.get('if-none-match');
  const known = knownEntityTag(request);
  const ifMatch = raw.headers.get('if-match');
  const isDecided = known !== null && (isNamed(condition, known) || !allowsMatch(ifMatch, known));
  const head = raw.method === 'HEAD' || isDecided;
  const ranges = request.kind === 'blob' && !head && known !== null ? rangesOf(raw.headers, known) : null;
  const isNegotiated = request.kind === 'manifest';
  const { config, registry, trace } = c.env;
  // HEAD, and a request whose condition already holds, open no body: see `endpoints/v2`.
  const response = await registry.fetch(
    request,
    {
      head,
      accept: isNegotiated ? parseAccept(raw.headers.get('accept')) : null,
      userAgent: isNegotiated || request.kind === 'v1-images' ? raw.headers.get('user-agent') : null,
      ranges,
      client: clientAddress(c),
    },
    registryProps(config, request, grant),
  );
  noteResponse(trace, response);
  const { status, headers } = response;
  if (response.refusal !== null) return refusal(c, request, response.refusal, headers);
  // `If-Match` comes first (RFC 9110, section 13.2.2).
  if (headers.etag !== undefined && !allowsMatch(ifMatch, headers.etag)) {
    discardBody(response);
    return refuseTo(c, { kind: 'refused', reason: 'precondition-failed' });
  }
  if (headers.etag !== undefined && isNamed(condition, headers.etag)) return notModified(response);
  const body = head
    ? null
    : request.kind === 'manifest' && response.body instanceof ReadableStream && isShort(headers)
      ? await readWhole(response.body, headers)
      : response.body;
  const sent = new Response(body, { status, headers: addClosingFields(headers, trace, config) });
  trace.bytes = body === null ? 0 : Number(headers['content-length'] ?? 0);
  return sent;
}

function rangesOf(headers: Headers, etag: string): readonly RequestedRange[] | null {
  const ranges = parseRanges(headers.get('range'));
  return ranges !== null && allowsRange(headers.get('if-range'), etag) ? ranges : null;
}

/** The entity tag, where the digest of the request gives it before anything is read. */
function knownEntityTag(request: RegistryRequest): string | null {
  if (request.kind === 'blob') return `"${request.digest}"`;
  return request.kind === 'manifest' && request.reference.kind === 'digest' ? `"${request.reference.digest}"` : null;
}

function refusal(c: EdgeContext, request: RegistryRequest, reason: Refused, headers: HeaderFields): Response {
  if (request.kind === 'v1-images') {
    const found = readExplanation(reason.detail);
    if (found !== null) return v1Explanation(request.name, found, publicOrigin(c), headers);
    // Engines print any body as it is; other clients read JSON.
    if (reasonRow(reason.reason).status === 503 && isOldEngine(c.req.raw.headers.get('user-agent')))
      return v1Explanation(request.name, { tag: null, reason: reason.reason }, publicOrigin(c), headers, 503);
  }
  return refuseTo(
    c,
    {
      kind: 'refused',
      reason: reason.reason,
      ...(reason.message !== undefined && { message: reason.message }),
      ...(reason.detail && { detail: reason.detail }),
    },
    headers,
  );
}

function isShort(headers: HeaderFields): boolean {
  return Number(headers['content-length'] ?? 0) <= WHOLE_UP_TO;
}

/**
 * Reads a short manifest that came as a stream, and sets its exact length: clients do not accept a manifest without
 * one. Other bodies are passed on unchanged, because streams from the bucket and from the registry entrypoint have a
 * known length, and fail if they end early. (A second FixedLengthStream would block: workerd does not pass bytes from
 * one to the next.) Throws {@link StorageError} if the manifest is shorter than its length.
 */
async function readWhole(body: ReadableStream<Uint8Array>, headers: HeaderFields): Promise<Uint8Array> {
  const length = headers['content-length'];
  const bytes = await readAll(body, length === undefined ? undefined : Number(length));
  headers['content-length'] = String(bytes.length);
  return bytes;
}

function resourceOf(request: RegistryRequest): Resource {
  return 'name' in request ? { kind: 'repository', name: request.name } : { kind: 'listing' };
}

function requestTargetOf({ req }: EdgeContext): RequestTarget {
  return { parameter: (name) => req.param(name) ?? '', query: () => new URL(req.url).searchParams };
}
