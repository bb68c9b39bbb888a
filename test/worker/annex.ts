/** The annex's code in this isolate, where tests stand in for what it asks; as a new isolate of its own for each. */
import { createExecutionContext } from 'cloudflare:test';
import { fill, page } from '../../src/worker/annex-app.ts';
import type { AnnexEntrypoint } from '../../src/worker/annex-port.ts';
import { type Config, readConfig } from '../../src/worker/config.ts';
import type { Persistence } from '../../src/worker/persistence.ts';

/** The annex over a bucket. What it knows beside that comes with the calls, as it does where it is deployed. */
export function annexOver(bucket: R2Bucket, persistence: Persistence): AnnexEntrypoint {
  let known: Config | null = null;
  const configOf = (settings: string): Config => (known ??= { ...readConfig({ ...(JSON.parse(settings) as object), BUCKET: bucket }), persistence });
  return {
    fill: (request, settings, props) => {
      const ctx = createExecutionContext();
      return fill(request, configOf(settings), props, (work) => {
        ctx.waitUntil(work);
      });
    },
    page: (request, settings, props) => page(request, configOf(settings), props, createExecutionContext()),
  };
}
