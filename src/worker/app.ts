/** The endpoint table: one line for each endpoint. */
import { Hono } from 'hono/tiny';
import type { Edge } from './edge.ts';
import { archive } from './endpoints/archive.ts';
import { crane } from './endpoints/crane.ts';
import { failure, fallback } from './endpoints/fallback.ts';
import { flatpakIndex } from './endpoints/flatpak-index.ts';
import { health } from './endpoints/health.ts';
import { browse, help, helpIndex, home } from './endpoints/pages.ts';
import { ping, pingV1 } from './endpoints/ping.ts';
import { purge, purgeByOtherMethods } from './endpoints/purge.ts';
import { search } from './endpoints/search.ts';
import { token } from './endpoints/token.ts';
import { handle } from './gateway/gateway.ts';
import {
  parseBlobRequest,
  parseCatalogRequest,
  parseManifestRequest,
  parseReferrersRequest,
  parseSignaturesRequest,
  parseTagListRequest,
  parseV1ImagesRequest,
} from './gateway/parse-request.ts';

// The first matching line answers. `hono/tiny` uses PatternRouter, whose parameters may contain slashes, as repository
// names do.
export const app = new Hono<{ Bindings: Edge }>()
  .get('/v2/:name{.+}/blobs/:digest', handle(parseBlobRequest))
  .get('/v2/:name{.+}/manifests/:reference', handle(parseManifestRequest))
  .get('/v2', ping)
  .get('/v2/:name{.+}/tags/list', handle(parseTagListRequest))
  .get('/v2/:name{.+}/referrers/:digest', handle(parseReferrersRequest))
  .get('/extensions/v2/:name{.+}/signatures/:digest', handle(parseSignaturesRequest))
  .get('/index/:index{static|dynamic}', flatpakIndex)
  .get('/v2/_catalog', handle(parseCatalogRequest))
  .get('/token', token)
  .get('/v1/_ping', pingV1)
  .get('/v1/search', search)
  .get('/v1/repositories/:name{.+}/images', handle(parseV1ImagesRequest))
  .get('/crane/repositories', crane)
  .get('/crane/repositories/v2', crane)
  .get('/healthz', health)
  .get('/help', helpIndex)
  .get('/help/:reason', help)
  .get('/r/:path{.+\\.tar}', archive)
  .get('/r/:path{.+}', browse)
  .get('/', home)
  .post('/-/purge', purge)
  .all('/-/purge', purgeByOtherMethods)
  .notFound(fallback)
  .onError(failure);
