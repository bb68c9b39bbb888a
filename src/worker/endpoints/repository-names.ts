/** Responses made from the names of all repositories that the caller may see, by a request for the catalogue. */
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import type { Grant } from '../access/guard.ts';
import { type EdgeContext, fetchFromRegistry, refuseTo, WHOLE_REPRESENTATION } from '../gateway/edge-context.ts';

/** A body and its media type. */
interface Written {
  readonly type: string;
  readonly text: string;
}

/** Answers with what `write` makes of the names that the caller may see. `vary`: request headers that it depends on. */
export async function withNames(
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
