import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import type { Env } from '../../src/worker/config.ts';
import { registryPort } from '../../src/worker/gateway/registry-port.ts';
import { configOf, serve } from '../../src/worker/serve.ts';

// Whether the platform has a cache for this plan and zone is known only when it is asked; it may throw.
it('a cache that cannot be detected is done without: clients get an answer of the registry', async () => {
  const settings: Env = { BUCKET: (env as unknown as Env).BUCKET, LOG: 'failures' };
  const ctx = createExecutionContext();
  const exports = {
    Registry: () => ({ isCached: () => Promise.reject(new Error('ctx.cache is not available')) }),
  };
  const response = await serve(
    new Request('https://edge.example/v2/a/manifests/latest'),
    () => configOf(settings),
    (config) => registryPort(config, settings, { exports, waitUntil: () => undefined }),
    ctx,
  );
  const { errors } = await response.json<{ errors: { code: string }[] }>();
  expect([response.status, errors[0]?.code]).toEqual([404, 'NAME_UNKNOWN']);
});
