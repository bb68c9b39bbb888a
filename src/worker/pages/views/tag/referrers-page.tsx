/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Digest } from '../../../../registry/digest.ts';
import { tagPath } from '../../paths.ts';
import type { ReferrerView } from '../../content/read-referrers.ts';
import { visible } from '../../visible-text.ts';
import { Page, type Place } from '../layout.tsx';
import { Choices } from '../navigation.tsx';
import { ReferrersList } from './referrers-list.tsx';
import { TagHeader, type TagTitle } from './tag-header.tsx';

/** A manifest of the tag that something may refer to. */
export interface SubjectChoice {
  readonly text: string;
  readonly digest: Digest;
}

/** What refers to a tag's manifest. */
export interface ReferrersView extends TagTitle {
  /** The tag's manifests: what was published, and the images of its list. */
  readonly subjects: readonly SubjectChoice[];
  readonly chosen: SubjectChoice;
  readonly referrers: readonly ReferrerView[];
}

/** Signatures, SBOMs, provenance and other referrers of a tag. */
export function ReferrersPage({ view, place }: { readonly view: ReferrersView; readonly place: Place }) {
  const { name, tag, subjects, chosen, referrers } = view;
  return (
    <Page title={`Signatures of ${name}:${tag}`} place={place} section="repositories">
      <TagHeader title={view} part="referrers" />
      {subjects.length > 1 && (
        <Choices
          label="Manifests of this tag"
          choices={subjects.map(({ text, digest }) => ({
            text: visible(text, 80),
            href: tagPath(name, tag, { show: 'referrers', of: digest }),
            isCurrent: digest === chosen.digest,
          }))}
        />
      )}
      <h2 class="first">Signatures, SBOMs and other referrers</h2>
      <ReferrersList name={name} subject={chosen.digest} referrers={referrers} place={place} />
    </Page>
  );
}
