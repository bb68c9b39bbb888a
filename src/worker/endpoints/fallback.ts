/** Responses for requests that no line of the endpoint table answers, and for errors. */
import { StorageError } from '../../registry/store.ts';
import { logFailure } from '../log/event.ts';
import { refused } from '../gateway/answer.ts';
import { type EdgeContext, type EdgeHandler, refuseTo } from '../gateway/edge-context.ts';

/** Answers an unknown path, or an unsupported method such as those of a push. */
export const fallback: EdgeHandler = (c) => {
  const { method } = c.req.raw;
  return refuseTo(c, refused(method === 'GET' || method === 'HEAD' ? 'endpoint-unknown' : 'method-not-allowed'));
};

/**
 * Logs an internal error with the request id that the client gets too. An error of storage after the response has begun
 * is not an internal error.
 */
export function failure(error: unknown, c: EdgeContext): Response {
  const { trace } = c.env;
  if (error instanceof StorageError) {
    logFailure('storage-unavailable', { id: trace.id }, error);
    return refuseTo(c, refused('storage-unavailable'));
  }
  const { name, message, stack } =
    error instanceof Error ? error : { name: 'unknown', message: String(error), stack: undefined };
  logFailure('internal', { id: trace.id, name, message, stack });
  return refuseTo(c, refused('internal', { detail: { id: trace.id } }));
}
