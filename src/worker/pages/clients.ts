/** The client for "What will my client get?": a family of clients with recorded headers, or pasted headers. */
import { parseAccept } from '../../http/accept.ts';
import { CLIENTS, type KnownClient } from '../../manifest/clients/known-clients.ts';
import { type Choice, type Client, negotiate } from '../../manifest/negotiate.ts';
import type { TagRecord } from '../../registry/records.ts';

/** Maximum length of pasted headers, in characters. */
export const PASTED_MAX_LENGTH = 4_000;

/** A client, and the form that it gets. */
export interface Outcome {
  readonly client: Client;
  readonly title: string;
  /** The headers as editable lines. */
  readonly headers: string;
  readonly choice: Choice;
}

/** The form that a family of clients gets. */
export function outcomeOf({ title, accept, userAgent }: KnownClient, record: TagRecord): Outcome {
  const lines = [
    ...accept.map((line) => `Accept: ${line}`),
    ...(userAgent === undefined ? [] : [`User-Agent: ${userAgent}`]),
  ];
  return outcome(title, accept.length === 0 ? null : accept.join(', '), userAgent ?? null, lines.join('\n'), record);
}

/**
 * The client in a page's query: a family by its id (`client`), or pasted headers (`headers`, one `Name: value` a line).
 * Null without either.
 */
export function clientFromQuery(query: URLSearchParams, record: TagRecord): Outcome | null {
  const pasted = query.get('headers');
  if (pasted !== null) {
    const text = pasted.slice(0, PASTED_MAX_LENGTH);
    const { accept, userAgent } = readHeaders(text);
    return outcome('A client with these headers', accept, userAgent, text, record);
  }
  const known = CLIENTS.find(({ id }) => id === query.get('client'));
  return known === undefined ? null : outcomeOf(known, record);
}

/** Parses pasted header lines. Several `Accept` lines are one list (RFC 9110, section 5.3). Other lines are ignored. */
export function readHeaders(text: string): { readonly accept: string | null; readonly userAgent: string | null } {
  // curl -v prints `> ` before each header.
  const lines = text.split(/\r?\n/).map((line) => /^(?:>\s*)?([!#$%&'*+.^_`|~\w-]+)\s*:\s*(.*?)\s*$/.exec(line));
  const valuesOf = (name: string): string[] =>
    lines.flatMap((line) => (line?.[1]?.toLowerCase() === name ? [line[2] ?? ''] : []));
  const accept = valuesOf('accept');
  return { accept: accept.length === 0 ? null : accept.join(', '), userAgent: valuesOf('user-agent')[0] ?? null };
}

function outcome(
  title: string,
  accept: string | null,
  userAgent: string | null,
  headers: string,
  record: TagRecord,
): Outcome {
  const client = { accept: parseAccept(accept), userAgent };
  return { client, title, headers, choice: negotiate(client, record) };
}
