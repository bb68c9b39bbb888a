/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Digest } from '../../../registry/digest.ts';
import type { RepositoryName } from '../../../registry/name.ts';
import { manifestPath } from '../paths.ts';
import type { StoredManifestView } from '../content/read-manifest.ts';
import { formatBytes } from '../../../registry/values/byte-size.ts';
import { visible } from '../visible-text.ts';
import { Page, type Place } from './layout.tsx';
import { Choices, Crumbs, NameParts } from './navigation.tsx';
import { ImageConfig, Layers } from './tag/image-sections.tsx';
import { PullSection } from './tag/pull-section.tsx';
import { Signers } from './tag/signer.tsx';
import { DigestLink, Facts, Pairs, shortDigest } from './values.tsx';

/** The content of a manifest's page. */
export interface ManifestPageView {
  readonly name: RepositoryName;
  readonly digest: Digest;
  readonly isProtected: boolean;
  readonly content: StoredManifestView;
}

/** A manifest by its digest: an image, a list or an artifact. */
export function ManifestPage({ view, place }: { readonly view: ManifestPageView; readonly place: Place }) {
  const { name, digest, content } = view;
  const { manifest, details, children, mediaType, length, subject, signers } = content;
  const size = manifest === null ? 0 : manifest.layers.reduce((sum, layer) => sum + (layer.size ?? 0), 0);
  return (
    <Page title={`${name}@${shortDigest(digest)}`} place={place} section="repositories">
      <ManifestHeader view={view} path={manifestPath(name, digest)} isReferrers={false} />
      <PullSection
        pulled={{ ...place, name, tag: null, digest, platform: null, isArtifact: manifest?.kind === 'artifact' }}
      />
      <h2>About</h2>
      <Facts
        facts={[
          ['Digest', <span class="mono digest">{digest}</span>],
          mediaType === null ? null : ['Media type', visible(mediaType, 200)],
          manifest?.artifactType == null ? null : ['Artifact type', visible(manifest.artifactType, 200)],
          ['Manifest', formatBytes(length)],
          size === 0 ? null : ['Layers', `${formatBytes(size)} compressed`],
          details?.platform == null ? null : ['Platform', visible(details.platform, 80)],
          subject === null ? null : ['Refers to', <DigestLink digest={subject} href={manifestPath(name, subject)} />],
          signers.length === 0 ? null : ['Signed by', <Signers signers={signers} />],
        ]}
      />
      {children.length > 0 && (
        <>
          <h2 id="images">Manifests of this list</h2>
          <ul class="rows">
            {children.slice(0, CHILDREN_MAX).map((child) => (
              <li>
                <b>{child.platform === null ? 'no image, such as an attestation' : visible(child.platform, 80)}</b>
                <DigestLink digest={child.digest} href={manifestPath(name, child.digest)} />
              </li>
            ))}
          </ul>
        </>
      )}
      {manifest !== null && <Layers name={name} manifest={manifest} history={details?.history ?? []} onlyOf={null} />}
      {details !== null && <ImageConfig config={details} />}
      {content.annotations.length > 0 && (
        <>
          <h2 id="annotations">Annotations</h2>
          <Pairs pairs={content.annotations} />
        </>
      )}
    </Page>
  );
}

/** Maximum number of manifests shown of a list. */
const CHILDREN_MAX = 200;

/** The head of both pages of a manifest. */
export function ManifestHeader({
  view: { name, digest, isProtected },
  path,
  isReferrers,
}: {
  readonly view: Pick<ManifestPageView, 'name' | 'digest' | 'isProtected'>;
  readonly path: string;
  readonly isReferrers: boolean;
}) {
  return (
    <>
      <Crumbs name={name}>{shortDigest(digest)}</Crumbs>
      <h1>
        <NameParts name={name} />
        <span class="quiet">@{shortDigest(digest)}</span> {isProtected && <span class="chip">protected</span>}
      </h1>
      <Choices
        label="Parts of this manifest"
        look="tabs"
        choices={[
          { text: 'Manifest', href: path, isCurrent: !isReferrers },
          { text: 'Signatures, SBOMs', href: `${path}?show=referrers`, isCurrent: isReferrers },
        ]}
      />
    </>
  );
}
