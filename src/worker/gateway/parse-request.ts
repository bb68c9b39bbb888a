/** Parses path and query of a client's request into a {@link RegistryRequest}, or into a refusal. */
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import { parseReference } from '../../registry/reference.ts';
import { refused, type Refused } from './answer.ts';
import { type ListPage, PAGE_MAX } from '../../bucket/list-page.ts';
import type { RegistryRequest } from './registry-request.ts';

/** Path parameters and query of a request, read on demand. */
export interface RequestTarget {
  /** A path parameter, percent-decoded once; empty if the path has no such parameter. */
  readonly parameter: (name: string) => string;
  readonly query: () => URLSearchParams;
}

/** Maximum length of `last` and `artifactType`, in characters: names have at most 255, media types 127 + 1 + 127. */
const PARAMETER_MAX_LENGTH = 255;

/** `/v2/<name>/manifests/<reference>` */
export function parseManifestRequest({ parameter }: RequestTarget): RegistryRequest | Refused {
  return named(parameter, (name) => {
    const text = parameter('reference');
    const reference = parseReference(text);
    switch (reference.kind) {
      case 'bad-digest':
        return refused('digest-invalid', { detail: { digest: text } });
      case 'bad-tag':
        return refused('tag-invalid', { detail: { tag: text } });
      default:
        return { kind: 'manifest', name, reference };
    }
  });
}

/** `/v2/<name>/blobs/<digest>` */
export function parseBlobRequest({ parameter }: RequestTarget): RegistryRequest | Refused {
  return digested(parameter, (name, digest) => ({ kind: 'blob', name, digest }));
}

/** `/v2/<name>/tags/list?n=&last=` */
export function parseTagListRequest({ parameter, query }: RequestTarget): RegistryRequest | Refused {
  return named(parameter, (name) => paged(query(), (page) => ({ kind: 'tag-list', name, page })));
}

/** `/v2/<name>/referrers/<digest>?artifactType=`; `last` is our own parameter, in the `Link` to the next page. */
export function parseReferrersRequest({ parameter, query }: RequestTarget): RegistryRequest | Refused {
  return digested(parameter, (name, subject) => {
    const given = query();
    const artifactType = single(given, 'artifactType');
    const last = single(given, 'last');
    if (artifactType === undefined || last === undefined) return refused('query-invalid');
    const after = last === null ? null : parseDigest(last);
    if (last !== null && after === null) return refused('digest-invalid', { detail: { digest: last } });
    return { kind: 'referrers', name, subject, artifactType: artifactType === '' ? null : artifactType, last: after };
  });
}

/** `/extensions/v2/<name>/signatures/<digest>` */
export function parseSignaturesRequest({ parameter }: RequestTarget): RegistryRequest | Refused {
  return digested(parameter, (name, subject) => ({ kind: 'signatures', name, subject }));
}

/** `/v2/_catalog?n=&last=` */
export function parseCatalogRequest({ query }: RequestTarget): RegistryRequest | Refused {
  return paged(query(), (page) => ({ kind: 'catalog', page }));
}

/** `/v1/repositories/<name>/images` */
export function parseV1ImagesRequest({ parameter }: RequestTarget): RegistryRequest | Refused {
  return named(parameter, (name) => ({ kind: 'v1-images', name }));
}

function named(
  parameter: RequestTarget['parameter'],
  next: (name: RepositoryName) => RegistryRequest | Refused,
): RegistryRequest | Refused {
  const text = parameter('name');
  const name = parseRepositoryName(text);
  return name === null ? refused('name-invalid', { detail: { name: text } }) : next(name);
}

function digested(
  parameter: RequestTarget['parameter'],
  next: (name: RepositoryName, digest: Digest) => RegistryRequest | Refused,
): RegistryRequest | Refused {
  return named(parameter, (name) => {
    const text = parameter('digest');
    const digest = parseDigest(text);
    return digest === null ? refused('digest-invalid', { detail: { digest: text } }) : next(name, digest);
  });
}

function paged(query: URLSearchParams, next: (page: ListPage) => RegistryRequest): RegistryRequest | Refused {
  const n = single(query, 'n');
  const last = single(query, 'last');
  if (n === undefined || last === undefined) return refused('query-invalid');
  if (n !== null && !/^\d{1,15}$/.test(n)) return refused('page-size-invalid', { detail: { n } });
  const after = last === '' ? null : last;
  // OCI distribution spec, "Listing Tags": fewer entries than `n` may come, with a `Link` to more.
  const size = n === null ? (after === null ? null : PAGE_MAX) : Math.min(Number(n), PAGE_MAX);
  return next({ n: size, last: after });
}

/** A query parameter that may occur once, or null; undefined if it is repeated or too long. */
function single(query: URLSearchParams, name: string): string | null | undefined {
  const [first = null, ...others] = query.getAll(name);
  return others.length > 0 || (first !== null && first.length > PARAMETER_MAX_LENGTH) ? undefined : first;
}
