import type { Child } from 'hono/jsx';
import { CACHING, type CacheKind } from '../gateway/cache-policy.ts';
import { contentSecurityPolicy } from './views/style.ts';

/** A page as a response. HEAD gets the same headers: Hono drops the body. */
export async function pageResponse(
  page: Child,
  status: number,
  caching: CacheKind,
  more: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const body = new TextEncoder().encode(`<!doctype html>${await render(page)}`);
  return new Response(body, {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-length': String(body.length),
      'cache-control': CACHING[caching].cacheControl,
      'content-security-policy': await contentSecurityPolicy(),
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      ...more,
    },
  });
}

async function render(page: Child): Promise<string> {
  const text: unknown = await (page as { toString(): string | Promise<string> } | null)?.toString();
  return String(text);
}
