/** `/v1/search`: `docker search` (Docker's v1 index API). */
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { type EdgeHandler, withAccess } from '../gateway/edge-context.ts';
import { matchesSearch, searchAnswer } from './name-search.ts';
import { withNames } from './repository-names.ts';

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
            names.filter((name) => matchesSearch(query, name)),
          ),
        ),
      };
    }),
  );
