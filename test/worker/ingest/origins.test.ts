import { describe, expect, it } from 'vitest';
import {
  allowsRedirect,
  localNameOf,
  originOf,
  parseOrigins,
  remoteNameOf,
} from '../../../src/worker/ingest/origins.ts';
import { ConfigError } from '../../../src/worker/config-reading.ts';
import { nameOf } from '../seed.ts';
import { titleOf } from '../../attacks.ts';

const RULE = { name: 'a', pattern: '*', upstream: 'https://upstream.example' };

describe('ORIGINS', () => {
  it('may be absent, empty, an array, or the text of one', () => {
    for (const nothing of [undefined, '', [], '[]']) expect(parseOrigins(nothing, undefined)).toEqual([]);
    expect(parseOrigins(JSON.stringify([RULE]), undefined)).toEqual(parseOrigins([RULE], undefined));
  });

  it(titleOf('redirect-elsewhere'), () => {
    const rules = parseOrigins(
      [{ ...RULE, token: 'https://auth.example', redirects: ['cdn.example', '*.store.example'] }],
      undefined,
    );
    const [rule] = rules;
    if (rule === undefined) throw new Error('no rule');
    expect(rule.tokenServices.map(({ origin }) => origin)).toEqual(['https://auth.example']);
    const allowed = (url: string): boolean => allowsRedirect(rule, new URL(url));
    expect(allowed('https://upstream.example/b')).toBe(true);
    expect(allowed('https://cdn.example/b')).toBe(true);
    expect(allowed('https://eu.store.example/b')).toBe(true);
    expect(allowed('https://store.example/b')).toBe(false);
    expect(allowed('https://evilstore.example/b')).toBe(false);
    expect(allowed('https://other.example/b')).toBe(false);
    expect(parseOrigins([RULE], undefined)[0]?.redirects).toBeNull();
  });

  it('has seconds, and gives milliseconds', () => {
    expect(parseOrigins([{ ...RULE, lifetime: 60, stale: 0, grace: 1, timeout: 5 }], undefined)[0]).toMatchObject({
      lifetime: 60_000,
      stale: 0,
      grace: 1_000,
      timeout: 5_000,
    });
  });

  it.each([
    ['no JSON', '[', /ORIGINS is not JSON/],
    ['no array', {}, /must be an array/],
    ['no object', ['https://upstream.example'], /ORIGINS\[0\] must be an object/],
    ['a member that is not known', [{ ...RULE, ttl: 1 }], /unknown member "ttl"/],
    ['a kind that is not known', [{ ...RULE, kind: 'pulp2' }], /kind must be "registry" or "pulp3"/],
    ['a switch that is no switch', [{ ...RULE, flatpak: 'yes' }], /flatpak must be true or false/],
    ['a certificate that is no name', [{ ...RULE, certificate: 'a.pem' }], /certificate must be the name of a binding/],
    ['a certificate without a binding', [{ ...RULE, certificate: 'NONE' }], /\[\[mtls_certificates\]\]/],
    [
      'a certificate for plain http',
      [{ ...RULE, upstream: 'http://upstream.example', certificate: 'NONE' }],
      /needs an upstream with https/,
    ],
    ['no name', [{ ...RULE, name: '' }], /name must be/],
    ['no pattern', [{ ...RULE, pattern: 'A/*' }], /pattern must be/],
    ['a star in the middle', [{ ...RULE, pattern: 'a/*/b' }], /pattern must be/],
    ['a remote without the star of the pattern', [{ ...RULE, remote: 'one' }], /remote must be/],
    ['a remote with a star that the pattern has not', [{ ...RULE, pattern: 'one', remote: '*' }], /remote must be/],
    ['no address', [{ ...RULE, upstream: 'upstream.example' }], /upstream must be an address/],
    ['a password in the address', [{ ...RULE, upstream: 'https://u:p@upstream.example' }], /ORIGIN_CREDENTIALS/],
    ['/v2 in the address', [{ ...RULE, upstream: 'https://upstream.example/v2/' }], /must not end in \/v2/],
    ['a lifetime that is no number', [{ ...RULE, lifetime: '60' }], /lifetime must be a number of seconds/],
    ['an expiry that is no number of days', [{ ...RULE, expire: 1.5 }], /expire must be a whole number of days/],
    [
      'an expiry within which no pull would be noted',
      [{ ...RULE, lifetime: 86_400, expire: 2 }],
      /expire must be more than twice the lifetime/,
    ],
    ['a largest blob of nothing', [{ ...RULE, largest: 0 }], /largest must be a whole number of MiB/],
    ['a lifetime of nothing', [{ ...RULE, lifetime: 0 }], /lifetime must be a number of seconds/],
    ['another way of delivery', [{ ...RULE, blobs: 'proxy' }], /blobs must be/],
    ['a platform that is none', [{ ...RULE, platforms: ['amd64'] }], /platforms\[0\] must be/],
    ['no platform', [{ ...RULE, platforms: [] }], /platforms must be an array/],
    ['a token service over plain http', [{ ...RULE, token: 'http://auth.example' }], /token must be an https URL/],
    ['a redirect to anything', [{ ...RULE, redirects: ['*'] }], /redirects must be hosts/],
    ['a host that is none', [{ ...RULE, ns: 'https://docker.io' }], /ns must be a registry's host/],
    [
      'a name twice',
      [
        { ...RULE, pattern: 'a/*' },
        { ...RULE, pattern: 'b/*' },
      ],
      /two rules named "a"/,
    ],
    [
      'a host twice',
      [
        { ...RULE, pattern: 'a/*', ns: 'docker.io' },
        { ...RULE, name: 'b', pattern: 'b/*', ns: 'Docker.io' },
      ],
      /two rules with ns/,
    ],
    ['a rule that never applies', [RULE, { ...RULE, name: 'b', pattern: 'b/*' }], /never applies/],
  ])('is refused with what to do: %s', (_title, value, message) => {
    expect(() => parseOrigins(value, undefined)).toThrow(ConfigError);
    expect(() => parseOrigins(value, undefined)).toThrow(message);
  });
});

describe('ORIGIN_CREDENTIALS', () => {
  it.each([
    [
      { username: 'u', password: 'p' },
      { kind: 'basic', username: 'u', password: 'p' },
    ],
    [{ token: 't' }, { kind: 'registry-token', token: 't' }],
    [{ identityToken: 't' }, { kind: 'identity-token', token: 't' }],
  ])('belong to a rule: %j', (given, credentials) => {
    expect(parseOrigins([RULE], JSON.stringify({ a: given }))[0]?.credentials).toEqual(credentials);
  });

  it.each([
    ['no JSON', '{"a": {"password": "secret"', /not JSON/],
    ['no object', [], /must be an object/],
    ['a rule that is not there', { b: { token: 'secret' } }, /"b", which is not a rule/],
    ['half of them', { a: { username: 'secret' } }, /must have username and password/],
    ['two kinds', { a: { username: 'u', password: 'secret', token: 'secret' } }, /must have username and password/],
    ['a colon in the user', { a: { username: 'u:secret', password: 'secret' } }, /":"/],
  ])('are refused without being shown: %s', (_title, value, message) => {
    expect(() => parseOrigins([RULE], value)).toThrow(message);
    const shown = ((): string => {
      try {
        return JSON.stringify(parseOrigins([RULE], value));
      } catch (error) {
        return `${String(error)} ${String((error as Error).cause)}`;
      }
    })();
    expect(shown).not.toContain('secret');
  });

  it('are not sent over plain http, except to this machine', () => {
    const credentials = { a: { username: 'u', password: 'p' } };
    expect(() => parseOrigins([{ ...RULE, upstream: 'http://upstream.example' }], credentials)).toThrow(
      /must be https/,
    );
    expect(parseOrigins([{ ...RULE, upstream: 'http://127.0.0.1:5000' }], credentials)).toHaveLength(1);
    expect(parseOrigins([{ ...RULE, upstream: 'http://upstream.example' }], undefined)).toHaveLength(1);
  });
});

describe('a repository', () => {
  it.each([
    ['*', undefined, 'a/b', 'a/b'],
    ['hub/*', '*', 'hub/library/busybox', 'library/busybox'],
    ['hub/*', undefined, 'hub/a', 'hub/a'],
    ['library/*', 'mirror/docker/*', 'library/busybox', 'mirror/docker/busybox'],
    ['one', 'other/name', 'one', 'other/name'],
    ['hub/*', '*', 'hub', null],
    ['hub/*', '*', 'hubs/a', null],
    ['one', undefined, 'one/two', null],
  ])('%s (remote %s): %s is %s upstream', (pattern, remote, name, expected) => {
    const rules = parseOrigins([{ ...RULE, pattern, ...(remote !== undefined && { remote }) }], undefined);
    const rule = originOf(rules, nameOf(name));
    expect(rule === null ? null : remoteNameOf(rule, nameOf(name))).toBe(expected);
  });

  it('is filled by the first rule that matches', () => {
    const rules = parseOrigins(
      [
        { ...RULE, pattern: 'a/b' },
        { ...RULE, name: 'b', pattern: 'a/*' },
        { ...RULE, name: 'c' },
      ],
      undefined,
    );
    expect(['a/b', 'a/c', 'd'].map((name) => originOf(rules, nameOf(name))?.name)).toEqual(['a', 'b', 'c']);
  });

  it('of another registry is the one that stands for it, and none where nothing does', () => {
    const rules = parseOrigins(
      [
        { ...RULE, pattern: 'hub/*', remote: '*', ns: 'docker.io' },
        { ...RULE, name: 'b', pattern: '*' },
      ],
      undefined,
    );
    expect(localNameOf(rules, 'docker.io', nameOf('library/busybox'))).toBe('hub/library/busybox');
    expect(localNameOf(rules, 'quay.io', nameOf('library/busybox'))).toBeNull();
    // Where no rule is for a host, mirrors are what they always were: the name is the name.
    expect(localNameOf(parseOrigins([RULE], undefined), 'docker.io', nameOf('library/busybox'))).toBe(
      'library/busybox',
    );
  });
});
