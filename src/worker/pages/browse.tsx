/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** `/r/<name>` and what is below it: the pages of a repository, a tag and a manifest. */
import type { EdgeContext } from '../gateway/edge-context.ts';
import { manifestPage } from './manifest.tsx';
import { answerPage, noSuchPage } from './page-endpoint.tsx';
import { parsePagePath } from './paths.ts';
import { repositoryPage } from './repository.tsx';
import { tagPage } from './tag.tsx';

/** Answers with the page of a repository, tag or manifest. */
export function browse(context: EdgeContext): Promise<Response> {
  const subject = parsePagePath(context.req.param('path') ?? '');
  if (subject === null) return answerPage(context, { kind: 'open' }, () => Promise.resolve(noSuchPage()));
  return answerPage(context, { kind: 'repository', name: subject.name }, (request) => {
    switch (subject.kind) {
      case 'repository':
        return repositoryPage(request, subject.name);
      case 'tag':
        return tagPage(request, subject);
      case 'manifest':
        return manifestPage(request, subject);
    }
  });
}
