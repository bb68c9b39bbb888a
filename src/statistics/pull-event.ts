/**
 * What counts as a pull, and the data point that is written for it.
 *
 * One pull is one event. Every client resolves the tag exactly once in a pull, so the request by tag is counted and no
 * other. Clients that begin with GET are counted by their GET. Docker from 20.10 on and containerd send HEAD by tag and
 * then GET by digest, so they are counted by their HEAD. Requests by digest and for blobs are not counted: they follow a
 * request by tag, or are for an image that is pinned by digest, whose tag is unknown.
 */
import { CLIENTS, type KnownClient } from '../manifest/clients/known-clients.ts';
import { isBefore, programOf, type Version } from '../manifest/clients/limits.ts';
import type { Reason } from '../registry/errors.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';

/** A pull. It has neither the client's address nor a user's name. */
export interface PullEvent {
  readonly name: RepositoryName;
  readonly tag: Tag;
  /** The form that the client got; '' if it got none. */
  readonly form: string;
  /** The family of clients, as in the log. */
  readonly client: string;
  /** Why the tag has no form for this client; '' if it got one. */
  readonly reason: string;
}

/** Facts about an answered request for a manifest by tag. */
export interface ManifestAnswer {
  readonly method: string;
  readonly status: number;
  readonly userAgent: string | null;
  readonly reason: Reason | undefined;
}

/** Member of an event → column of the dataset. The order is that of the blobs in a data point. */
export const PULL_COLUMNS = {
  name: 'blob1',
  tag: 'blob2',
  form: 'blob3',
  client: 'blob4',
  reason: 'blob5',
} as const satisfies Record<keyof PullEvent, string>;

/**
 * Limits of a data point (Cloudflare's documentation, "Workers Analytics Engine · Limits", November 2026).
 * `blobBytes`: all blobs together. `perInvocation`: data points.
 */
export const DATA_POINT_LIMITS = {
  blobs: 20,
  blobBytes: 16_384,
  doubles: 20,
  indexBytes: 96,
  perInvocation: 250,
} as const;

/** Days for which Analytics Engine keeps data points: three months. */
export const RETENTION_DAYS = 90;

/** A data point as Analytics Engine takes it. */
export interface DataPoint {
  readonly indexes: string[];
  readonly blobs: string[];
}

/**
 * Whether an answer completes a pull, or refuses one because the tag has no form for the client. Unknown names and tags
 * and refused logins do not count: anybody can send as many of them as they like.
 */
export function isPull({ method, status, userAgent, reason }: ManifestAnswer): boolean {
  if (status === 200) return method === 'GET' || (method === 'HEAD' && pullsByHead(userAgent));
  return method === 'GET' && status === 404 && reason !== undefined && isFormRefusal(reason);
}

/** The data point of a pull. Events are sampled by repository, so that a large one does not hide a small one. */
export function dataPointOf(event: PullEvent): DataPoint {
  const members = Object.keys(PULL_COLUMNS) as (keyof PullEvent)[];
  return { indexes: [indexOf(event.name)], blobs: members.map((member) => event[member]) };
}

/** The index of a repository's data points: the beginning of its name, whose characters are ASCII. */
export function indexOf(name: RepositoryName): string {
  return name.slice(0, DATA_POINT_LIMITS.indexBytes);
}

const OTHER_FORM_REFUSALS: ReadonlySet<Reason> = new Set(['zstd-layers', 'form-not-published', 'platform-unknown']);

function isFormRefusal(reason: Reason): boolean {
  return /^schema[12]-/.test(reason) || OTHER_FORM_REFUSALS.has(reason);
}

/** The first version of each program that begins a pull with HEAD, of the table of clients. */
const HEAD_FIRST: ReadonlyMap<string, Required<Version>> = firstVersions(CLIENTS);

function firstVersions(clients: readonly KnownClient[]): ReadonlyMap<string, Required<Version>> {
  const first = new Map<string, Required<Version>>();
  for (const { first: method, userAgent } of clients) {
    const client = method === 'HEAD' ? programOf(userAgent ?? null) : null;
    if (client === null) continue;
    const [major, minor] = client.version;
    const known = first.get(client.program);
    if (known === undefined || isBefore([major, minor, 0], known)) first.set(client.program, [major, minor, 0]);
  }
  return first;
}

function pullsByHead(userAgent: string | null): boolean {
  const client = programOf(userAgent);
  const first = client === null ? undefined : HEAD_FIRST.get(client.program);
  return client !== null && first !== undefined && !isBefore(client.version, first);
}
