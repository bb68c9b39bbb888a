/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** `/r/<name>@<digest>`, and `?show=referrers`: the pages of a manifest. At most two reads. */
import type { Child } from 'hono/jsx';
import type { Digest } from '../../registry/digest.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { refuseUnknown } from '../endpoints/v2/known-repository.ts';
import { type Refused, refused } from '../gateway/answer.ts';
import type { PageRequest } from './page-endpoint.tsx';
import { readManifestPage } from './content/read-manifest.ts';
import { readReferrerViews } from './content/read-referrers.ts';
import { readStoredManifest } from './content/read-tag.ts';
import { ManifestPage } from './views/manifest-page.tsx';
import { ManifestReferrersPage } from './views/manifest-referrers-page.tsx';

/** The page of a manifest, or of what refers to it. */
export async function manifestPage(
  { store, grant, query, place, isProtected }: PageRequest,
  { name, digest }: { readonly name: RepositoryName; readonly digest: Digest },
): Promise<Child | Refused> {
  const where = { store, realm: grant.realm, name };
  const head = { name, digest, isProtected: isProtected(name) };
  if (query.get('show') === 'referrers') {
    if ((await readStoredManifest(where, digest)) !== null)
      return (
        <ManifestReferrersPage view={{ ...head, referrers: await readReferrerViews(where, digest) }} place={place} />
      );
  } else {
    const content = await readManifestPage(where, digest);
    if (content !== null) return <ManifestPage view={{ ...head, content }} place={place} />;
  }
  return refuseUnknown(
    store,
    name,
    refused('manifest-unknown', {
      message: `The repository ${name} has no manifest ${digest}.`,
      detail: { name },
    }),
  );
}
