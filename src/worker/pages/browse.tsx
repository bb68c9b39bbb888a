/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** `/r/<name>` and `/r/<name>:<tag>`: the pages of a repository and a tag. At most two reads. */
import type { Child } from 'hono/jsx';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { refused, type Refused } from '../gateway/answer.ts';
import { clientFromQuery } from './clients.ts';
import type { EdgeContext } from '../gateway/edge-context.ts';
import { answerPage, noSuchPage, type PageRequest } from './page-endpoint.tsx';
import { parsePagePath } from './paths.ts';
import { readTags } from './read-lists.ts';
import { readTag } from './read-tag.ts';
import { RepositoryPage } from './views/repository-page.tsx';
import { searchText } from './visible-text.ts';
import { TagPage } from './views/tag-page.tsx';
import { repositoryUnknown, refuseUnknown } from '../endpoints/v2/known-repository.ts';

/** Tags per page. */
const PAGE_SIZE = 50;

/** Answers with the page of a repository or tag. */
export function browse(context: EdgeContext): Promise<Response> {
  const path = parsePagePath(context.req.param('path') ?? '');
  if (path === null) return answerPage(context, { kind: 'open' }, () => Promise.resolve(noSuchPage()));
  const { name, tag } = path;
  return answerPage(context, { kind: 'repository', name }, (request) =>
    tag === null ? repositoryPage(request, name) : tagPage(request, name, tag),
  );
}

async function repositoryPage(
  { store, query, place, isProtected, pulls }: PageRequest,
  name: RepositoryName,
): Promise<Child | Refused> {
  const wanted = searchText(query.get('q'), 128);
  const after = query.get('after');
  const lower = wanted.toLowerCase();
  const keep = wanted === '' ? null : (tag: string) => tag.toLowerCase().includes(lower);
  const part = await readTags(store, name, { after, limit: PAGE_SIZE, keep });
  if (part === null) return repositoryUnknown(name);
  const { tags, next, count } = part;
  return (
    <RepositoryPage
      view={{ name, isProtected: isProtected(name), tags, total: count, query: wanted, after, next }}
      place={place}
      pulls={await pulls(name, null)}
    />
  );
}

async function tagPage(
  { store, query, place, grant, isProtected, pulls }: PageRequest,
  name: RepositoryName,
  tag: Tag,
): Promise<Child | Refused> {
  const content = await readTag(store, grant.realm, name, tag);
  if (content === null)
    return refuseUnknown(store, name, refused('tag-unknown', { message: `The repository ${name} has no tag ${tag}.` }));
  return (
    <TagPage
      view={{
        name,
        tag,
        isProtected: isProtected(name),
        ...content,
        asked: clientFromQuery(query, { name, ...content }),
      }}
      place={place}
      pulls={await pulls(name, tag)}
    />
  );
}
