/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** The head of all pages of a tag: its name, and the links between them. */
import type { RepositoryName, Tag } from '../../../../registry/name.ts';
import { tagPath } from '../../paths.ts';
import { Choices, Crumbs, NameParts } from '../navigation.tsx';

/** The parts of a tag that have a page. */
export type TagPart = 'image' | 'referrers' | 'compare';

/** A tag, as its pages name it. */
export interface TagTitle {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly isProtected: boolean;
}

/** The trail, the heading and the parts. */
export function TagHeader({
  title: { name, tag, isProtected },
  part,
}: {
  readonly title: TagTitle;
  readonly part: TagPart;
}) {
  return (
    <>
      <Crumbs name={name}>{tag}</Crumbs>
      <h1>
        <NameParts name={name} />:{tag} {isProtected && <span class="chip">protected</span>}
      </h1>
      <Choices
        label="Parts of this tag"
        look="tabs"
        choices={[
          { text: 'Image', href: tagPath(name, tag), isCurrent: part === 'image' },
          {
            text: 'Signatures, SBOMs',
            href: tagPath(name, tag, { show: 'referrers' }),
            isCurrent: part === 'referrers',
          },
          { text: 'Compare', href: tagPath(name, tag, { show: 'compare' }), isCurrent: part === 'compare' },
        ]}
      />
    </>
  );
}
