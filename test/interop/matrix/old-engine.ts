/**
 * Docker engines before 1.10, replayed: their requests over plain sockets, and what each of them insists on in the
 * answers. Sequences and demands were measured with engines 1.9.1, 1.8.3, 1.7.1 and 1.6.2 built from their own sources.
 * `old-daemon.ts` runs such engines themselves, where somebody has them.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import type { Verify } from '../libtrust.ts';
import { digestOf } from './layout.ts';
import { type Tree, treeOfLayers } from './tree.ts';

/** What differs between the versions. */
interface Demands {
  readonly userAgent: string;
  /** How often it asks for `/v2/` before a pull. */
  readonly pings: number;
  /** It asks for each blob's length by HEAD, and reads no more than that. */
  readonly headsBlobs: boolean;
  /** It verifies the signature. */
  readonly verifies: boolean;
  /** It compares `Docker-Content-Digest` with the digest of the payload. */
  readonly comparesDigest: boolean;
  /** It takes the first byte of the manifest's `name` without looking whether there is one. */
  readonly panicsWithoutName: boolean;
  /** It takes an opaque whiteout for the whiteout of another file. */
  readonly ignoresOpaque: boolean;
  /** It reads the names of the tags in a list of tags. */
  readonly readsTagLists: boolean;
  /** What it says of a name that it refuses, before any request; null if it takes it. */
  readonly refuses: (name: string) => string | null;
  /** The names for which it can make a v2 URL; for others it goes on with v1. */
  readonly urlName: RegExp;
}

/** A component of a name, as distribution 2.0 and 2.1 have it. */
const COMPONENT = '[a-z0-9]+(?:[._-][a-z0-9]+)*';
/** The same as the distribution that is part of 1.9.1 has it. */
const COMPONENT_1_9 = '[a-z0-9](?:-*[a-z0-9])*(?:[._][a-z0-9](?:-*[a-z0-9])*)*';

const namesOf = (component: string): RegExp => new RegExp(`^(?:${component}/)*${component}$`);
const imageId = (name: string): string | null =>
  /^[0-9a-f]{64}$/.test(name) ? `Invalid repository name (${name}), cannot specify 64-byte hexadecimal strings` : null;

/** `validateRemoteName` of 1.6 and 1.7: a namespace, and the rest. */
function refusedByFirst(whole: string): string | null {
  const at = whole.indexOf('/');
  if (at === -1) return imageId(whole);
  const [namespace, name] = [whole.slice(0, at), whole.slice(at + 1)];
  if (!/^[a-z0-9_-]*$/.test(namespace)) return `Invalid namespace name (${namespace}). Only [a-z0-9-_] are allowed.`;
  if (namespace.length < 2 || namespace.length > 255)
    return `Invalid namespace name (${namespace}). Cannot be fewer than 2 or more than 255 characters.`;
  if (namespace.includes('--')) return `Invalid namespace name (${namespace}). Cannot contain consecutive hyphens.`;
  return /^[a-z0-9_.-]+$/.test(name) ? null : `Invalid repository name (${name}), only [a-z0-9-_.] are allowed`;
}

/** `validateRemoteName` of 1.8 and 1.9. */
const refusedByPattern =
  (component: string) =>
  (name: string): string | null =>
    imageId(name) ??
    (namesOf(component).test(name) ? null : `repository name component must match ${JSON.stringify(component)}`);

const FIRST = {
  pings: 2,
  headsBlobs: false,
  verifies: true,
  comparesDigest: true,
  panicsWithoutName: true,
  ignoresOpaque: true,
  readsTagLists: true,
  refuses: refusedByFirst,
  urlName: namesOf(COMPONENT),
} as const;
const LATER = {
  pings: 1,
  headsBlobs: true,
  verifies: false,
  comparesDigest: false,
  panicsWithoutName: false,
  ignoresOpaque: true,
  readsTagLists: true,
  refuses: refusedByPattern(COMPONENT),
  urlName: namesOf(COMPONENT),
} as const;

/**
 * The engines that are replayed. 1.8.3 stands for those that no longer verify; 1.8.2 is the last of its line that does.
 */
export const OLD_ENGINES = {
  // It cannot set the members of the type that it reads the list into.
  '1.6.2': { ...FIRST, userAgent: agent('1.6.2', 'go1.4.2', '7c8fca2'), readsTagLists: false },
  '1.7.1': { ...FIRST, userAgent: agent('1.7.1', 'go1.4.2', '786b29d') },
  '1.8.2': { ...LATER, userAgent: agent('1.8.2', 'go1.4.2', '0a8c2e3'), verifies: true },
  '1.8.3': { ...LATER, userAgent: agent('1.8.3', 'go1.4.2', 'f4bf5c7') },
  '1.9.1': {
    ...LATER,
    userAgent: agent('1.9.1', 'go1.4.3', 'a34a1d5'),
    ignoresOpaque: false,
    refuses: refusedByPattern(COMPONENT_1_9),
    urlName: namesOf(COMPONENT_1_9),
  },
} as const satisfies Record<string, Demands>;

/** One of {@link OLD_ENGINES}. */
export type OldEngine = keyof typeof OLD_ENGINES;

/** What is pulled, and how. */
export interface OldPull {
  readonly version: OldEngine;
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly name: string;
  /** A tag, or a digest of a schema 1 payload. */
  readonly reference: string;
  /** `arch` of its User-Agent. */
  readonly architecture?: string;
  /** What `docker login` stored. */
  readonly login?: { readonly user: string; readonly password: string };
  /** libtrust; without it the signature is not judged. */
  readonly verify?: Verify;
}

/** What a pull gave. */
export interface OldPulled {
  /** The signed document. */
  readonly document: Buffer;
  readonly payload: Uint8Array;
  /** Of the payload; what 1.8 and 1.9 print. */
  readonly digest: string;
  /** Layers, base first, each as often as the manifest names it. */
  readonly layers: readonly string[];
  readonly tree: Tree;
  /** Requests in the order they were sent, `GET /v2/`. */
  readonly requests: readonly string[];
}

/** A pull that the engine gives up, with what its user reads. */
export class OldEngineError extends Error {
  override readonly name = 'OldEngineError';
}

/** An answer as it stood on the wire. */
export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** Pulls as that engine does. Throws {@link OldEngineError} where it would give up. */
export async function pullAsOldEngine(pull: OldPull): Promise<OldPulled> {
  const { name, reference, verify, host } = pull;
  const demands: Demands = OLD_ENGINES[pull.version];
  const session = await sessionFor(pull);
  if (!demands.urlName.test(name)) throw await fallback(session, pull);
  const answer = await session.ask('GET', `/v2/${name}/manifests/${reference}`);
  if (answer.status !== 200) throw await refusal(session, pull, answer);
  const document = answer.body;
  let payload: Uint8Array;
  if (verify === undefined) payload = withoutSignatures(document);
  else payload = await verify(document);
  const digest = digestOf(payload);
  if (demands.verifies && !document.includes('"signatures"')) give('no signatures present');
  if (demands.comparesDigest && answer.headers.get('docker-content-digest') !== digest) {
    give(
      `manifest digest ${String(answer.headers.get('docker-content-digest'))} is not that of the payload, ${digest}`,
    );
  }
  if (reference.includes(':') && reference !== digest) give(`the manifest has the digest ${digest}, not ${reference}`);
  const manifest = readSchema1(payload, demands);
  const bodies = new Map<string, Buffer>();
  for (const blob of manifest.layers) {
    const path = `/v2/${name}/blobs/${blob}`;
    let length: number | undefined;
    if (demands.headsBlobs) length = lengthOf(await session.follow('HEAD', path), `HEAD ${path}`);
    const got = await session.follow('GET', path);
    length ??= lengthOf(got, `GET ${path}`);
    // It reads as much as it was told, and no more.
    const bytes = got.body.subarray(0, length);
    if (digestOf(bytes) !== blob) give(`filesystem layer verification failed for digest ${blob} from ${host}`);
    bodies.set(blob, bytes);
  }
  const layers = [...manifest.layers].reverse();
  const tars = layers.map((blob) => Readable.from([unpack(bodies.get(blob) ?? Buffer.alloc(0))]));
  const tree = await treeOfLayers(tars, { ignoresOpaque: demands.ignoresOpaque });
  return { document, payload, digest, layers, tree, requests: session.requests };
}

/** `docker pull -a`: the tags, as `GET tags/list` without parameters gives them; no Link is followed. */
export async function listTagsAsOldEngine(pull: Omit<OldPull, 'reference'>): Promise<readonly string[]> {
  const session = await sessionFor(pull);
  const answer = await session.ask('GET', `/v2/${pull.name}/tags/list`);
  if (answer.status !== 200) give(`Received unexpected HTTP status: ${String(answer.status)}`);
  if (!OLD_ENGINES[pull.version].readsTagLists) throw await fallback(session, { ...pull, reference: '' });
  return (JSON.parse(answer.body.toString()) as { tags: string[] }).tags;
}

interface Session {
  readonly requests: string[];
  ask(method: 'GET' | 'HEAD', path: string): Promise<Answer>;
  /** The same, behind redirects. */
  follow(method: 'GET' | 'HEAD', path: string): Promise<Answer>;
}

/** A session for a name that the engine takes. */
function sessionFor(pull: Omit<OldPull, 'reference'>): Promise<Session> {
  const refusal = OLD_ENGINES[pull.version].refuses(pull.name);
  return refusal === null ? openSession(pull) : give(refusal);
}

/** Greets the registry and logs in as its `/v2/` asks: later challenges are not looked at. */
async function openSession({
  version,
  host,
  name,
  architecture = 'amd64',
  login,
}: Omit<OldPull, 'reference'>): Promise<Session> {
  const { userAgent, pings } = OLD_ENGINES[version];
  const requests: string[] = [];
  let authorization: string | undefined;
  const send = (
    method: 'GET' | 'HEAD',
    target: string,
    own: Readonly<Record<string, string>> = {},
  ): Promise<Answer> => {
    requests.push(`${method} ${target}`);
    return exchange(host, method, target, {
      'User-Agent': userAgent.replace('arch/amd64', `arch/${architecture}`),
      ...own,
      // Go adds this one itself, and not to HEAD.
      ...(method === 'GET' && { 'Accept-Encoding': 'gzip' }),
    });
  };
  const basic =
    login === undefined ? undefined : `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`;
  for (let ping = 0; ping < pings; ping++) {
    const answer = await send('GET', '/v2/');
    if (answer.headers.get('docker-distribution-api-version') !== 'registry/2.0')
      give(`${host} does not speak the v2 API`);
    if (answer.status === 200) continue;
    if (answer.status !== 401) give(`Received unexpected HTTP status: ${String(answer.status)}`);
    const challenge = answer.headers.get('www-authenticate') ?? '';
    if (/^basic /i.test(challenge)) authorization = basic ?? give('no basic auth credentials');
    else authorization ??= `Bearer ${await tokenFor(challenge, name, basic, send)}`;
  }
  const ask: Session['ask'] = (method, path) =>
    send(method, path, authorization === undefined ? {} : { Authorization: authorization });
  const follow: Session['follow'] = async (method, path) => {
    let target = path;
    for (let hops = 0; hops < 10; hops++) {
      const answer = await ask(method, target);
      // Go before 1.8 does not know 308.
      if (![301, 302, 303, 307].includes(answer.status)) {
        if (answer.status !== 200)
          give(`${method} ${target}: Received unexpected HTTP status: ${String(answer.status)}`);
        return answer;
      }
      const next = new URL(
        answer.headers.get('location') ?? give('a redirect without Location'),
        `http://${host}${target}`,
      );
      if (next.host !== host) give(`a redirect to ${next.host}`);
      target = `${next.pathname}${next.search}`;
    }
    return give('stopped after 10 redirects');
  };
  return { requests, ask, follow };
}

async function tokenFor(
  challenge: string,
  name: string,
  basic: string | undefined,
  send: (method: 'GET', target: string, own?: Readonly<Record<string, string>>) => Promise<Answer>,
): Promise<string> {
  const parameter = (key: string): string => new RegExp(`${key}="([^"]*)"`).exec(challenge)?.[1] ?? '';
  if (!/^bearer /i.test(challenge)) give(`Unsupported challenge: ${challenge}`);
  const realm = new URL(parameter('realm'));
  const query = `scope=${encodeURIComponent(`repository:${name}:pull`)}&service=${encodeURIComponent(parameter('service'))}`;
  const answer = await send('GET', `${realm.pathname}?${query}`, basic === undefined ? {} : { Authorization: basic });
  if (answer.status !== 200) give(`token auth attempt for registry failed with status: ${String(answer.status)}`);
  const { token } = JSON.parse(answer.body.toString()) as { token?: unknown };
  // `access_token` is a later invention.
  return typeof token === 'string' && token !== ''
    ? token
    : give('authorization server did not include a token in the response');
}

/** What the user reads in place of an image. By tag, 1.6 and 1.7 show nothing of v2's answer, and ask the v1 API. */
async function refusal(session: Session, pull: OldPull, answer: Answer): Promise<OldEngineError> {
  const { version, reference } = pull;
  const isEarly = OLD_ENGINES[version].pings === 2;
  const errors = isEarly ? [] : readErrors(answer.body);
  const [first] = errors;
  if (first !== undefined && (first.code !== 'MANIFEST_UNKNOWN' || reference.includes(':')) && answer.status < 500) {
    const lines = errors.map(({ code, message }) => `${code.toLowerCase().replaceAll('_', ' ')}: ${message}`);
    return new OldEngineError(
      `Error response from daemon: ${lines.length > 1 ? `errors:\n${lines.join('\n')}\n` : lines.join('')}`,
    );
  }
  if (reference.includes(':') && version !== '1.6.2') {
    // 1.6 goes on with v1 for a digest, too.
    return new OldEngineError(
      isEarly
        ? 'Error response from daemon: pulling with digest reference failed from v2 registry'
        : `Received unexpected HTTP status: ${String(answer.status)}`,
    );
  }
  return fallback(session, pull);
}

/** What the user reads after the v1 API was asked. */
async function fallback(session: Session, { version, name, reference }: OldPull): Promise<OldEngineError> {
  if (OLD_ENGINES[version].pings === 2) await session.ask('GET', '/v1/_ping');
  const v1 = await session.ask('GET', `/v1/repositories/${name}/images`);
  if ([200, 401, 404].includes(v1.status))
    return new OldEngineError(`Error: image ${name}${reference.includes(':') ? '@' : ':'}${reference} not found`);
  return new OldEngineError(
    `Error: Status ${String(v1.status)} trying to pull repository ${name}: ${JSON.stringify(v1.body.toString())}`,
  );
}

function readErrors(body: Buffer): readonly { code: string; message: string }[] {
  // Without at least one error the request's goroutine panics.
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] };
  if (errors.length === 0) give('runtime error: index out of range');
  return errors;
}

/** Reads a payload as the engines check it: what is wrong makes them give up. */
function readSchema1(payload: Uint8Array, { panicsWithoutName }: Demands): { readonly layers: readonly string[] } {
  const { schemaVersion, name, fsLayers, history } = JSON.parse(new TextDecoder().decode(payload)) as {
    schemaVersion: number;
    name: string;
    fsLayers: { blobSum: string }[];
    history: { v1Compatibility: string }[];
  };
  if (schemaVersion !== 1) give(`unsupported schema version ${String(schemaVersion)}`);
  // The daemon panics in the middle of its answer, and the client sees that end.
  if (name === '' && panicsWithoutName) give('EOF (runtime error: index out of range)');
  if (fsLayers.length !== history.length) give('length of history not equal to number of layers');
  if (fsLayers.length === 0) give('no FSLayers in manifest');
  const images = history.map(({ v1Compatibility }) => JSON.parse(v1Compatibility) as { id?: string; parent?: string });
  for (const [index, { id, parent }] of images.entries()) {
    if (id === undefined || !/^[0-9a-f]{64}$/.test(id)) give(`image ID "${String(id)}" is invalid`);
    const below = images[index + 1];
    if (below === undefined) {
      if (parent !== undefined && parent !== '') give('Invalid parent ID in the base layer of the image.');
    } else if (parent !== below.id) give(`Invalid parent ID. Expected ${String(below.id)}, got ${String(parent)}.`);
  }
  return { layers: fsLayers.map(({ blobSum }) => blobSum) };
}

function lengthOf({ headers }: Answer, what: string): number {
  const text = headers.get('content-length');
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : give(`${what}: no Content-Length`);
}

/** gzip or plain tar; bzip2 and xz do not occur in the matrix, zstd is what they cannot read. */
function unpack(bytes: Buffer): Buffer {
  if (bytes.readUInt16BE(0) === 0x1f8b) return gunzipSync(bytes);
  if (bytes.length > 262 && bytes.toString('latin1', 257, 262) === 'ustar') return bytes;
  return give('archive/tar: invalid tar header');
}

/** The payload by what `protected` says of it (libtrust: formatLength, formatTail). */
function withoutSignatures(document: Buffer): Uint8Array {
  const { signatures } = JSON.parse(document.toString()) as { signatures: { protected: string }[] };
  const [first] = signatures;
  if (first === undefined) return give('no signatures present');
  const { formatLength, formatTail } = JSON.parse(Buffer.from(first.protected, 'base64url').toString()) as {
    formatLength: number;
    formatTail: string;
  };
  return Buffer.concat([document.subarray(0, formatLength), Buffer.from(formatTail, 'base64url')]);
}

function give(message: string): never {
  throw new OldEngineError(message);
}

function agent(version: string, go: string, commit: string): string {
  return `docker/${version} go/${go} git-commit/${commit} kernel/3.16.0 os/linux arch/amd64`;
}

/**
 * One request on a connection of its own, as Go 1.4 sends it with keep-alive off: nothing is sent that is not given
 * here.
 */
export async function exchange(
  host: string,
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const [hostname, port] = host.split(':');
  const socket = connect({ host: hostname ?? '', port: Number(port) });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const lines = Object.entries({ Host: host, ...headers, Connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  socket.write(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`);
  await once(socket, 'close');
  const bytes = Buffer.concat(chunks);
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return give(`${method} ${target}: EOF`);
  const [statusLine = '', ...rows] = bytes.toString('latin1', 0, end).split('\r\n');
  const given = new Map(
    rows.map((row) => [row.slice(0, row.indexOf(':')).toLowerCase(), row.slice(row.indexOf(':') + 1).trim()]),
  );
  const raw = bytes.subarray(end + 4);
  const whole = given.get('transfer-encoding') === 'chunked' ? dechunk(raw) : raw;
  const length = given.get('content-length');
  if (method !== 'HEAD' && length !== undefined && Number(length) !== whole.length)
    give(`${method} ${target}: unexpected EOF`);
  // Whoever asked for gzip by itself unpacks it by itself, and forgets the length, as Go's transport does.
  if (given.get('content-encoding') !== 'gzip' || method === 'HEAD')
    return { status: Number(statusLine.split(' ')[1]), headers: given, body: whole };
  given.delete('content-length');
  return { status: Number(statusLine.split(' ')[1]), headers: given, body: gunzipSync(whole) };
}

function dechunk(raw: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = raw.indexOf('\r\n', at);
    const size = Number.parseInt(raw.toString('latin1', at, end), 16);
    if (!Number.isSafeInteger(size) || end === -1) return give('malformed chunked encoding');
    if (size === 0) return Buffer.concat(parts);
    parts.push(raw.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
