/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { RepositoryName, Tag } from '../../../../registry/name.ts';
import type { Change, ComparedLayer, Comparison } from '../../content/comparison.ts';
import { blobPath, tagPath } from '../../paths.ts';
import { formatBytes } from '../../../../registry/values/byte-size.ts';
import { visible } from '../../visible-text.ts';
import { Page, type Place } from '../layout.tsx';
import { Choices } from '../navigation.tsx';
import { DigestLink, Facts } from '../values.tsx';
import { TagHeader, type TagTitle } from './tag-header.tsx';

/** The content of a comparison. */
export interface CompareView extends TagTitle {
  /** What was typed as the other tag; empty without. */
  readonly typed: string;
  /** The platform that is compared; null: the default, or the only one. */
  readonly platform: string | null;
  readonly platforms: readonly string[];
  /** Null without another tag. */
  readonly found:
    | { readonly kind: 'compared'; readonly other: Tag; readonly comparison: Comparison }
    | { readonly kind: 'absent'; readonly message: string }
    | null;
}

/** A tag compared with another one of its repository. */
export function ComparePage({ view, place }: { readonly view: CompareView; readonly place: Place }) {
  const { name, tag, typed, platform, platforms, found } = view;
  return (
    <Page title={`Compare ${name}:${tag}`} place={place} section="repositories">
      <TagHeader title={view} part="compare" />
      {platforms.length > 1 && (
        <Choices
          label="Platforms"
          choices={[null, ...platforms].map((one) => ({
            text: one === null ? 'Default platform' : visible(one, 80),
            href: tagPath(name, tag, { show: 'compare', compare: typed, platform: one }),
            isCurrent: one === platform,
          }))}
        />
      )}
      <form class="inline" action={tagPath(name, tag)} method="get">
        <label class="hidden" for="compare">
          Another tag of {name}
        </label>
        <input type="hidden" name="show" value="compare" />
        {platform !== null && <input type="hidden" name="platform" value={platform} />}
        <input
          id="compare"
          name="compare"
          value={typed}
          placeholder="Another tag, as 1.26"
          maxlength={128}
          required
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
        />
        <button type="submit">Compare</button>
      </form>
      {found === null && (
        <p class="lead">
          Name another tag of this repository to see which layers both share, and what else differs: size, environment,
          labels.
        </p>
      )}
      {found?.kind === 'absent' && <p class="empty">{visible(found.message, 400)}</p>}
      {found?.kind === 'compared' && <Result name={name} tag={tag} other={found.other} comparison={found.comparison} />}
    </Page>
  );
}

function Result({
  name,
  tag,
  other,
  comparison,
}: {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly other: Tag;
  readonly comparison: Comparison;
}) {
  const { layers, sharedSize, newSize, sizeBefore, sizeAfter, environment, labels, settings } = comparison;
  const count = (standing: ComparedLayer['standing']): string =>
    String(layers.filter((layer) => layer.standing === standing).length);
  const difference = sizeAfter - sizeBefore;
  return (
    <>
      <h2>
        From <a href={tagPath(name, other)}>{other}</a> to <a href={tagPath(name, tag)}>{tag}</a>
      </h2>
      <Facts
        facts={[
          ['Layers', `${count('shared')} shared, ${count('new')} new, ${count('gone')} gone`],
          ['Shared', formatBytes(sharedSize)],
          [`To pull with ${other} at hand`, formatBytes(newSize)],
          [
            'Size',
            `${formatBytes(sizeBefore)} → ${formatBytes(sizeAfter)} (${difference < 0 ? '−' : '+'}${formatBytes(Math.abs(difference))})`,
          ],
        ]}
      />
      <h2 id="layers">Layers</h2>
      <ul class="rows">
        {layers.slice(0, ROWS_MAX).map(({ digest, size, standing }) => (
          <li>
            <p>
              <span class={`badge ${STANDINGS[standing].look}`}>
                <span aria-hidden="true">{STANDINGS[standing].mark}</span>
                {standing}
              </span>{' '}
              {size !== null && <span class="quiet">{formatBytes(size)}</span>}
            </p>
            <DigestLink digest={digest} href={blobPath(name, digest)} />
          </li>
        ))}
      </ul>
      <Changes title="Environment" changes={environment} />
      <Changes title="Configuration" changes={settings} />
      <Changes title="Labels" changes={labels} />
    </>
  );
}

/** Maximum number of layers, and of changes of a kind. */
const ROWS_MAX = 200;

const STANDINGS = {
  shared: { mark: '=', look: 'published' },
  new: { mark: '+', look: 'derived' },
  gone: { mark: '−', look: 'missing' },
} as const;

function Changes({ title, changes }: { readonly title: string; readonly changes: readonly Change[] }) {
  return (
    <>
      <h2>{title}</h2>
      {changes.length === 0 ? (
        <p class="quiet">No difference.</p>
      ) : (
        <ul class="rows">
          {changes.slice(0, ROWS_MAX).map(({ name, before, after }) => (
            <li>
              <b>{visible(name, 200)}</b>
              {before !== null && <Value mark="−" word="before" look="gone" text={before} />}
              {after !== null && <Value mark="+" word="now" look="new" text={after} />}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Value({
  mark,
  word,
  look,
  text,
}: {
  readonly mark: string;
  readonly word: string;
  readonly look: string;
  readonly text: string;
}) {
  return (
    <p class={`mono ${look}`}>
      <span aria-hidden="true">{mark}</span>
      <span class="hidden">{word}:</span> {text === '' ? '(empty)' : visible(text, 500)}
    </p>
  );
}
