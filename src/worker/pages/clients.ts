/** The client for "What will my client get?": a family of clients with recorded headers, or pasted headers. */
import { parseAccept } from '../../http/accept.ts';
import { CLIENTS, clientOf, type KnownClient } from '../../manifest/clients/known-clients.ts';
import { type Obstacle, obstacleTo } from '../../manifest/clients/obstacles.ts';
import { type Choice, type Client, negotiate } from '../../manifest/negotiate.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { TagRecord } from '../../registry/records.ts';

/** Maximum length of pasted headers, in characters. */
export const PASTED_MAX_LENGTH = 4_000;

/** What is known about a tag. `nameless`: its published schema 1 has an empty name. */
export interface PulledTag {
  readonly name: RepositoryName;
  readonly record: TagRecord;
  readonly nameless: boolean;
}

/** A client, and the form that it gets. */
export interface Outcome {
  readonly client: Client;
  readonly title: string;
  /** The headers as editable lines. */
  readonly headers: string;
  readonly choice: Choice;
  /** Why it cannot use what it gets; null if nothing is known that keeps it from that. */
  readonly obstacle: Obstacle | null;
}

/** The form that a family of clients gets. */
export function outcomeOf(known: KnownClient, tag: PulledTag): Outcome {
  const { title, accept, userAgent } = known;
  const lines = [
    ...accept.map((line) => `Accept: ${line}`),
    ...(userAgent === undefined ? [] : [`User-Agent: ${userAgent}`]),
  ];
  return outcome(title, clientOf(known), lines.join('\n'), tag);
}

/**
 * The client in a page's query: a family by its id (`client`), or pasted headers (`headers`, one `Name: value` a line).
 * Null without either.
 */
export function clientFromQuery(query: URLSearchParams, tag: PulledTag): Outcome | null {
  const pasted = query.get('headers');
  if (pasted !== null) {
    const text = pasted.slice(0, PASTED_MAX_LENGTH);
    const { accept, userAgent } = readHeaders(text);
    return outcome('A client that sends these headers', { accept: parseAccept(accept), userAgent }, text, tag);
  }
  const known = CLIENTS.find(({ id }) => id === query.get('client'));
  return known === undefined ? null : outcomeOf(known, tag);
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

function outcome(title: string, client: Client, headers: string, { name, record, nameless }: PulledTag): Outcome {
  const choice = negotiate(client, record);
  return { client, title, headers, choice, obstacle: obstacleTo(client, { name, record, choice, nameless }) };
}
