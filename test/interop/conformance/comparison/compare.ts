/** Sends each request to both registries, by GET and by HEAD, and tells where the responses differ. */
import type { Endpoint } from '../run-suite.ts';
import type { Case } from './cases.ts';
import { contentDigest, describe, type Exchange, exchange } from './exchange.ts';

/** One field in which the two responses differ. `null`: the header is not there. */
export interface Difference {
  readonly request: Case;
  /** `response`: another status or another manifest. `body`, or the name of a header else. */
  readonly field: string;
  readonly peer: string | null;
  readonly gantry: string | null;
}

/** A response that contradicts itself: HEAD and GET, the length and the bytes, the digest and the bytes. */
export interface Contradiction {
  readonly request: Case;
  readonly endpoint: string;
  readonly text: string;
}

/** What came of all requests. */
export interface Comparison {
  readonly requests: number;
  readonly differences: readonly Difference[];
  readonly contradictions: readonly Contradiction[];
}

/** Headers that say nothing about the content: they are never equal, or belong to the connection. */
const IGNORED = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding', 'x-request-id', 'server-timing']);

/** Requests at once. */
const LANES = 4;

/** Compares. */
export async function compare(cases: readonly Case[], peer: Endpoint, gantry: Endpoint): Promise<Comparison> {
  const differences: Difference[] = [];
  const contradictions: Contradiction[] = [];
  const queue = cases.entries();
  const found: (readonly [number, readonly Difference[], readonly Contradiction[]])[] = [];
  const lane = async (): Promise<void> => {
    for (const [index, request] of queue) {
      const [ofPeer, ofGantry] = await Promise.all([bothMethods(request, peer), bothMethods(request, gantry)]);
      found.push([
        index,
        differencesOf(request, ofPeer.get, ofGantry.get),
        [...ofPeer.contradictions, ...ofGantry.contradictions],
      ]);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  for (const [, ownDifferences, ownContradictions] of found.sort(([a], [b]) => a - b)) {
    differences.push(...ownDifferences);
    contradictions.push(...ownContradictions);
  }
  return { requests: cases.length, differences, contradictions };
}

async function bothMethods(
  request: Case,
  endpoint: Endpoint,
): Promise<{ readonly get: Exchange; readonly contradictions: readonly Contradiction[] }> {
  const url = `${endpoint.url}${request.path}`;
  const get = await exchange(url, request.method, request.headers);
  const texts = [...contradictionsOf(request, get)];
  if (request.method === 'GET') {
    const head = await exchange(url, 'HEAD', request.headers);
    // Ranges are for GET alone (RFC 9110, section 14.2): HEAD is answered as if none were asked for.
    const whole = request.headers.range === undefined ? get : await exchange(url, 'GET', withoutRange(request.headers));
    texts.push(...headContradictions(whole, head));
  }
  return { get, contradictions: texts.map((text) => ({ request, endpoint: endpoint.title, text })) };
}

function withoutRange(headers: Case['headers']): Case['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'range' && name !== 'if-range'));
}

function contradictionsOf({ group }: Case, get: Exchange): readonly string[] {
  const texts = [];
  if (get.status === 0) return [`the response breaks off: ${get.body.toString()}`];
  const length = get.headers.get('content-length');
  if (length !== undefined && get.status !== 304 && Number(length) !== get.body.length)
    texts.push(`Content-Length ${length}, ${String(get.body.length)} bytes`);
  const digest = get.headers.get('docker-content-digest');
  if (digest !== undefined && get.status === 200 && digest !== contentDigest(get))
    texts.push(`Docker-Content-Digest ${digest}, but the bytes have ${contentDigest(get)}`);
  if (get.status === 200 && (group === 'blob' || group.startsWith('manifest')) && digest === undefined)
    texts.push('no Docker-Content-Digest');
  if (get.status === 200 && length === undefined) texts.push('no Content-Length');
  return texts;
}

function headContradictions(get: Exchange, head: Exchange): readonly string[] {
  if (get.status === 0 || head.status === 0)
    return get.status === head.status ? [] : [`GET ${describe(get)}, HEAD ${describe(head)}`];
  if (get.status !== head.status) return [`GET ${describe(get)}, HEAD ${String(head.status)}`];
  const texts = head.body.length === 0 ? [] : ['HEAD has a body'];
  for (const name of headerNames(get, head)) {
    const [ofGet, ofHead] = [get.headers.get(name), head.headers.get(name)];
    if (ofGet !== ofHead) texts.push(`${name}: GET ${ofGet ?? 'none'}, HEAD ${ofHead ?? 'none'}`);
  }
  return texts;
}

function differencesOf(request: Case, peer: Exchange, gantry: Exchange): readonly Difference[] {
  const difference = (field: string, ofPeer: string | null, ofGantry: string | null): readonly Difference[] =>
    ofPeer === ofGantry ? [] : [{ request, field, peer: ofPeer, gantry: ofGantry }];
  const header = (name: string): readonly Difference[] =>
    difference(name, peer.headers.get(name) ?? null, gantry.headers.get(name) ?? null);
  if (describe(peer) !== describe(gantry)) return difference('response', describe(peer), describe(gantry));
  if (peer.status >= 400)
    return [...header('content-type'), ...difference('body', peer.body.toString(), gantry.body.toString())];
  const digest = header('docker-content-digest');
  if (digest.length > 0) return digest;
  const names = headerNames(peer, gantry).filter((name) => name !== 'docker-content-digest');
  if (isMultipart(peer) && isMultipart(gantry)) {
    const others = names.filter((name) => name !== 'content-type' && name !== 'content-length');
    return [...others.flatMap(header), ...difference('parts', partsOf(peer), partsOf(gantry))];
  }
  if (peer.body.equals(gantry.body)) return names.flatMap(header);
  const field = contentDigest(peer) === contentDigest(gantry) ? 'signature' : 'body';
  return [...names.flatMap(header), { request, field, peer: textOf(peer), gantry: textOf(gantry) }];
}

function headerNames(a: Exchange, b: Exchange): readonly string[] {
  return [...new Set([...a.headers.keys(), ...b.headers.keys()])].filter((name) => !IGNORED.has(name)).sort();
}

function isMultipart({ headers }: Exchange): boolean {
  return headers.get('content-type')?.startsWith('multipart/byteranges') === true;
}

/** The ranges of a multipart body with their bytes; the boundary and other headers of the parts are free. */
function partsOf({ headers, body }: Exchange): string {
  const boundary = /boundary=(\S+)/.exec(headers.get('content-type') ?? '')?.[1] ?? '';
  const parts = body.toString('latin1').split(`--${boundary}`).slice(1);
  return parts
    .map((part) => {
      const [head = '', ...rest] = part.split('\r\n\r\n');
      return `${/^content-range: (.*)$/im.exec(head)?.[1] ?? head} ${rest.join('\r\n\r\n')}`;
    })
    .join('\n');
}

function textOf(response: Exchange): string {
  const { body } = response;
  return body.length < 400 ? body.toString() : `${String(body.length)} bytes, ${contentDigest(response)}`;
}
