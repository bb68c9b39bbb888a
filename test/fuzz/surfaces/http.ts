/** Sends the Worker, served by `gantry serve`, requests that nobody would write, byte by byte over a socket. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { watchMemory } from '../../publisher/process-tree.ts';
import { type Chance, chanceOf, strangeText } from './random.ts';
import { LIMITS, mib, type SurfaceResult, type SurfaceRun } from './run.ts';

const LAUNCHER = fileURLToPath(new URL('../../../bin/gantry.js', import.meta.url));

/** Requests in flight at once. */
const AT_ONCE = 4;

/** Runs the surface against a server of its own, with the demo image. */
export async function fuzzHttp({ seed, from, runs }: SurfaceRun): Promise<SurfaceResult> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-fuzz-http-'));
  const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  const args = [LAUNCHER, 'serve', '--port', '0', '--state', join(folder, 'state'), '--json'];
  const server = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  server.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-1_000_000)));
  try {
    const port = await portOf(server.stdout);
    const memory = watchMemory(server.pid ?? NaN);
    const statuses = new Map<string, number>();
    let [slowest, next] = [0, from];
    let fault: string | null = null;
    const work = async (): Promise<void> => {
      while (fault === null && next < from + runs) {
        const input = next;
        next += 1;
        const request = requestOf(chanceOf(seed, input));
        const before = performance.now();
        const answer = await exchange(port, request);
        const milliseconds = performance.now() - before;
        slowest = Math.max(slowest, milliseconds);
        const status = answer === null ? 'none' : (/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 'closed');
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        const why =
          answer === null || milliseconds > LIMITS.milliseconds
            ? 'takes over two seconds'
            : status === '500' || hasStack(answer)
              ? `is answered with ${answer.slice(0, 2000)}`
              : null;
        if (why !== null)
          fault ??= `input ${String(input)} ${why}\n${JSON.stringify(request.toString('latin1'))}\n${log.slice(-2000)}`;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const most = memory.stop();
    if (most > LIMITS.bytes) fault ??= `the server took ${mib(most)}`;
    if (hasStack(log)) fault ??= `the server logged ${log.slice(-2000)}`;
    const counts = [...statuses].sort().map(([status, count]) => `${String(count)} × ${status}`);
    return {
      summary: `http: ${String(next - from)} requests, ${counts.join(', ')}; slowest ${slowest.toFixed(0)} ms, ${mib(most)} (seed ${String(seed)})`,
      fault,
    };
  } finally {
    const ended = once(server, 'exit');
    server.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

function hasStack(text: string): boolean {
  return /\n\s+at .+:\d+:\d+/.test(text);
}

async function portOf(stdout: NodeJS.ReadableStream): Promise<number> {
  let text = '';
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.includes('\n')) break;
  }
  stdout.resume();
  return Number(new URL((JSON.parse(text) as { url: string }).url).port);
}

const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'PROPFIND',
  'get',
  'G ET',
] as const;

const SEGMENTS = [
  'v2',
  'v1',
  '_catalog',
  'demo/hello',
  'library/none',
  'manifests',
  'blobs',
  'tags',
  'list',
  'referrers',
  'latest',
  'token',
  'help',
  'uploads',
  '_ping',
  'repositories',
  'images',
  '-',
  '.',
  '..',
  '',
  'robots.txt',
] as const;

const HEADERS = [
  'Accept',
  'Accept-Encoding',
  'Accept-Language',
  'Authorization',
  'Cookie',
  'Range',
  'If-Range',
  'If-None-Match',
  'If-Match',
  'If-Modified-Since',
  'User-Agent',
  'Origin',
  'X-Forwarded-Proto',
  'Content-Type',
  'Content-Range',
  'Referer',
  'Cache-Control',
] as const;

const VALUES = [
  'application/vnd.oci.image.manifest.v1+json;q=0.5',
  'application/vnd.docker.distribution.manifest.v2+json',
  '*/*;q=0',
  ';q=1,,',
  'application/*',
  'text/html',
  'bytes=0-',
  'bytes=-1',
  'bytes=9-1',
  'bytes=0-0,2-3',
  'bytes=0-99999999999999999999',
  '"etag"',
  '*',
  'W/"x"',
  'docker/1.9.1 go/go1.4.3',
  'Basic Og==',
  'Basic !!!',
  'Bearer a.b.c',
  'Bearer eyJhbGciOiJub25lIn0.e30.',
  'gzip, br;q=0',
  'Thu, 01 Jan 1970 00:00:00 GMT',
  '\x80\xff',
  '"',
] as const;

function requestOf(chance: Chance): Buffer {
  const segment = (): string =>
    chance.once(4) ? encodeURIComponent(strangeText(chance).toWellFormed()) : chance.pick(SEGMENTS);
  const known = chance.pick([
    '/v2/',
    '/v2/_catalog',
    '/v2/demo/hello/tags/list',
    '/v2/demo/hello/manifests/latest',
    '/token',
    '/',
    '/demo/hello',
    `/v2/demo/hello/blobs/sha256:${'0'.repeat(64)}`,
    `/v2/demo/hello/referrers/sha256:${'0'.repeat(64)}`,
  ] as const);
  let path = chance.once(2) ? known : `/${Array.from({ length: chance.below(7) }, segment).join('/')}`;
  if (chance.once(50)) path += `/${'a'.repeat(chance.pick([300, 5000, 16_000]))}`;
  if (chance.once(3)) {
    const key = chance.pick(['n', 'last', 'scope', 'service', 'artifactType', 'q', 'page', '', 'mount', 'digest']);
    path += `?${key}=${encodeURIComponent(strangeText(chance).toWellFormed())}&${key}=${String(chance.below(100_000))}`;
  }
  const lines = [`${chance.once(3) ? chance.pick(METHODS) : chance.pick(['GET', 'HEAD'])} ${path} HTTP/1.1`];
  lines.push(
    `Host: ${chance.once(5) ? chance.pick(['a b', '"><script>', '[::1', 'x'.repeat(500), 'evil.example:99999', '']) : '127.0.0.1'}`,
  );
  for (let count = chance.below(6); count > 0; count -= 1) {
    // A line break would end the header, and the request would be another one.
    const value = chance.once(4) ? strangeText(chance).replaceAll(/[\r\n\0]/g, '') : chance.pick(VALUES);
    lines.push(`${chance.pick(HEADERS)}: ${chance.once(20) ? `${value},`.repeat(20) : value}`);
  }
  lines.push('Connection: close', '', '');
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

/** Sends bytes; returns the answer's first megabyte, or null if it does not end in time. */
function exchange(port: number, request: Buffer): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const parts: Buffer[] = [];
    let length = 0;
    const end = (answer: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(null), LIMITS.milliseconds);
    socket.on('data', (chunk) => {
      length += chunk.length;
      if (length < 1_000_000) parts.push(chunk);
    });
    socket.on('error', () => end(Buffer.concat(parts).toString('latin1')));
    socket.on('close', () => end(Buffer.concat(parts).toString('latin1')));
    socket.write(request);
  });
}
