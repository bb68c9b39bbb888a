/** Who asks, for "what will my client get?": families of clients with the headers that they were seen to send, or headers that somebody pasted. */
import { parseAccept } from '../../http/accept.ts';
import { type Choice, type Client, negotiate } from '../../manifest/negotiate.ts';
import { MEDIA_TYPE_OF_FORM, SCHEMA1_PLAIN } from '../../registry/media-type.ts';
import type { TagRecord } from '../../registry/records.ts';

/** A family of clients, as it asks for a tag. Headers of several lines are joined; null where one is not sent. */
export interface KnownClient {
  readonly id: string;
  readonly title: string;
  readonly accept: string | null;
  readonly userAgent: string | null;
}

const OI = MEDIA_TYPE_OF_FORM['oci-index'];
const OM = MEDIA_TYPE_OF_FORM['oci-manifest'];
const DL = MEDIA_TYPE_OF_FORM['docker-list'];
const D2 = MEDIA_TYPE_OF_FORM['docker-schema2'];
const S1P = MEDIA_TYPE_OF_FORM['docker-schema1'];
const S1 = SCHEMA1_PLAIN;

/** The families, as captured on the wire. Those that ask by HEAD first go on with the digest that they are told. */
export const KNOWN_CLIENTS: readonly KnownClient[] = [
  {
    id: 'docker-28',
    title: 'Docker 20.10 to 28',
    accept: [OM, D2, DL, OI, S1P, 'application/json'].join(', '),
    userAgent: 'docker/28.5.2 go/go1.24.9 os/linux arch/amd64',
  },
  {
    id: 'containerd',
    title: 'containerd, Docker on containerd, Kubernetes',
    accept: [D2, DL, OM, OI, '*/*'].join(', '),
    userAgent: 'containerd/2.1.9',
  },
  {
    id: 'podman',
    title: 'podman, skopeo, buildah, CRI-O',
    accept: [OM, D2, S1P, S1, DL, OI].join(', '),
    userAgent: 'containers/5.34.2 (github.com/containers/image)',
  },
  { id: 'crane', title: 'crane (go-containerregistry)', accept: [S1, S1P, D2, OM, DL, OI].join(', '), userAgent: 'go-containerregistry' },
  { id: 'oras', title: 'oras', accept: [D2, DL, OM, OI].join(', '), userAgent: 'oras/1.2.0' },
  { id: 'docker-1.10', title: 'A client of schema 2 without lists', accept: D2, userAgent: null },
  {
    id: 'docker-1.9',
    title: 'Docker 1.6 to 1.9',
    accept: null,
    userAgent: 'docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/3.16.0 os/linux arch/amd64',
  },
  {
    id: 'docker-1.9-arm',
    title: 'Docker 1.6 to 1.9 on ARM',
    accept: null,
    userAgent: 'docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/3.16.0 os/linux arch/arm',
  },
  { id: 'pulp-2', title: 'Pulp 2, asking for schema 1', accept: [S1, S1P].join(','), userAgent: null },
  { id: 'curl', title: 'curl, without options', accept: '*/*', userAgent: 'curl/8.14.1' },
];

/** Most characters of pasted headers that are looked at. */
export const PASTED_MAX_LENGTH = 4_000;

/** A client that asked, and what it gets. */
export interface Outcome {
  readonly client: Client;
  readonly title: string;
  /** The headers as lines, for the field in which they can be changed. */
  readonly headers: string;
  readonly choice: Choice;
}

/** What a family of clients gets. */
export function outcomeOf(known: KnownClient, record: TagRecord): Outcome {
  const { title, accept, userAgent } = known;
  const lines = [...(accept === null ? [] : [`Accept: ${accept}`]), ...(userAgent === null ? [] : [`User-Agent: ${userAgent}`])];
  return outcome(title, accept, userAgent, lines.join('\n'), record);
}

/** What is asked for by a page's query: a family by its id (`client`), or pasted headers (`headers`, one `Name: value` a line). Null if it asks for nothing. */
export function askedBy(query: URLSearchParams, record: TagRecord): Outcome | null {
  const pasted = query.get('headers');
  if (pasted !== null) {
    const text = pasted.slice(0, PASTED_MAX_LENGTH);
    const { accept, userAgent } = readHeaders(text);
    return outcome('A client with these headers', accept, userAgent, text, record);
  }
  const known = KNOWN_CLIENTS.find(({ id }) => id === query.get('client'));
  return known === undefined ? null : outcomeOf(known, record);
}

/** Reads pasted header lines; several `Accept` lines are one, as RFC 9110 says (section 5.3). What is no header line is passed over. */
export function readHeaders(text: string): { readonly accept: string | null; readonly userAgent: string | null } {
  // `> ` before each line is how curl -v prints them.
  const lines = text.split(/\r?\n/).map((line) => /^(?:>\s*)?([!#$%&'*+.^_`|~\w-]+)\s*:\s*(.*?)\s*$/.exec(line));
  const valuesOf = (name: string): string[] => lines.flatMap((line) => (line?.[1]?.toLowerCase() === name ? [line[2] ?? ''] : []));
  const accept = valuesOf('accept');
  return { accept: accept.length === 0 ? null : accept.join(', '), userAgent: valuesOf('user-agent')[0] ?? null };
}

function outcome(title: string, accept: string | null, userAgent: string | null, headers: string, record: TagRecord): Outcome {
  const client = { accept: parseAccept(accept), userAgent };
  return { client, title, headers, choice: negotiate(client, record) };
}
