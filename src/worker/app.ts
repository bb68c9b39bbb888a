/** The endpoint table. */
import { Hono } from 'hono';
import { PatternRouter } from 'hono/router/pattern-router';
import type { Edge } from './edge.ts';
import { health } from './endpoints/health.ts';
import { help } from './endpoints/help.ts';
import { home } from './endpoints/home.ts';
import { ping, pingV1 } from './endpoints/ping.ts';
import { purge } from './endpoints/purge.ts';
import { fallback, failure } from './endpoints/fallback.ts';
import { ask } from './gateway.ts';
import { blobQuestion, catalogQuestion, manifestQuestion, referrersQuestion, tagListQuestion, v1ImagesQuestion } from './read-question.ts';

// Names contain slashes, which only this router (of those that compile their patterns once) takes for a parameter.
export const app = new Hono<{ Bindings: Edge }>({ router: new PatternRouter() })
  .get('/v2/', ping)
  .get('/v2/:name{.+}/manifests/:reference', ask(manifestQuestion))
  .get('/v2/:name{.+}/blobs/:digest', ask(blobQuestion))
  .get('/v2/:name{.+}/tags/list', ask(tagListQuestion))
  .get('/v2/:name{.+}/referrers/:digest', ask(referrersQuestion))
  .get('/v2/_catalog', ask(catalogQuestion))
  .get('/v1/_ping', pingV1)
  .get('/v1/repositories/:name{.+}/images', ask(v1ImagesQuestion))
  .get('/healthz', health)
  .get('/help/:reason', help)
  .get('/', home)
  .post('/-/purge', purge)
  .notFound(fallback)
  .onError(failure);
