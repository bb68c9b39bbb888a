/**
 * Repositories of other registries: a client that uses this registry as a mirror sends the registry that it wants as
 * `ns` (containerd; OCI distribution spec, "Registry Proxying").
 */
import { refused, type Refused } from './answer.ts';
import { localNameOf, type OriginRules } from '../ingest/origins.ts';
import type { RegistryRequest } from './registry-request.ts';
import type { RequestTarget } from './parse-request.ts';

/** Rewrites the request to the local repository that mirrors the one in the namespace `ns`. */
export function inNamespace(
  request: RegistryRequest | Refused,
  asking: RequestTarget,
  origins: OriginRules,
): RegistryRequest | Refused {
  if (origins.length === 0 || request.kind === 'refused' || request.kind === 'catalog') return request;
  const ns = asking.query().get('ns');
  if (ns === null || ns === '') return request;
  const name = localNameOf(origins, ns, request.name);
  if (name === null) {
    return refused('name-unknown', {
      message: `This registry is no mirror of ${JSON.stringify(ns.slice(0, 255))}.`,
      detail: { name: request.name },
    });
  }
  return { ...request, name };
}
