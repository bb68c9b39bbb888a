/** The annex's code in this isolate, where tests stand in for what it asks; as a new isolate of its own for each. */
import { createExecutionContext } from 'cloudflare:test';
import { fill, page } from '../../src/worker/annex-app.ts';
import type { AnnexEntrypoint } from '../../src/worker/annex-port.ts';
import { type Config, readConfig } from '../../src/worker/config.ts';
import type { Persistence } from '../../src/worker/storage/retry.ts';

/** The annex over a bucket. What it knows beside that comes with the calls, as it does where it is deployed. */
export function annexOver(bucket: R2Bucket, persistence: Persistence): AnnexEntrypoint {
  let known: Config | null = null;
  const configOf = (settings: string): Config =>
    (known ??= { ...readConfig({ ...(JSON.parse(settings) as object), BUCKET: bucket }), persistence });
  return {
    fill: async (request, settings, props) => {
      const ctx = createExecutionContext();
      const response = await fill(request, configOf(settings), props, (work) => {
        ctx.waitUntil(work);
      });
      return withoutLength(response);
    },
    page: async (request, settings, props) =>
      withoutLength(await page(request, configOf(settings), props, createExecutionContext())),
  };
}

/** The body as it is after RPC: a stream that knows nothing of its length. */
function withoutLength(response: Response): Response {
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) return response;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, response);
}
