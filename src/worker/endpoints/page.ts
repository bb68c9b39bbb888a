/** Pages for people: the annex makes them. */
import { refused } from '../gateway/answer.ts';
import { type EdgeHandler, refuseTo } from '../gateway/gateway.ts';
import { INNER_HEADERS, type PageFacts } from '../gateway/respond.ts';

/** Answers as the annex does; 503 without it. */
export const page: EdgeHandler = async (c) => {
  const { config, trace } = c.env;
  const response = await config.annex.page(c.req.raw, trace.id, (work) => c.executionCtx.waitUntil(work));
  if (response === null) return refuseTo(c, refused('annex-unavailable'));
  const facts = response.headers.get(INNER_HEADERS.facts);
  response.headers.delete(INNER_HEADERS.facts);
  const { head, get, ms, reason } = JSON.parse(facts ?? '{"head":0,"get":0,"ms":0}') as PageFacts;
  trace.heads += head;
  trace.gets += get;
  trace.storageTime += ms;
  if (reason !== undefined) trace.reason = reason;
  return response;
};
