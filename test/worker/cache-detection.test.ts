import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { Env } from '../../src/worker/config.ts';
import { registryPort } from '../../src/worker/gateway/registry-port.ts';
import { configOf, serve } from '../../src/worker/serve.ts';

/** Asks a Worker whose own entrypoints are these. */
async function ask(exports: unknown): Promise<{ readonly status: number; readonly code: string | undefined }> {
  const settings: Env = { BUCKET: (env as unknown as Env).BUCKET, LOG: 'failures' };
  const response = await serve(
    new Request('https://edge.example/v2/a/manifests/latest'),
    () => configOf(settings),
    (config) => registryPort(config, settings, { exports, waitUntil: () => undefined }),
    createExecutionContext(),
  );
  const { errors } = await response.json<{ errors: { code: string }[] }>();
  return { status: response.status, code: errors[0]?.code };
}

const failing = (): never => {
  throw new Error('ctx.cache is not available');
};

// Whether the platform has a cache for this plan and zone is known only when it is asked; it may throw.
describe('a cache that cannot be used is done without: clients get an answer of the registry', () => {
  it.each<[string, unknown]>([
    ['it does not say whether it is there', { Registry: () => ({ isCached: () => Promise.reject(new Error('x')) }) }],
    ['asking throws at once', { Registry: () => ({ isCached: failing }) }],
    ['the entrypoint throws', { Registry: failing }],
    ['there are no entrypoints', undefined],
    ['reading the entrypoints throws', Object.defineProperty({}, 'Registry', { get: failing })],
  ])('%s', async (_, exports) => {
    expect(await ask(exports)).toEqual({ status: 404, code: 'NAME_UNKNOWN' });
  });

  it('a call through it fails: the answer is an error of the registry, not of the platform', async () => {
    const Registry = () => ({ isCached: () => Promise.resolve(true), fetch: () => Promise.reject(new Error('x')) });
    const { status, code } = await ask({ Registry });
    expect([status, code]).toEqual([500, 'UNKNOWN']);
  });
});
