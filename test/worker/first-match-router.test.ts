import { describe, expect, test } from 'vitest';
import { FirstMatchRouter } from '../../src/worker/first-match-router.ts';

function routerOf(
  ...lines: readonly (readonly [method: string, path: string])[]
): (method: string, path: string) => string | null {
  const router = new FirstMatchRouter<string>();
  for (const [method, path] of lines) router.add(method, path, `${method} ${path}`);
  return (method, path) => {
    const [handlers, stash = []] = router.match(method, path);
    const [first] = handlers;
    if (first === undefined) return null;
    const [handler, names] = first as [string, Record<string, number>];
    const given = Object.entries(names).map(([name, at]) => `${name}=${(stash as readonly string[])[at] ?? ''}`);
    return [handler, ...given].join(' ');
  };
}

describe('the router', () => {
  test('takes a parameter for one segment, and for several where that is said', () => {
    const match = routerOf(['GET', '/v2/:name{.+}/manifests/:reference'], ['GET', '/help/:reason']);
    expect(match('GET', '/v2/a/b/c/manifests/latest')).toBe(
      'GET /v2/:name{.+}/manifests/:reference name=a/b/c reference=latest',
    );
    expect(match('GET', '/help/a')).toBe('GET /help/:reason reason=a');
    expect(match('GET', '/help/a/b')).toBeNull();
    expect(match('GET', '/v2//manifests/latest')).toBeNull();
  });

  test('takes the last place where a name with slashes can end', () => {
    const match = routerOf(['GET', '/v2/:name{.+}/manifests/:reference']);
    expect(match('GET', '/v2/a/manifests/b/manifests/c')).toContain('name=a/manifests/b reference=c');
  });

  test('gives the first line that fits', () => {
    const match = routerOf(['POST', '/-/purge'], ['ALL', '/-/purge'], ['POST', '/-/:what']);
    expect(match('POST', '/-/purge')).toBe('POST /-/purge');
    expect(match('GET', '/-/purge')).toBe('ALL /-/purge');
    expect(match('POST', '/-/other')).toBe('POST /-/:what what=other');
    expect(match('GET', '/-/other')).toBeNull();
  });

  test.each(['/', '/v2', '/v2/_catalog'])('does not mind a slash at the end of %s', (path) => {
    const match = routerOf(['GET', '/'], ['GET', '/v2'], ['GET', '/v2/_catalog']);
    expect(match('GET', path)).toBe(`GET ${path}`);
    expect(match('GET', `${path}/`.replace('//', '/'))).toBe(`GET ${path}`);
  });

  test('takes what stands in a line for itself', () => {
    const match = routerOf(['GET', '/a.b/(c)+']);
    expect(match('GET', '/a.b/(c)+')).not.toBeNull();
    expect(match('GET', '/axb/ccc')).toBeNull();
  });
});
