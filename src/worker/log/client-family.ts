/** Patterns of `User-Agent` for each family of clients in logs and counts. The first match counts. */
const FAMILIES = [
  [/^docker\/(?:0\.\d+|1\.\d)(?:[.\s-]|$)/, 'docker before 1.10'],
  [/^docker\//i, 'docker'],
  [/^containerd\//, 'containerd'],
  [/^(?:libpod|podman)\//i, 'podman'],
  [/^skopeo\//i, 'skopeo'],
  [/^buildah\//i, 'buildah'],
  [/^containers\//, 'containers/image'],
  [/^cri-o\//i, 'cri-o'],
  [/^(?:crane|go-containerregistry)/, 'go-containerregistry'],
  [/^oras/, 'oras'],
  [/^cosign/, 'cosign'],
  [/^helm/i, 'helm'],
  [/^regclient|^regctl|^regsync/, 'regclient'],
  [/^pulpcore|^pulp/i, 'pulp'],
  [/^curl\//, 'curl'],
  [/^Mozilla\//, 'browser'],
  [/^Go-http-client/, 'go'],
] as const satisfies readonly (readonly [RegExp, string])[];

/** The family of clients of a `User-Agent`: `other` if it is unknown, `none` without one. */
export function clientFamily(userAgent: string | null): string {
  if (userAgent === null || userAgent === '') return 'none';
  return FAMILIES.find(([pattern]) => pattern.test(userAgent))?.[1] ?? 'other';
}
