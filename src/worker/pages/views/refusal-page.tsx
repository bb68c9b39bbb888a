/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import { helpPath, reasonRow, type Reason } from '../../../registry/errors.ts';
import { helpOf } from '../../../registry/help.ts';
import type { RefusalLink } from '../refusal-links.ts';
import { Page, type Place, Prose } from './layout.tsx';
import { visible } from '../visible-text.ts';

/** The page for a refusal. */
export function RefusalPage({
  reason,
  message,
  links,
  place,
}: {
  readonly reason: Reason;
  readonly message?: string | undefined;
  /** Pages that may be what was meant. */
  readonly links: readonly RefusalLink[];
  readonly place: Place;
}) {
  const row = reasonRow(reason);
  const help = helpOf(reason);
  return (
    <Page title={help.title} place={place} section="repositories">
      <p class="status">{row.status}</p>
      <h1>{help.title}</h1>
      <p class="lead">{visible(message ?? row.message, 600)}</p>
      {links.length > 0 && (
        <ul class="next" aria-label="What may help">
          {links.map(({ href, text }) => (
            <li>
              <a href={href}>{visible(text, 300)}</a>
            </li>
          ))}
        </ul>
      )}
      {help.paragraphs.map((paragraph) => (
        <p>
          <Prose text={paragraph.replaceAll('HOST', place.host)} />
        </p>
      ))}
      <p>
        <a href="/">All repositories</a> · <a href={helpPath(reason)}>More about this</a>
      </p>
    </Page>
  );
}
