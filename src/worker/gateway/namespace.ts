/** Repositories of other registries: clients that were told to use this one as a mirror say by `ns` whose repository they mean (containerd; OCI distribution spec, "Registry Proxying"). */
import { refused, type Refused } from './answer.ts';
import { localNameOf, type OriginRules } from '../ingest/origins.ts';
import type { RegistryRequest } from './registry-request.ts';
import type { RequestTarget } from './parse-request.ts';

/** The request as it is put to the repository of ours that stands for the one that the client means. */
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
