/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** `/help` and `/help/<reason>`: explanations, generated from the reason table. No reads. */
import { isReason } from '../../registry/errors.ts';
import { HelpIndexPage, HelpPage } from './views/help-page.tsx';
import type { EdgeContext } from '../gateway/edge-context.ts';
import { answerPage, noSuchPage } from './page-endpoint.tsx';

/** Answers with the page of one reason. */
export function help(context: EdgeContext): Promise<Response> {
  const reason = context.req.param('reason') ?? '';
  return answerPage(context, { kind: 'open' }, ({ place }) =>
    Promise.resolve(isReason(reason) ? <HelpPage reason={reason} place={place} /> : noSuchPage()),
  );
}

/** Answers with the list of reasons. */
export function helpIndex(context: EdgeContext): Promise<Response> {
  return answerPage(context, { kind: 'open' }, ({ place }) => Promise.resolve(<HelpIndexPage place={place} />));
}
