/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import { helpPath, reasonRow, type Reason } from '../../../registry/errors.ts';
import { helpOf } from '../../../registry/help.ts';
import { type Form, FORMS } from '../../../registry/media-type.ts';
import type { TagSummary } from '../../../registry/summary.ts';

/** The state of a form: published, derived or missing. */
export type FormStanding =
  { readonly kind: 'published' } | { readonly kind: 'derived' } | { readonly kind: 'missing'; readonly reason: Reason };

/** Titles that fit beside each other on a phone. */
const SHORT_TITLE = {
  'oci-index': 'OCI index',
  'docker-list': 'Docker list',
  'oci-manifest': 'OCI',
  'docker-schema2': 'Schema 2',
  'docker-schema1': 'Schema 1',
} as const satisfies Record<Form, string>;

const MARKS = { published: '●', derived: '◐', missing: '✕' } as const satisfies Record<FormStanding['kind'], string>;

/** A form with its state, shown by mark, word and colour. A missing form links to the page with the reason. */
export function FormBadge({ form, standing }: { readonly form: Form; readonly standing: FormStanding }) {
  const content = (
    <>
      <span aria-hidden="true">{MARKS[standing.kind]}</span>
      {SHORT_TITLE[form]}
      <span class="hidden">
        : {standing.kind === 'missing' ? `missing, ${helpOf(standing.reason).title}` : standing.kind}
      </span>
    </>
  );
  if (standing.kind !== 'missing') return <span class={`badge ${standing.kind}`}>{content}</span>;
  return (
    <a class="badge missing" href={helpPath(standing.reason)} title={reasonRow(standing.reason).message}>
      {content}
    </a>
  );
}

/** A form with its state, without a link: for the line that opens the details. */
export function FormMark({ form, kind }: { readonly form: Form; readonly kind: FormStanding['kind'] }) {
  return (
    <span class={`badge ${kind}`}>
      <span aria-hidden="true">{MARKS[kind]}</span>
      {SHORT_TITLE[form]}
      <span class="hidden">: {kind}</span>
    </span>
  );
}

/** The forms that a tag has or should have, in the order of {@link FORMS}. */
export function standingsOf({
  published,
  derived,
  missing,
}: Pick<TagSummary, 'published' | 'derived' | 'missing'>): readonly {
  readonly form: Form;
  readonly standing: FormStanding;
}[] {
  return FORMS.flatMap((form): { form: Form; standing: FormStanding }[] => {
    if (published.includes(form)) return [{ form, standing: { kind: 'published' } }];
    if (derived.includes(form)) return [{ form, standing: { kind: 'derived' } }];
    const reason = missing.find((one) => one.form === form)?.reason;
    return reason === undefined ? [] : [{ form, standing: { kind: 'missing', reason } }];
  });
}

/** The legend of the marks. */
export function Legend() {
  return (
    <ul class="legend" aria-label="What the marks mean">
      <li>
        <span class="badge published">
          <span aria-hidden="true">{MARKS.published}</span>published
        </span>
        as it was pushed
      </li>
      <li>
        <span class="badge derived">
          <span aria-hidden="true">{MARKS.derived}</span>derived
        </span>
        made from it by Gantry
      </li>
      <li>
        <span class="badge missing">
          <span aria-hidden="true">{MARKS.missing}</span>missing
        </span>
        with the reason
      </li>
    </ul>
  );
}
