/**
 * The list of Flatpak applications ("OCI image index", as Flatpak reads it from `/index/static`; Pulp 3 and Fedora's
 * registry have it): that of each upstream whose rule passes it on, with the names of repositories here, and with only
 * what the rule serves and the caller may see. Nothing is stored.
 */
import { OriginError } from '../../../origin/errors.ts';
import { parseRepositoryName, type RepositoryName } from '../../../registry/name.ts';
import { objectOf } from '../../../registry/values/json.ts';
import { type Answer, foundJson } from '../../gateway/answer.ts';
import { pathOf, type RegistryRequest } from '../../gateway/registry-request.ts';
import type { RateLimiter } from '../../access/login-limit.ts';
import { FILL_LIMITS, FillLimitError, fillOnce } from '../fill-limits.ts';
import { type OriginRule, type OriginRules, originOf, remoteNameOf, repositoryOf } from '../origins.ts';
import { noteOutage, refuseUnavailable } from '../pull.ts';
import { withWarning } from '../stored-answer.ts';
import { type Outage, type Upstream, upstreamOf } from '../upstream.ts';

/** A repository of a list, with images. Only its name is ours to change. */
interface FlatpakRepository {
  readonly Name: RepositoryName;
}

interface FlatpakList {
  readonly repositories: readonly FlatpakRepository[];
  /** Why the list is an older one; null if the upstream gave it now. */
  readonly outage: Outage | null;
}

type FlatpakRequest = Extract<RegistryRequest, { kind: 'flatpak-index' }>;

/** What answering needs. `keep`: which repositories the caller may see; null: all. */
export interface FlatpakContext {
  readonly keep: ((name: RepositoryName) => boolean) | null;
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** As for {@link import('../pull.ts').FillContext}. */
  readonly fillLimiter: RateLimiter | null;
  readonly client: string | null;
}

/** Milliseconds that an upstream's list is cached at most. */
const LIST_LIFETIME = 60_000;

/**
 * Answers with `{"Results": […]}`; the gateway adds the address of this registry. A list that an upstream does not give
 * is unknown: then there is no answer, because clients take an application that a list lacks for removed.
 */
export async function answerFlatpakIndex(
  request: FlatpakRequest,
  rules: OriginRules,
  context: FlatpakContext,
): Promise<Answer> {
  const { keep } = context;
  const query = new URLSearchParams(request.query);
  const lists: FlatpakList[] = [];
  const results: FlatpakRepository[] = [];
  for (const rule of rules.filter(({ flatpak }) => flatpak)) {
    const own = queryFor(query, rules, rule);
    if (own === null) continue;
    const upstream = upstreamOf(rule);
    let list: FlatpakList;
    try {
      list = await listOf(upstream, request, own, context);
    } catch (error) {
      if (error instanceof FillLimitError) return error.answer;
      if (!(error instanceof OriginError)) throw error;
      noteOutage(upstream, error, pathOf(request));
      return refuseUnavailable(rule, error);
    }
    lists.push(list);
    for (const repository of list.repositories) {
      const name = repositoryOf(rules, rule, repository.Name);
      if (name !== null && keep?.(name) !== false) results.push({ ...repository, Name: name });
    }
  }
  const body = new TextEncoder().encode(JSON.stringify({ Results: results }));
  const answer = await foundJson(body);
  const [rule] = rules.filter(({ flatpak }) => flatpak);
  const outage = lists.find((list) => list.outage !== null)?.outage ?? null;
  return rule === undefined || outage === null ? answer : withWarning(answer, rule, outage);
}

/** The query for an upstream, with its own names; null if the client wants none of its repositories. */
function queryFor(query: URLSearchParams, rules: OriginRules, rule: OriginRule): URLSearchParams | null {
  const own = new URLSearchParams([...query].filter(([key]) => key !== 'repository'));
  const wanted = query.getAll('repository');
  for (const text of wanted) {
    const name = parseRepositoryName(text);
    const remote = name !== null && originOf(rules, name) === rule ? remoteNameOf(rule, name) : null;
    if (remote !== null) own.append('repository', remote);
  }
  return wanted.length > 0 && !own.has('repository') ? null : own;
}

/**
 * The list of an upstream, fetched once for all concurrent requests, and cached briefly. Throws {@link OriginError}.
 */
async function listOf(
  upstream: Upstream,
  { index }: FlatpakRequest,
  query: URLSearchParams,
  context: FlatpakContext,
): Promise<FlatpakList> {
  const { rule, indexes, indexFlights } = upstream;
  const key = `${index}?${query.toString()}`;
  const now = Date.now();
  const known = indexes.get(key, now);
  if (known !== undefined && now - known.fetched < Math.min(rule.lifetime, LIST_LIFETIME))
    return { repositories: known.repositories, outage: null };
  try {
    const pull = { ...context, rule, upstream };
    const repositories = await fillOnce(pull, indexFlights, FILL_LIMITS.flatpak, key, async (client) => {
      const found = await client.document(`index/${index}`, query);
      return found.kind === 'not-found' ? [] : readIndex(found.bytes, rule);
    });
    indexes.set(key, { repositories, fetched: now }, now + rule.lifetime + rule.stale);
    return { repositories, outage: null };
  } catch (error) {
    if (!(error instanceof OriginError) || known === undefined) throw error;
    return { repositories: known.repositories, outage: noteOutage(upstream, error, `index/${index}`) };
  }
}

/** Reads the list of an upstream. Entries without a valid name are left out. Throws {@link OriginError}. */
function readIndex(bytes: Uint8Array, { upstream }: OriginRule): readonly FlatpakRepository[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new OriginError('ORIGIN_PROTOCOL', `${upstream.host} sent a list for Flatpak that is not JSON`, { cause });
  }
  const { Results: results } = objectOf(value);
  if (!Array.isArray(results))
    throw new OriginError('ORIGIN_PROTOCOL', `${upstream.host} sent a list for Flatpak without Results`);
  return results.flatMap((item: unknown) => {
    const { Name: text } = objectOf(item);
    const name = typeof text === 'string' ? parseRepositoryName(text) : null;
    return name === null ? [] : [{ ...(item as object), Name: name }];
  });
}
