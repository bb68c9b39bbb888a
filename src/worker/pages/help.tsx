/** `/help` and `/help/<reason>`: explanations, generated from the reason table. No reads. */
import { isReason } from '../../registry/errors.ts';
import { HelpIndexPage, HelpPage } from './views/help-page.tsx';
import type { EdgeContext } from '../gateway/edge-context.ts';
import { answerPage, noSuchPage, placeOf } from './page-endpoint.tsx';
import { pageResponse } from './page-response.ts';

/** Answers with the page of one reason. */
export function help(context: EdgeContext): Promise<Response> {
  const reason = context.req.param('reason') ?? '';
  if (!isReason(reason)) return answerPage(context, { kind: 'open' }, () => Promise.resolve(noSuchPage()));
  return pageResponse(<HelpPage reason={reason} place={placeOf(context)} />, 200, 'moving');
}

/** Answers with the list of reasons. */
export function helpIndex(context: EdgeContext): Promise<Response> {
  return pageResponse(<HelpIndexPage place={placeOf(context)} />, 200, 'moving');
}
