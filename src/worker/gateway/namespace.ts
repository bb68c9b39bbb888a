/**
 * Repositories of other registries: a client that uses this registry as a mirror sends the registry that it wants as
 * `ns` (containerd; OCI distribution spec, "Registry Proxying").
 */
import { refused, type Refused } from './answer.ts';
import { dockerHubNameOf, localNameOf, type OriginRules } from '../ingest/origins.ts';
import type { RegistryRequest } from './registry-request.ts';
import type { RequestTarget } from './parse-request.ts';

/** The namespace that the client sends, where rules say which repositories stand for it; null otherwise. */
export function namespaceOf(
  request: RegistryRequest | Refused,
  target: RequestTarget,
  origins: OriginRules,
): string | null {
  if (origins.every(({ ns }) => ns === null) || request.kind === 'refused' || !('name' in request)) return null;
  const ns = target.query().get('ns');
  return ns === '' ? null : ns;
}

/**
 * The request to the local repository that stands for the requested one of Docker Hub; null if there is none. It is
 * made where a repository does not exist: Docker's `--registry-mirror` sends no `ns`.
 */
export function onDockerHub(request: RegistryRequest, origins: OriginRules): RegistryRequest | null {
  if (origins.length === 0 || !('name' in request)) return null;
  const name = dockerHubNameOf(origins, request.name);
  return name === null ? null : { ...request, name };
}

/** Rewrites the request to the local repository that mirrors the one in the namespace `ns`. */
export function inNamespace(
  request: RegistryRequest | Refused,
  asking: RequestTarget,
  origins: OriginRules,
): RegistryRequest | Refused {
  const ns = namespaceOf(request, asking, origins);
  if (ns === null || request.kind === 'refused' || !('name' in request)) return request;
  const name = localNameOf(origins, ns, request.name);
  if (name === null) {
    return refused('name-unknown', {
      message: `This registry is not a mirror of ${JSON.stringify(ns.slice(0, 255))}.`,
      detail: { name: request.name },
    });
  }
  return { ...request, name };
}
