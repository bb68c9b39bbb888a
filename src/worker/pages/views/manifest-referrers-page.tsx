/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Digest } from '../../../registry/digest.ts';
import type { RepositoryName } from '../../../registry/name.ts';
import { manifestPath } from '../paths.ts';
import type { ReferrerView } from '../content/read-referrers.ts';
import { Page, type Place } from './layout.tsx';
import { ManifestHeader } from './manifest-page.tsx';
import { ReferrersList } from './tag/referrers-list.tsx';
import { shortDigest } from './values.tsx';

/** What refers to a manifest. */
export interface ManifestReferrersView {
  readonly name: RepositoryName;
  readonly digest: Digest;
  readonly isProtected: boolean;
  readonly referrers: readonly ReferrerView[];
}

/** Signatures, SBOMs, provenance and other referrers of a manifest. */
export function ManifestReferrersPage({
  view,
  place,
}: {
  readonly view: ManifestReferrersView;
  readonly place: Place;
}) {
  const { name, digest, referrers } = view;
  return (
    <Page title={`Signatures of ${name}@${shortDigest(digest)}`} place={place} section="repositories">
      <ManifestHeader view={view} path={manifestPath(name, digest)} isReferrers />
      <h2 class="first">Signatures, SBOMs and other referrers</h2>
      <ReferrersList name={name} subject={digest} referrers={referrers} place={place} />
    </Page>
  );
}
