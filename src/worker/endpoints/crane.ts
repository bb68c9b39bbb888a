/** `/crane/repositories` and `/crane/repositories/v2`: the repositories as crane, Pulp 2's read path, lists them. */
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { type EdgeHandler, withAccess } from '../gateway/edge-context.ts';
import { cranePage, craneRepositories, wantsJson } from './crane-repositories.ts';
import { withNames } from './repository-names.ts';

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
