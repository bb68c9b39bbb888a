/**
 * The Workers that show what the platform costs by itself. Nothing that does the same can be faster; what does not read
 * the bytes again can be.
 */

/**
 * Answers `/<n>` with n bytes that it has at hand. No floor for long bodies: bytes from JavaScript cost more processor
 * time than a bucket's stream.
 */
export const CONSTANT = `
const bodies = new Map();
export default {
  fetch(request) {
    const length = Number(request.url.slice(request.url.indexOf('/', 8) + 1));
    let body = bodies.get(length);
    if (body === undefined) bodies.set(length, (body = new Uint8Array(length)));
    return new Response(request.method === 'HEAD' ? null : body, {
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(length) },
    });
  },
};
`;

/** Answers `/<key>` with an object of the bucket: one read, and as few headers as will do. */
export const BARE_READ = bareRead('');

/**
 * The same, with a line of the log a request, as short as would do: what a line costs is the platform's and, under
 * Miniflare, that of the pipe to Node.
 */
export const LOGGED_READ = bareRead(
  "console.log(JSON.stringify({ event: 'request', method: request.method, key, status: 200, bytes: object.size }));",
);

function bareRead(before: string): string {
  return `
export default {
  async fetch(request, env) {
    const key = request.url.slice(request.url.indexOf('/', 8) + 1);
    const isHead = request.method === 'HEAD';
    const object = isHead ? await env.BUCKET.head(key) : await env.BUCKET.get(key);
    if (object === null) return new Response(null, { status: 404 });
    ${before}
    return new Response(isHead ? null : object.body, {
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(object.size), etag: object.httpEtag },
    });
  },
};
`;
}
