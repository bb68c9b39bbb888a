/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import { helpPath, REASONS, reasonRow, type Reason } from '../../../registry/errors.ts';
import { helpOf } from '../../../registry/help.ts';
import { Page, type Place, Prose } from './layout.tsx';

/** The page of one reason: what it means and what to do. */
export function HelpPage({ reason, place }: { readonly reason: Reason; readonly place: Place }) {
  const { status, codes, message } = reasonRow(reason);
  const help = helpOf(reason);
  return (
    <Page title={help.title} place={place} section="help">
      <nav class="crumbs" aria-label="Where you are">
        <a href="/help">Help</a> / {reason}
      </nav>
      <h1>{help.title}</h1>
      <p class="lead">{message}</p>
      {help.paragraphs.map((paragraph) => (
        <p>
          <Prose text={paragraph.replaceAll('HOST', place.host)} />
        </p>
      ))}
      <h2>What a client gets</h2>
      <dl class="facts-list card">
        <dt>Status</dt>
        <dd>{status}</dd>
        <dt>{codes.length === 1 ? 'Error code' : 'Error codes'}</dt>
        <dd>{codes.join(', ')}</dd>
        <dt>
          <code>detail.reason</code>
        </dt>
        <dd>{reason}</dd>
      </dl>
    </Page>
  );
}

/** All reasons. */
export function HelpIndexPage({ place }: { readonly place: Place }) {
  return (
    <Page title="Help" place={place} section="help">
      <h1>Reasons for refusals</h1>
      <p class="lead">Every refusal names one of these reasons and links to its page.</p>
      <ul class="reasons">
        {(Object.keys(REASONS) as Reason[]).map((reason) => (
          <li>
            <a href={helpPath(reason)}>{helpOf(reason).title}</a> <span class="quiet">{reasonRow(reason).message}</span>
          </li>
        ))}
      </ul>
    </Page>
  );
}
