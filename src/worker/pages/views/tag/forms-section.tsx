/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import { helpPath, reasonRow } from '../../../../registry/errors.ts';
import { helpOf } from '../../../../registry/help.ts';
import { FORM_TITLE } from '../../../../registry/media-type.ts';
import type { RepositoryName } from '../../../../registry/name.ts';
import type { MissingForm, TagForm, TagRecord } from '../../../../registry/records.ts';
import { manifestPath } from '../../paths.ts';
import { type FormLine, formLines } from '../../content/tag-forms.ts';
import { formatBytes } from '../../../../registry/values/byte-size.ts';
import { visible } from '../../visible-text.ts';
import { FormMark, Legend } from '../form-badge.tsx';
import { DigestLink } from '../values.tsx';

/** Maximum number of lines shown: a list may name any number of platforms. */
const LINES_MAX = 100;

/** The forms of a tag: a line for each platform, with digests on demand. */
export function FormsSection({ name, record }: { readonly name: RepositoryName; readonly record: TagRecord }) {
  const lines = formLines(record);
  const isList = lines.length > 1;
  return (
    <section>
      <h2 id="forms">Forms</h2>
      <Legend />
      <ul class="forms">
        {lines.slice(0, LINES_MAX).map((line) => (
          <li>
            <Line name={name} line={line} whole={isList ? 'any platform' : 'this image'} />
          </li>
        ))}
      </ul>
      {lines.length > LINES_MAX && <p class="quiet">and {lines.length - LINES_MAX} more platforms</p>}
    </section>
  );
}

function Line({
  name,
  line: { platform, forms, missing },
  whole,
}: {
  readonly name: RepositoryName;
  readonly line: FormLine;
  readonly whole: string;
}) {
  const why = [...new Set(missing.map(({ reason }) => helpOf(reason).title))].join('; ');
  return (
    <details>
      <summary>
        <span class="platform">{platform === null ? whole : visible(platform, 80)}</span>
        {forms.map(({ form, source }) => (
          <FormMark form={form} kind={source.kind} />
        ))}
        {missing.map(({ form }) => (
          <FormMark form={form} kind="missing" />
        ))}
        {why !== '' && <span class="why">{why}</span>}
      </summary>
      <dl>
        {forms.map((form) => (
          <Stored name={name} form={form} />
        ))}
        {missing.map((form) => (
          <Missing form={form} />
        ))}
      </dl>
    </details>
  );
}

function Stored({
  name,
  form: { form, digest, length, source },
}: {
  readonly name: RepositoryName;
  readonly form: TagForm;
}) {
  return (
    <div>
      <dt>{FORM_TITLE[form]}</dt>
      <dd>
        <DigestLink digest={digest} href={manifestPath(name, digest)} />
      </dd>
      <dd class="quiet">
        {formatBytes(length)},{' '}
        {source.kind === 'published' ? (
          'published'
        ) : (
          <>
            derived from <DigestLink digest={source.from} href={manifestPath(name, source.from)} short />
          </>
        )}
      </dd>
    </div>
  );
}

function Missing({ form: { form, reason } }: { readonly form: MissingForm }) {
  return (
    <div>
      <dt>{FORM_TITLE[form]}</dt>
      <dd>
        {reasonRow(reason).message} <a href={helpPath(reason)}>{helpOf(reason).title}</a>
      </dd>
    </div>
  );
}
