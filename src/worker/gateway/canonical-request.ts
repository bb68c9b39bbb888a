import { formatRange } from '../../http/range.ts';
import type { Asked } from './asked.ts';
import { type Question, urlOf } from './question.ts';

/** A question as a request that a cache can tell apart from others by what matters and nothing else. */
export function canonicalRequest(question: Question, { head, accept, userAgent, range }: Asked): Request {
  const headers = new Headers();
  if (accept !== null) headers.set('accept', accept);
  if (userAgent !== null) headers.set('user-agent', userAgent);
  if (range !== null) headers.set('range', formatRange(range));
  // A redirect is for the client.
  return new Request(urlOf(question), { method: head ? 'HEAD' : 'GET', headers, redirect: 'manual' });
}
