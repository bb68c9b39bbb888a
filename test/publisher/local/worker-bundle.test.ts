/** Bundling the Worker for local use. */
import { expect, it } from 'vitest';
import { bundleWorker } from '../../../src/publisher/local/worker-bundle.ts';
import { OWN_CONFIG } from '../../../src/publisher/local/wrangler-config.ts';

it('gives every one of several servers of a process its Worker', async () => {
  // esbuild has one service in a process, and its end would end the builds of the others.
  const bundles = await Promise.all(Array.from({ length: 3 }, () => bundleWorker(OWN_CONFIG)));
  for (const { code } of bundles) expect(code.length).toBeGreaterThan(100_000);
});
