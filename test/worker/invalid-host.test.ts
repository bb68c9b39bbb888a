/** An invalid `Host` is the client's fault (RFC 9112, section 3.2), not an error of the Worker. */
import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import { createExecutionContext } from 'cloudflare:test';
import { configOf, serve } from '../../src/worker/serve.ts';
import { directPort } from '../../src/worker/gateway/registry-port.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;

test.each(['http://[::1/v2/', 'http://evil.example:99999/', 'http://a b/token'])(
  '%s is answered with 400',
  async (url) => {
    const ctx = createExecutionContext();
    // The runtime takes the header into the URL as it is; `new Request` would refuse it.
    const request = new Proxy(new Request('http://registry.example/'), {
      get: (target, name) => (name === 'url' ? url : (Reflect.get(target, name) as unknown)),
    });
    const read = () => configOf({ LOG: 'failures', BUCKET: bucket });
    const response = await serve(request, read, (config) => directPort(config, ctx), ctx);
    expect(response.status).toBe(400);
  },
);
