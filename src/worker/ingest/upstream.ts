/** The state of one isolate for each upstream: the client with its tokens, and recent results. */
import { OriginError, type OriginErrorCode } from '../../origin/errors.ts';
import { createRegistryClient } from '../../origin/client.ts';
import type { RegistryClient } from '../../origin/registry-client.ts';
import type { Fetch } from '../../origin/transport.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { lastComparisons } from './freshness.ts';
import { allowsRedirect, type OriginRule, remoteNameOf } from './origins.ts';
import type { ClientCertificate } from './rules/members.ts';
import { ExpiringMap } from '../storage/expiring-map.ts';
import type { BlobOutcome } from './fill-blob.ts';
import type { ObjectAtHand } from './overlay.ts';
import { SingleFlight } from './single-flight.ts';
import type { FetchedTag } from './ingest-tag.ts';

/** An upstream's failure. */
export interface Outage {
  readonly code: OriginErrorCode;
  readonly message: string;
}

/** An upstream with its state. Times in milliseconds. */
export interface Upstream {
  readonly rule: OriginRule;
  readonly client: RegistryClient;
  readonly tags: SingleFlight<FetchedTag | 'unknown' | 'published' | 'unchanged'>;
  readonly manifests: SingleFlight<ObjectAtHand | 'unknown'>;
  readonly signatures: SingleFlight<ObjectAtHand | 'unknown'>;
  /** Tags whose schema 2 is being derived, which needs all their layers. */
  readonly completions: SingleFlight<FetchedTag | 'moved'>;
  readonly blobs: SingleFlight<BlobOutcome>;
  /** Blobs of which bytes arrived recently: by key. */
  readonly progress: ExpiringMap<true>;
  readonly checks: SingleFlight<Outage | null>;
  /** Lists, and the bytes that they were received as. */
  readonly listFlights: SingleFlight<{ readonly items: readonly unknown[] | 'unknown'; readonly bytes: number }>;
  /** Recent lists of the upstream. */
  readonly lists: ExpiringMap<readonly unknown[] | 'unknown'>;
  /** Lists that the upstream gave earlier, for as long as they may be answered while it fails. */
  readonly earlierLists: ExpiringMap<readonly unknown[] | 'unknown'>;
  readonly indexFlights: SingleFlight<readonly { readonly Name: RepositoryName }[]>;
  /** Lists for Flatpak, for as long as they may be answered while the upstream fails: by path. */
  readonly indexes: ExpiringMap<{
    readonly repositories: readonly { readonly Name: RepositoryName }[];
    readonly fetched: number;
  }>;
  /** Negative answers of the upstream: by path. */
  readonly unknown: ExpiringMap<true>;
  /** When tags were last compared with the upstream: by key. */
  readonly checked: ExpiringMap<number>;
  /** Failed comparisons of tags, until they may be repeated: by key. */
  readonly outages: ExpiringMap<Outage>;
  /** What is beyond the limits of filling, and which: by what was fetched. */
  readonly overLimit: ExpiringMap<string>;
  /** Requests that failed recently: by the name of the repository here. */
  readonly failed: ExpiringMap<Outage>;
  /** The rate limit of the upstream while it lasts, under one key. */
  readonly limited: ExpiringMap<Outage & { readonly until: number }>;
}

/** The User-Agent of the edge. */
const USER_AGENT = 'gantry-edge';

/** Entries of each kind for one upstream. */
const REMEMBERED = 10_000;

/** Cached lists of one upstream: each may be long. */
const LISTS = 50;

/** Cached lists for Flatpak of one upstream: each may have megabytes. */
const INDEXES = 4;

// A client waits for the answer: two attempts at most, and no long pause.
const POLICY = { attempts: 2, backoff: 200, maxBackoff: 1_000, maxRetryAfter: 1_000, maxPages: 50 } as const;

const known = new WeakMap<OriginRule, Upstream>();

/** The upstream of a rule. Rules are parsed once in an isolate, so the state lives as long as they do. */
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
        policy: {
          ...POLICY,
          tokenServices: rule.tokenServices,
          allowRedirect: (_, to) => allowsRedirect(rule, to),
        },
        missing: rule.missing,
        ...(rule.certificate !== null && { fetch: withCertificate(rule.certificate, rule.upstream) }),
      }),
      tags: new SingleFlight(),
      manifests: new SingleFlight(),
      signatures: new SingleFlight(),
      completions: new SingleFlight(),
      blobs: new SingleFlight(),
      progress: new ExpiringMap(REMEMBERED),
      checks: new SingleFlight(),
      listFlights: new SingleFlight(),
      lists: new ExpiringMap(LISTS),
      earlierLists: new ExpiringMap(LISTS),
      indexFlights: new SingleFlight(),
      indexes: new ExpiringMap(INDEXES),
      unknown: new ExpiringMap(REMEMBERED),
      checked: lastComparisons(rule),
      outages: new ExpiringMap(REMEMBERED),
      overLimit: new ExpiringMap(REMEMBERED),
      failed: new ExpiringMap(REMEMBERED),
      limited: new ExpiringMap(1),
    };
    known.set(rule, upstream);
  }
  return upstream;
}

/** Shows the client certificate to the upstream alone, and not to hosts that it redirects to. */
function withCertificate(certificate: ClientCertificate, { origin }: URL): Fetch {
  return (url, init) => (new URL(url).origin === origin ? certificate.fetch(url, init) : fetch(url, init));
}

/** Forgets the state of an upstream: a request that the platform ended may have left promises that never settle. */
export function forgetUpstream(rule: OriginRule): void {
  known.delete(rule);
}

/** The name of a repository at the upstream. Throws {@link OriginError} if the rule gives a name that is not valid. */
export function remoteName(rule: OriginRule, name: RepositoryName): RepositoryName {
  const remote = remoteNameOf(rule, name);
  if (remote === null)
    throw new OriginError('ORIGIN_POLICY', `the rule "${rule.name}" gives ${name} an upstream name that is not valid`);
  return remote;
}
