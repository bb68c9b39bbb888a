import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { build } from 'esbuild';
import { defineConfig } from 'vitest/config';
import { WORKER_BUILD } from './src/publisher/local/worker-bundle.ts';

/** The annex as code: the plugin itself builds only the Worker under test. */
async function annex(): Promise<string> {
  const { outputFiles } = await build({ ...WORKER_BUILD, entryPoints: ['src/worker/annex.ts'], write: false });
  return outputFiles[0].text;
}

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/worker/**', 'test/interop/**', 'test/bench/**'],
          testTimeout: 30_000,
        },
      },
      { test: { name: 'interop', include: ['test/interop/**/*.test.ts'], testTimeout: 120_000, hookTimeout: 120_000 } },
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              bindings: { LOG: 'failures' },
              workers: [
                {
                  name: 'gantry-annex',
                  compatibilityDate: '2026-10-01',
                  modules: [{ type: 'ESModule', path: 'annex.js', contents: await annex() }],
                  r2Buckets: { BUCKET: 'gantry' },
                },
              ],
            },
          })),
        ],
        test: { name: 'worker', include: ['test/worker/**/*.test.ts'] },
      },
    ],
  },
});
