/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import { helpPath, reasonRow, type Reason } from '../../../registry/errors.ts';
import { helpOf } from '../../../registry/help.ts';
import { Page, type Place, Prose } from './layout.tsx';
import { visible } from '../visible-text.ts';

/** The page for a refusal. */
export function RefusalPage({
  reason,
  message,
  place,
}: {
  readonly reason: Reason;
  readonly message?: string | undefined;
  readonly place: Place;
}) {
  const row = reasonRow(reason);
  const help = helpOf(reason);
  return (
    <Page title={help.title} place={place} section="repositories">
      <p class="status">{row.status}</p>
      <h1>{help.title}</h1>
      <p class="lead">{visible(message ?? row.message, 600)}</p>
      {help.paragraphs.map((paragraph) => (
        <p>
          <Prose text={paragraph} />
        </p>
      ))}
      <p>
        <a href="/">All repositories</a> · <a href={helpPath(reason)}>More about this</a>
      </p>
    </Page>
  );
}
