import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** Tests that start servers, simulators or other programs: slower, and left out of `npm run test:fast`. */
const PROGRAMS = ['deploy', 'local', 'stores']
  .map((folder) => `test/publisher/${folder}/**/*.test.ts`)
  .concat('test/fuzz/**/*.test.ts', 'test/conformance/stores.test.ts');

export default defineConfig({
  test: {
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
      { test: { name: 'tree', include: ['test/tree.test.ts'] } },
      { test: { name: 'docs', include: ['test/docs/**/*.test.ts'], testTimeout: 600_000, hookTimeout: 600_000 } },
      { test: { name: 'interop', include: ['test/interop/**/*.test.ts'], testTimeout: 120_000, hookTimeout: 120_000 } },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: { bindings: { LOG: 'failures' } },
          }),
        ],
        test: { name: 'worker', include: ['test/worker/**/*.test.ts'] },
      },
    ],
  },
});
