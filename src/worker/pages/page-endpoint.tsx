/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx';
import type { Reason } from '../../registry/errors.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { PUBLIC_REALM, realmOf } from '../../registry/realms.ts';
import { CorruptRecordError, NewerVersionError } from '../../registry/unreadable-record.ts';
import { type ReadStore, StorageError } from '../../registry/store.ts';
import { logFailure } from '../log/event.ts';
import { mayList } from '../access/caller.ts';
import type { Resource } from '../access/decision.ts';
import { type Grant, guard } from '../access/guard.ts';
import { type Refused, refused } from '../gateway/answer.ts';
import { type EdgeContext, factsOf, publicOrigin } from '../gateway/edge-context.ts';
import { reportRealmMismatch } from '../gateway/registry.ts';
import type { OriginRules } from '../ingest/origins.ts';
import { withRealms } from '../../bucket/realm-mark.ts';
import { withRetry } from '../../bucket/retry.ts';
import { EMPTY_STORE, r2Store } from '../storage/r2-store.ts';
import type { Place } from './views/layout.tsx';
import { pageResponse } from './page-response.ts';
import { pullsPanel } from './pulls-panel.tsx';
import { placeAt, refusalPage } from './refusal.tsx';

/** What a page is rendered from. */
export interface PageRequest {
  readonly place: Place;
  readonly query: URLSearchParams;
  /** The store with what the caller may read; reads are counted. */
  readonly store: ReadStore;
  readonly grant: Grant;
  /** Which repositories lists may contain; null: all. */
  readonly mayList: ((name: RepositoryName) => boolean) | null;
  readonly isProtected: (name: RepositoryName) => boolean;
  /** The statistics of pulls, of a repository or tag that was found; null where they are switched off. */
  readonly pulls: (name: RepositoryName, tag: Tag | null) => Promise<Child>;
  /** The rules by which repositories are filled from upstreams. */
  readonly origins: OriginRules;
}

/**
 * Answers with a page that the caller may see. `make` returns the page or a refusal. It is called again if storage
 * fails temporarily.
 */
export async function answerPage(
  context: EdgeContext,
  resource: Resource,
  make: (request: PageRequest) => Promise<Child | Refused>,
): Promise<Response> {
  const { config, trace } = context.env;
  const { access, retry, realms } = config;
  const place = placeAt(publicOrigin(context));

  const refuse = (
    reason: Reason,
    message?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> => refusalPage(context, refused(reason, { headers, ...(message !== undefined && { message }) }));

  const answer = async (grant: Grant): Promise<Response> => {
    trace.concealsReads = grant.isPrivate;
    const begun = Date.now();
    const count = { head: 0, get: 0 };
    const store = grant.hidden ? EMPTY_STORE : withRealms(r2Store(config.bucket, count), realms, reportRealmMismatch);
    const request: PageRequest = {
      place,
      query: new URL(context.req.url).searchParams,
      store,
      grant,
      mayList: access.protectedRealms.size === 0 ? null : (name) => mayList(access, grant.caller, name),
      isProtected: (name) => realmOf(realms, name) !== PUBLIC_REALM,
      pulls: (name, tag) => pullsPanel(config, name, tag),
      origins: config.origins,
    };
    try {
      const made = await withRetry(() => make(request), retry);
      return isRefused(made) ? await refusalPage(context, made) : await pageResponse(made, 200, 'moving');
    } catch (error) {
      const reason = reasonOf(error);
      logFailure(reason, { page: context.req.path }, error);
      return await refuse(reason);
    } finally {
      trace.heads += count.head;
      trace.gets += count.get;
      trace.storageTime += Date.now() - begun;
    }
  };

  // The guard needs a response at once; rendering the refusal page is asynchronous.
  let refusal: Promise<Response> | undefined;
  const guarded = await guard(factsOf(context, true), resource, {
    policy: access,
    limiter: config.limiter,
    answer,
    refuse: (reason, headers) => {
      refusal = refuse(reason, undefined, headers);
      return new Response(null);
    },
  });
  return refusal ?? guarded;
}

/** The refusal for an unknown page. */
export function noSuchPage(): Refused {
  return refused('endpoint-unknown', { message: 'There is no such page.' });
}

function isRefused(made: Child | Refused): made is Refused {
  return typeof made === 'object' && made !== null && 'kind' in made;
}

function reasonOf(error: unknown): Reason {
  if (error instanceof StorageError) return 'storage-unavailable';
  return error instanceof NewerVersionError || error instanceof CorruptRecordError ? 'record-corrupt' : 'internal';
}
