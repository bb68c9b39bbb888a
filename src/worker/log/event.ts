import { messageOf } from '../../registry/values/error-message.ts';

/** Logs that something failed: a JSON object in one line. `error`: its message becomes a member. */
export function logFailure(event: string, facts: object, error?: unknown): void {
  console.error(JSON.stringify({ event, ...facts, ...(error !== undefined && { message: messageOf(error) }) }));
}
