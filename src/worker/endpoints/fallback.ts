/** What no line of the endpoint table answers. */
import { StorageError } from '../../registry/store.ts';
import { refused } from '../gateway/answer.ts';
import { type EdgeContext, type EdgeHandler, refuseTo } from '../gateway/edge-context.ts';

/** An unknown path, or a method that is not served: pushes above all. */
export const fallback: EdgeHandler = (c) => {
  const { method } = c.req.raw;
  return refuseTo(c, refused(method === 'GET' || method === 'HEAD' ? 'endpoint-unknown' : 'method-not-allowed'));
};

/**
 * A fault in this program: said to the log with the id that the client is told. Storage that failed after its answer
 * had begun is no such fault.
 */
export function failure(error: unknown, c: EdgeContext): Response {
  const { trace } = c.env;
  if (error instanceof StorageError) {
    console.error(JSON.stringify({ event: 'storage-unavailable', id: trace.id, message: error.message }));
    return refuseTo(c, refused('storage-unavailable'));
  }
  const { name, message, stack } =
    error instanceof Error ? error : { name: 'unknown', message: String(error), stack: undefined };
  console.error(JSON.stringify({ event: 'internal', id: trace.id, name, message, stack }));
  return refuseTo(c, refused('internal', { detail: { id: trace.id } }));
}
