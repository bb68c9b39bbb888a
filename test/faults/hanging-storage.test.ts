/**
 * R2 that takes a blob and never says what became of it must not hold up whoever pulls the blob: in workerd itself,
 * over a bucket that hangs.
 */
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from './bucket-reader.ts';

const BLOB = Buffer.alloc(9 * 2 ** 20, 'blob');

const WORKER = `
import { clientSink, fillBlob } from './src/worker/ingest/fill-blob.ts';
const never = new Promise(() => {});
const upload = { uploadPart: () => never, complete: () => never, abort: () => never };
const bucket = { put: () => never, get: () => never, createMultipartUpload: () => Promise.resolve(upload) };
export default {
  async fetch(request, env, ctx) {
    const { searchParams } = new URL(request.url);
    const { body, sink } = clientSink(${String(BLOB.length)});
    async function* chunks() { for await (const chunk of request.body) yield chunk; }
    const work = fillBlob(
      { size: ${String(BLOB.length)}, chunks: chunks() },
      { digest: '${digestOf(BLOB)}', key: 'k', bucket, client: sink, keep: (one) => ctx.waitUntil(one), wholeUpTo: Number(searchParams.get('whole')) },
    );
    ctx.waitUntil(work.catch(() => undefined));
    return new Response(body);
  },
};
`;

describe('a blob on its way through an edge whose R2 hangs', () => {
  let miniflare: Miniflare;
  beforeAll(async () => {
    const resolveDir = new URL('../..', import.meta.url).pathname;
    const { outputFiles } = await build({
      stdin: { contents: WORKER, resolveDir, loader: 'js' },
      bundle: true,
      format: 'esm',
      write: false,
      conditions: ['workerd'],
    });
    miniflare = new Miniflare(
      convertV4MiniflareOptions({
        workers: [
          {
            name: 'hanging',
            compatibilityDate: '2026-10-01',
            modules: [{ type: 'ESModule', path: 'index.js', contents: outputFiles[0]?.text ?? '' }],
          },
        ],
      }),
    );
    await miniflare.ready;
  }, 30_000);
  afterAll(() => miniflare.dispose());

  it.each([
    ['in one write', 2 ** 30],
    ['in parts', 0],
  ])('reaches the client whole all the same: %s', { timeout: 40_000 }, async (_, wholeUpTo) => {
    const answer = await fetch(new URL(`/?whole=${String(wholeUpTo)}`, await miniflare.ready), {
      method: 'POST',
      body: BLOB,
      signal: AbortSignal.timeout(20_000),
    });
    expect(digestOf(Buffer.from(await answer.arrayBuffer()))).toBe(digestOf(BLOB));
  });
});
