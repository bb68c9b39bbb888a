/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/**
 * `/r/<name>:<tag>`, `?platform=`, `?show=referrers` and `?compare=`: the pages of a tag. Two reads at most; a
 * comparison reads two tags, so four.
 */
import type { Child } from 'hono/jsx';
import { FORM_TITLE } from '../../registry/media-type.ts';
import { parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';
import type { OriginMark } from '../../registry/origin-mark.ts';
import { publishedDigests } from '../../registry/records.ts';
import { refuseUnknown } from '../endpoints/v2/known-repository.ts';
import { type Refused, refused } from '../gateway/answer.ts';
import { clientFromQuery } from './clients.ts';
import { compareImages } from './content/comparison.ts';
import type { PageRequest } from './page-endpoint.tsx';
import { attestationsIn, readReferrerViews } from './content/read-referrers.ts';
import {
  type PagePlace,
  type PlatformMissing,
  readTag,
  readTagObject,
  type TagObjectView,
} from './content/read-tag.ts';
import { rootDigest } from './content/tag-forms.ts';
import { ComparePage, type CompareView } from './views/tag/compare-page.tsx';
import { ReferrersPage, type SubjectChoice } from './views/tag/referrers-page.tsx';
import { TagPage } from './views/tag/tag-page.tsx';
import { searchText } from './visible-text.ts';

/** A tag of a repository. */
interface TagSubject {
  readonly name: RepositoryName;
  readonly tag: Tag;
}

/** The page of a tag, or the part of it that the query names. */
export function tagPage(request: PageRequest, subject: TagSubject): Promise<Child | Refused> {
  const { query } = request;
  const show = query.get('show');
  if (show === 'compare' || query.has('compare')) return comparePage(request, subject);
  return show === 'referrers' ? referrersPage(request, subject) : imagePage(request, subject);
}

async function imagePage(request: PageRequest, { name, tag }: TagSubject): Promise<Child | Refused> {
  const { query, place, isProtected, pulls } = request;
  const content = await readTag(placeOf(request, name), tag, platformOf(query));
  if (content === null) return tagUnknown(request, { name, tag });
  if ('kind' in content) return platformUnknown({ name, tag }, content);
  const pulled = { name, record: content.record, nameless: content.nameless };
  return (
    <TagPage
      view={{
        ...content,
        name,
        tag,
        isProtected: isProtected(name),
        upstream: upstreamOf(request, content.origin),
        asked: clientFromQuery(query, pulled),
      }}
      place={place}
      pulls={await pulls(name, tag)}
    />
  );
}

async function referrersPage(request: PageRequest, { name, tag }: TagSubject): Promise<Child | Refused> {
  const { query, place, isProtected } = request;
  const where = placeOf(request, name);
  const content = await readTagObject(where, tag);
  if (content === null || 'kind' in content) return tagUnknown(request, { name, tag });
  const subjects = subjectsOf(content);
  const chosen = subjects.find(({ digest }) => digest === query.get('of')) ?? subjects[0];
  if (chosen === undefined) return tagUnknown(request, { name, tag });
  const isImage = content.images.some(({ digest }) => digest === chosen.digest);
  const referrers = [
    ...(await readReferrerViews(where, chosen.digest)),
    ...attestationsIn(content.children, isImage ? chosen.digest : null),
  ];
  const view = { name, tag, isProtected: isProtected(name), subjects, chosen, referrers };
  return <ReferrersPage view={view} place={place} />;
}

/** Maximum number of manifests whose referrers a page offers. */
const SUBJECTS_MAX = 60;

/** The manifests of a tag that something may refer to: what was published, and the images of its list. */
function subjectsOf({ record, images }: TagObjectView): readonly SubjectChoice[] {
  const roots = new Set([...publishedDigests(record), ...[rootDigest(record)].filter((digest) => digest !== null)]);
  const titled = record.forms
    .filter(({ digest }) => roots.has(digest))
    .map(({ form, digest }) => ({ text: FORM_TITLE[form], digest }));
  const all = [...titled, ...images.map(({ platform, digest }) => ({ text: platform, digest }))];
  return [...new Map(all.map((one) => [one.digest, one])).values()].slice(0, SUBJECTS_MAX);
}

async function comparePage(request: PageRequest, { name, tag }: TagSubject): Promise<Child | Refused> {
  const { query, place, isProtected } = request;
  const where = placeOf(request, name);
  const typed = searchText(query.get('compare'), 128);
  const platform = platformOf(query);
  const title = { name, tag, isProtected: isProtected(name), typed, platform };
  const page = (view: Pick<CompareView, 'platforms' | 'found'>): Child => (
    <ComparePage view={{ ...title, ...view }} place={place} />
  );
  if (typed === '') {
    const content = await readTagObject(where, tag);
    if (content === null || 'kind' in content) return tagUnknown(request, { name, tag });
    return page({ platforms: content.images.map((image) => image.platform), found: null });
  }
  const content = await readTag(where, tag, platform);
  if (content === null) return tagUnknown(request, { name, tag });
  if ('kind' in content) return platformUnknown({ name, tag }, content);
  const platforms = content.images.map((image) => image.platform);
  const other = parseTag(typed);
  const compared = other === null ? null : await readTag(where, other, platform);
  if (other === null || compared === null)
    return page({ platforms, found: { kind: 'absent', message: `The repository ${name} has no tag ${typed}.` } });
  if ('kind' in compared) return page({ platforms, found: { kind: 'absent', message: noPlatform(other, compared) } });
  return page({ platforms, found: { kind: 'compared', other, comparison: compareImages(compared, content) } });
}

function placeOf({ store, grant }: PageRequest, name: RepositoryName): PagePlace {
  return { store, realm: grant.realm, name };
}

/** The requested platform, as far as one can be named; null without. */
function platformOf(query: URLSearchParams): string | null {
  const text = query.get('platform');
  return text === null || text === '' ? null : text.slice(0, 300);
}

/** The host of the upstream that a mark names by its rule. */
function upstreamOf({ origins }: PageRequest, mark: OriginMark | null): string | null {
  const rule = mark === null ? undefined : origins.find(({ name }) => name === mark.origin);
  return rule === undefined ? null : (rule.ns ?? rule.upstream.host);
}

function tagUnknown({ store }: PageRequest, { name, tag }: TagSubject): Promise<Refused> {
  return refuseUnknown(
    store,
    name,
    refused('tag-unknown', { message: `The repository ${name} has no tag ${tag}.`, detail: { name, tag } }),
  );
}

function platformUnknown({ name, tag }: TagSubject, missing: PlatformMissing): Refused {
  return refused('platform-unknown', { message: noPlatform(tag, missing), detail: { name, tag } });
}

/** Maximum number of platforms in a message. */
const NAMED = 20;

function noPlatform(tag: Tag, { available }: PlatformMissing): string {
  const rest = available.length === 0 ? ' It is a single image.' : ` It has: ${available.slice(0, NAMED).join(', ')}.`;
  return `The tag ${tag} has no image for this platform.${rest}`;
}
