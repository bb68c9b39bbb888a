/**
 * Lists of repositories beside `/v2/_catalog`: `docker search`, and crane's lists. They request the catalogue from the
 * registry.
 */
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import type { Grant } from '../access/guard.ts';
import { cranePage, craneRepositories, wantsJson } from './crane-repositories.ts';
import {
  fetchFromRegistry,
  type EdgeContext,
  type EdgeHandler,
  withAccess,
  refuseTo,
  WHOLE_REPRESENTATION,
} from '../gateway/edge-context.ts';
import { isMeant, searchAnswer } from './name-search.ts';

/** `/v1/search?q=&n=&page=` (Docker's v1 index API). */
export const search: EdgeHandler = (c) =>
  withAccess(c, { kind: 'listing' }, (grant) =>
    withNames(c, grant, (names) => {
      const { searchParams } = new URL(c.req.url);
      const query = searchParams.get('q') ?? '';
      return {
        type: MEDIA_TYPES.json,
        text: JSON.stringify(
          searchAnswer(
            searchParams,
            names.filter((name) => isMeant(query, name)),
          ),
        ),
      };
    }),
  );

/** `/crane/repositories`, `/crane/repositories/v2`: HTML, or JSON if the client accepts it. */
export const crane: EdgeHandler = (c) =>
  withAccess(c, { kind: 'listing' }, (grant) =>
    withNames(
      c,
      grant,
      async (names) => {
        const repositories = craneRepositories(c.env.config.realms, names);
        if (wantsJson(c.req.raw.headers.get('accept')))
          return { type: MEDIA_TYPES.json, text: JSON.stringify(repositories) };
        return { type: 'text/html; charset=utf-8', text: await cranePage(repositories) };
      },
      ['Accept'],
    ),
  );

interface Written {
  readonly type: string;
  readonly text: string;
}

/** Answers with what `write` makes of the names that the caller may see. `vary`: request headers that it depends on. */
async function withNames(
  c: EdgeContext,
  grant: Grant,
  write: (names: readonly RepositoryName[]) => Written | Promise<Written>,
  vary: readonly string[] = [],
): Promise<Response> {
  const reply = await fetchFromRegistry(
    c,
    { kind: 'catalog', page: { n: null, last: null } },
    WHOLE_REPRESENTATION,
    grant,
  );
  if (reply.refusal !== null) return refuseTo(c, reply.refusal, reply.headers);
  const { repositories } = await new Response(reply.body).json<{ repositories: readonly string[] }>();
  const names = repositories.map(parseRepositoryName).filter((name) => name !== null);
  const { type, text } = await write(names);
  const body = new TextEncoder().encode(text);
  const headers = new Headers({ ...reply.headers, 'content-type': type, 'content-length': String(body.length) });
  headers.delete('etag');
  for (const name of vary) headers.append('vary', name);
  return new Response(body, { headers });
}
