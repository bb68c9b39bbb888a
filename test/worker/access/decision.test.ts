import { describe, expect, it } from 'vitest';
import { parseRepositoryName, type RepositoryName } from '../../../src/registry/name.ts';
import type { RealmName } from '../../../src/registry/realms.ts';
import { type Caller, callerWithout, together } from '../../../src/worker/access/caller.ts';
import { challengeOf } from '../../../src/worker/access/challenge.ts';
import { decide, type Decision, isOpenToAll, type Resource } from '../../../src/worker/access/decision.ts';
import { type AccessPolicy, parseAccess } from '../../../src/worker/access/policy.ts';

const REALMS = [
  { pattern: 'team-a/open/*', realm: 'public' },
  { pattern: 'team-a/*', realm: 'team-a' },
  { pattern: 'team-b/*', realm: 'team-b' },
];
const policy = parseAccess({ realms: REALMS });
const withLogin = (login: string): AccessPolicy => parseAccess({ realms: REALMS, access: { login } });
const repo = (text: string): RepositoryName => parseRepositoryName(text) ?? expect.fail(text);
const realm = (text: string): RealmName => [...policy.protectedRealms].find((one) => one === text) ?? expect.fail(text);

const CALLERS = {
  nobody: callerWithout('nobody'),
  guest: callerWithout('guest'),
  refused: callerWithout('refused'),
  'known, nothing': { ...callerWithout('nobody'), standing: 'known' },
  'known, team-a': { ...callerWithout('nobody'), standing: 'known', realms: new Set([realm('team-a')]) },
  'known, team-a/x': { ...callerWithout('nobody'), standing: 'known', repositories: new Set(['team-a/x']) },
  'lists team-a': { ...callerWithout('nobody'), standing: 'known', listed: new Set([realm('team-a')]) },
} as const satisfies Record<string, Caller>;

const ping: Resource = { kind: 'ping' };
const listing: Resource = { kind: 'listing' };
const of = (name: string): Resource => ({ kind: 'repository', name: repo(name) });
const short = (decision: Decision): string =>
  decision.kind === 'allow'
    ? `${decision.realm} ${decision.downstream}`
    : decision.kind === 'challenge'
      ? `challenge ${decision.scope ?? '-'}`
      : `hide ${decision.realm}`;

describe('who may do what', () => {
  it.each<[keyof typeof CALLERS, Resource, string]>([
    ['nobody', ping, 'challenge -'],
    ['refused', ping, 'challenge -'],
    ['guest', ping, 'public private'],
    ['known, nothing', ping, 'public private'],
    // What is public is everybody's, whatever was presented.
    ['nobody', of('library/x'), 'public public'],
    ['refused', of('library/x'), 'public public'],
    ['guest', of('library/x'), 'public public'],
    ['known, team-a', of('library/x'), 'public public'],
    ['nobody', of('team-a/open/x'), 'public public'],
    ['nobody', of('team-ab/x'), 'public public'],
    // A challenge before authentication, whether the repository exists or not.
    ['nobody', of('team-a/x'), 'challenge team-a/x'],
    ['guest', of('team-a/x'), 'challenge team-a/x'],
    ['refused', of('team-a/x'), 'challenge team-a/x'],
    // Nothing after it.
    ['known, nothing', of('team-a/x'), 'hide team-a'],
    ['known, team-a', of('team-b/x'), 'hide team-b'],
    ['known, team-a/x', of('team-a/y'), 'hide team-a'],
    ['lists team-a', of('team-a/x'), 'hide team-a'],
    ['known, team-a', of('team-a/x'), 'team-a private'],
    ['known, team-a/x', of('team-a/x'), 'team-a private'],
    ['nobody', listing, 'public public'],
    ['guest', listing, 'public public'],
    ['refused', listing, 'challenge -'],
    ['known, nothing', listing, 'public private'],
    ['nobody', { kind: 'open' }, 'public public'],
    ['refused', { kind: 'open' }, 'public public'],
  ])('%s, %j: %s', (caller, resource, expected) => {
    expect(short(decide(policy, CALLERS[caller], resource))).toBe(expected);
  });

  it('never looks at credentials where everything is public', () => {
    const open = parseAccess({});
    for (const resource of [ping, listing, of('team-a/x'), { kind: 'open' } as const]) {
      expect(isOpenToAll(open, resource)).toBe(true);
      expect(short(decide(open, CALLERS.refused, resource))).toBe('public public');
    }
  });

  it('leaves /v2/ open where told so', () => {
    expect(short(decide(withLogin('none'), CALLERS.nobody, ping))).toBe('public public');
    expect(short(decide(withLogin('none'), CALLERS.nobody, of('team-a/x')))).toBe('challenge team-a/x');
  });
});

describe('two ways in at once', () => {
  it('open what either opens, and one that does not hold is not made good by the other', () => {
    const both = together(CALLERS['known, team-a/x'], {
      ...CALLERS['known, team-a'],
      realms: new Set([realm('team-b')]),
    });
    expect(short(decide(policy, both, of('team-a/x')))).toBe('team-a private');
    expect(short(decide(policy, both, of('team-b/x')))).toBe('team-b private');
    expect(short(decide(policy, both, of('team-a/y')))).toBe('hide team-a');
    const expired = together(CALLERS.refused, CALLERS['known, team-a']);
    expect(short(decide(policy, expired, of('team-a/x')))).toBe('team-a private');
    expect(short(decide(policy, expired, of('team-b/x')))).toBe('challenge team-b/x');
    expect(short(decide(policy, expired, ping))).toBe('challenge -');
  });

  it('end when the first of them ends', () => {
    const until = (year: string): Caller => ({
      ...CALLERS['known, team-a'],
      expires: new Date(`${year}-01-01T00:00:00Z`),
    });
    expect(together(until('2027'), until('2028')).expires?.getUTCFullYear()).toBe(2027);
    expect(together(until('2028'), CALLERS.nobody).expires?.getUTCFullYear()).toBe(2028);
    expect(together(CALLERS.nobody, until('2028')).expires?.getUTCFullYear()).toBe(2028);
    expect(together(CALLERS.nobody, CALLERS.nobody).expires).toBeNull();
  });
});

describe('a challenge', () => {
  const facts = { origin: 'https://registry.example', scope: null, refused: false };

  it('names the token endpoint, the service and the scope', () => {
    expect(challengeOf(policy, facts)).toBe('Bearer realm="https://registry.example/token",service="registry.example"');
    expect(challengeOf(policy, { ...facts, scope: repo('team-a/x'), refused: true })).toBe(
      'Bearer realm="https://registry.example/token",service="registry.example",scope="repository:team-a/x:pull",error="invalid_token"',
    );
  });

  it('names somebody else’s token server where there is one', () => {
    const theirs = parseAccess({
      realms: REALMS,
      access: { authority: 'https://pulp.example/token/', service: 'pulp.example' },
    });
    expect(challengeOf(theirs, facts)).toBe('Bearer realm="https://pulp.example/token/",service="pulp.example"');
  });

  it('is Basic where told so, and for pages', () => {
    expect(challengeOf(withLogin('basic'), facts)).toBe('Basic realm="registry.example", charset="UTF-8"');
    expect(challengeOf(policy, { ...facts, page: true })).toBe('Basic realm="registry.example", charset="UTF-8"');
  });
});
