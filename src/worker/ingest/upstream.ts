/** What one isolate knows of each upstream: the client with its tokens, and what was found out a moment ago. */
import { OriginError, type OriginErrorCode } from '../../origin/errors.ts';
import { createRegistryClient, type RegistryClient } from '../../origin/client.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { lastComparisons } from './freshness.ts';
import { type OriginRule, remoteNameOf } from './origins.ts';
import { ExpiringMap } from '../storage/expiring-map.ts';
import type { BlobOutcome } from './fill-blob.ts';
import { Flights } from './single-flight.ts';
import type { FetchedTag } from './ingest-tag.ts';
import type { StoredManifest } from './ingest-manifest.ts';

/** That an upstream could not be asked, and what it said. */
export interface Outage {
  readonly code: OriginErrorCode;
  readonly message: string;
}

/** An upstream, as this isolate knows it. Times in milliseconds. */
export interface Upstream {
  readonly rule: OriginRule;
  readonly client: RegistryClient;
  readonly tags: Flights<FetchedTag | 'unknown' | 'published' | 'unchanged'>;
  readonly manifests: Flights<StoredManifest | 'unknown'>;
  readonly blobs: Flights<BlobOutcome>;
  /** Blobs of which bytes came a moment ago: by key. */
  readonly progress: ExpiringMap<true>;
  readonly checks: Flights<Outage | null>;
  readonly listFlights: Flights<readonly unknown[] | 'unknown'>;
  /** Lists that the upstream gave a moment ago. */
  readonly lists: ExpiringMap<readonly unknown[] | 'unknown'>;
  /** Lists that the upstream gave earlier, for as long as they may be answered while it fails. */
  readonly earlierLists: ExpiringMap<readonly unknown[] | 'unknown'>;
  /** What the upstream has said that it does not have: paths. */
  readonly unknown: ExpiringMap<true>;
  /** When tags were last compared with the upstream's: by key. */
  readonly checked: ExpiringMap<number>;
  /** Tags whose last comparison failed: by key; until the next may be tried. */
  readonly outages: ExpiringMap<Outage>;
  /** While the upstream wants to be left alone: how it said so, under one key. */
  readonly limited: ExpiringMap<Outage & { readonly until: number }>;
}

/** What this program calls itself. */
const USER_AGENT = 'gantry-edge';

/** Things remembered of one upstream, of each kind. */
const REMEMBERED = 10_000;

/** Lists remembered of one upstream: each may be long. */
const LISTS = 50;

// Somebody waits for the answer: asked twice at most, and never after a long pause.
const POLICY = { attempts: 2, backoff: 200, maxBackoff: 1_000, maxRetryAfter: 1_000, maxPages: 50 } as const;

const known = new WeakMap<OriginRule, Upstream>();

/** The upstream of a rule. Rules are read once an isolate, so what is known lives as long as they do. */
export function upstreamOf(rule: OriginRule): Upstream {
  let upstream = known.get(rule);
  if (upstream === undefined) {
    upstream = {
      rule,
      client: createRegistryClient({
        baseUrl: rule.upstream,
        userAgent: USER_AGENT,
        credentials: rule.credentials,
        timeouts: { answer: rule.timeout, idle: rule.timeout },
        policy: POLICY,
        missing: rule.missing,
      }),
      tags: new Flights(),
      manifests: new Flights(),
      blobs: new Flights(),
      progress: new ExpiringMap(REMEMBERED),
      checks: new Flights(),
      listFlights: new Flights(),
      lists: new ExpiringMap(LISTS),
      earlierLists: new ExpiringMap(LISTS),
      unknown: new ExpiringMap(REMEMBERED),
      checked: lastComparisons(rule),
      outages: new ExpiringMap(REMEMBERED),
      limited: new ExpiringMap(1),
    };
    known.set(rule, upstream);
  }
  return upstream;
}

/** Forgets what is known of an upstream: a request that was ended in the midst of its work may have left promises behind that never end. */
export function forgetUpstream(rule: OriginRule): void {
  known.delete(rule);
}

/** What a repository is called upstream. Throws {@link OriginError} if the rule makes a name of it that is none. */
export function remoteName(rule: OriginRule, name: RepositoryName): RepositoryName {
  const remote = remoteNameOf(rule, name);
  if (remote === null)
    throw new OriginError('ORIGIN_POLICY', `the rule "${rule.name}" gives ${name} a name upstream that is none`);
  return remote;
}
