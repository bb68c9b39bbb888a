/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx';
import { manifestPath, tagPath } from '../../paths.ts';
import type { TagContent } from '../../content/read-tag.ts';
import { rootDigest } from '../../content/tag-forms.ts';
import { formatBytes } from '../../../../registry/values/byte-size.ts';
import { visible } from '../../visible-text.ts';
import { Age, Page, type Place } from '../layout.tsx';
import { Choices } from '../navigation.tsx';
import { DigestLink, Facts, Pairs } from '../values.tsx';
import { ClientsSection, type ClientsView } from './clients-section.tsx';
import { FormsSection } from './forms-section.tsx';
import { ImageConfig, Layers } from './image-sections.tsx';
import { PullSection } from './pull-section.tsx';
import { Signers } from './signer.tsx';
import { TagHeader, type TagTitle } from './tag-header.tsx';

/** The content of a tag's page. */
export interface TagView extends TagTitle, TagContent, ClientsView {
  /** The host of the upstream that the tag was fetched from; null if it was published, or if no rule names it now. */
  readonly upstream: string | null;
}

/** A tag: how to pull it, its layers and history, its forms, and the form for each client. */
export function TagPage({
  view,
  place,
  pulls,
}: {
  readonly view: TagView;
  readonly place: Place;
  readonly pulls: Child;
}) {
  const { name, tag, record, manifest, details, images, chosen } = view;
  const shown = chosen?.platform ?? (images.length > 0 ? (details?.platform ?? null) : null);
  const digest = chosen?.digest ?? rootDigest(record);
  return (
    <Page title={`${name}:${tag}`} place={place} section="repositories">
      <TagHeader title={view} part="image" />
      {images.length > 0 && (
        <Choices
          label="Platforms"
          choices={[
            { text: 'Any platform', href: tagPath(name, tag), isCurrent: chosen === null },
            ...images.slice(0, PLATFORMS_MAX).map(({ platform }) => ({
              text: visible(platform, 80),
              href: tagPath(name, tag, { platform }),
              isCurrent: chosen?.platform === platform,
            })),
          ]}
        />
      )}
      <PullSection
        pulled={{
          ...place,
          name,
          tag,
          digest,
          platform: chosen?.platform ?? null,
          isArtifact: manifest?.kind === 'artifact',
        }}
      />
      <h2>{chosen === null ? 'About' : `About ${visible(chosen.platform, 80)}`}</h2>
      <About view={view} place={place} />
      {manifest !== null && <Layers name={name} manifest={manifest} history={details?.history ?? []} onlyOf={shown} />}
      {chosen !== null && details === null && (
        <p class="quiet">
          History and configuration are on <a href={manifestPath(name, chosen.digest)}>the page of its digest</a>.
        </p>
      )}
      {details !== null && <ImageConfig config={details} />}
      {manifest !== null && manifest.annotations.length > 0 && (
        <>
          <h2 id="annotations">Annotations</h2>
          <Pairs pairs={manifest.annotations} />
        </>
      )}
      <FormsSection name={name} record={record} />
      <ClientsSection view={view} place={place} />
      {pulls}
    </Page>
  );
}

/** Maximum number of platforms that have a link: a list may name any number. */
const PLATFORMS_MAX = 60;

function About({ view, place }: { readonly view: TagView; readonly place: Place }) {
  const { name, record, manifest, details, chosen, images, origin, upstream, signers } = view;
  const digest = chosen?.digest ?? rootDigest(record);
  const size = manifest === null ? 0 : manifest.layers.reduce((sum, layer) => sum + (layer.size ?? 0), 0);
  const ofOne =
    images.length > 0 && chosen === null && details?.platform ? ` for ${visible(details.platform, 80)}` : '';
  return (
    <Facts
      facts={[
        digest === null ? null : ['Digest', <DigestLink digest={digest} href={manifestPath(name, digest)} />],
        size === 0 ? null : ['Size', `${formatBytes(size)} compressed${ofOne}`],
        images.length > 0 || details?.platform == null ? null : ['Platform', visible(details.platform, 80)],
        manifest?.artifactType == null ? null : ['Artifact type', visible(manifest.artifactType, 200)],
        signers.length === 0 ? null : ['Signed by', <Signers signers={signers} />],
        ['Moved', <Age time={record.updated} now={place.now} />],
        [
          'From',
          origin === null ? (
            'published here'
          ) : (
            <>
              fetched from {upstream ?? `the upstream “${visible(origin.origin, 80)}”`}, compared{' '}
              <Age time={new Date(origin.checked).toISOString()} now={place.now} />
              {origin.gone !== null && (
                <>
                  ; the upstream has not had it since <Age time={new Date(origin.gone).toISOString()} now={place.now} />
                </>
              )}
            </>
          ),
        ],
      ]}
    />
  );
}
