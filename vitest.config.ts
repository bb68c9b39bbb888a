import { availableParallelism } from 'node:os';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** Tests that start servers, simulators or other programs: slower, and left out of `npm run test:fast`. */
const PROGRAMS = ['deploy', 'local', 'stores']
  .map((folder) => `test/publisher/${folder}/**/*.test.ts`)
  .concat('test/ci/**/*.test.ts', 'test/fuzz/**/*.test.ts', 'test/conformance/stores.test.ts');

/** Suites of the Worker that run once more behind the stand-in for its cache. Others run over both ways by themselves. */
const BEHIND_CACHE = ['access', 'pages']
  .map((folder) => `test/worker/${folder}/**/*.test.ts`)
  .concat(['archive', 'delivery', 'endpoint-table', 'filled-repository'].map((file) => `test/worker/${file}.test.ts`))
  .concat('test/worker/ingest/pulp3.test.ts');

/** Tests of the documents that take seconds, and so are part of `npm run check`. */
const FAST_DOCS = ['test/docs/site.test.ts', 'test/docs/messages.test.ts'];

/** Tests that run in workerd, with the bindings of wrangler.toml. */
function workerProject(name: string, include: string[], bindings: Record<string, string> = {}) {
  return {
    plugins: [
      cloudflareTest({
        wrangler: { configPath: './wrangler.toml' },
        miniflare: { bindings: { LOG: 'failures', ...bindings } },
      }),
    ],
    test: { name, include },
  };
}

export default defineConfig({
  test: {
    // Most of the time, a test waits for another program. Without this, two cores would run one file at a time.
    maxWorkers: availableParallelism() + 1,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [
            ...PROGRAMS,
            'test/worker/**',
            'test/interop/**',
            'test/bench/**',
            'test/docs/**',
            'test/tree.test.ts',
          ],
          testTimeout: 30_000,
        },
      },
      { test: { name: 'programs', include: PROGRAMS, testTimeout: 60_000, hookTimeout: 60_000 } },
      { test: { name: 'tree', include: ['test/tree.test.ts', ...FAST_DOCS] } },
      {
        test: {
          name: 'docs',
          include: ['test/docs/**/*.test.ts'],
          exclude: FAST_DOCS,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      { test: { name: 'interop', include: ['test/interop/**/*.test.ts'], testTimeout: 120_000, hookTimeout: 120_000 } },
      workerProject('worker', ['test/worker/**/*.test.ts']),
      workerProject('worker-behind-cache', BEHIND_CACHE, { BEHIND_CACHE: 'on' }),
    ],
  },
});
