/** Checks lists against the bucket. Pure, over what was read of both. */
import type { Digest } from '../../registry/digest.ts';
import { compareNames } from '../../registry/name.ts';
import { CorruptRecordError, NewerVersionError } from '../../registry/unreadable-record.ts';
import { publishedDigests, type TagRecord } from '../../registry/records.ts';
import {
  decodeListHeader,
  decodeSortedList,
  encodeSortedList,
  FIRST_READ,
  type ListEntry,
} from '../../registry/sorted-list.ts';
import type { ObjectInfo } from '../../registry/store.ts';

// More names add nothing.
const NAMES_SHOWN = 5;

/** A list object: its entries, or why it cannot be read. */
export type ListReading =
  { readonly entries: readonly ListEntry<unknown>[] } | { readonly problem: string; readonly newer?: true };

/** Reads a list object, and checks the first line that readers of pages use. */
export function readList(info: ObjectInfo, body: Uint8Array): ListReading {
  try {
    const entries = decodeSortedList(body);
    const header = decodeListHeader(body.subarray(0, FIRST_READ), info.metadata);
    if (header.count !== entries.length)
      return { problem: `its first line says ${String(header.count)} names, it has ${String(entries.length)}` };
    // Readers cut by byte ranges, so the bytes must be exactly those that the writer makes.
    const { body: exact, metadata } = encodeSortedList(entries);
    const same =
      Buffer.from(exact).equals(Buffer.from(body)) &&
      Object.entries(metadata).every(([name, value]) => info.metadata[name] === value);
    return same ? { entries } : { problem: 'its first line, order or layout is wrong' };
  } catch (error) {
    if (error instanceof CorruptRecordError) return { problem: error.message };
    if (error instanceof NewerVersionError) return { problem: error.message, newer: true };
    throw error;
  }
}

/** The fault of a list of names, as a sentence; null if there is none. */
export function compareNamesWith(listed: readonly string[], present: readonly string[]): string | null {
  const [there, here] = [new Set(listed), new Set(present)];
  const lacking = present.filter((name) => !there.has(name)).sort(compareNames);
  const tooMany = listed.filter((name) => !here.has(name)).sort(compareNames);
  return faultOf(lacking, tooMany);
}

/**
 * The fault of a tag's entry in the tag list; null if there is none. Only members that the tag object contains are
 * compared. `etag`: of the tag object.
 */
export function compareDetail(detail: unknown, record: TagRecord, etag: string): string | null {
  const { updated, published, derived, ...made } = (detail ?? {}) as Record<string, unknown>;
  if (updated !== record.updated)
    return `says that it was moved at ${JSON.stringify(updated)}, it was at ${record.updated}`;
  for (const [kind, listed] of [
    ['published', published],
    ['derived', derived],
  ] as const) {
    const forms = new Set<unknown>(record.forms.filter(({ source }) => source.kind === kind).map(({ form }) => form));
    if (!Array.isArray(listed) || listed.some((form) => !forms.has(form)) || new Set(listed).size !== forms.size) {
      return `says that ${JSON.stringify(listed)} are ${kind}, ${JSON.stringify([...forms])} are`;
    }
  }
  // An entry of another version of the tag object is recognised by its etag, and not used.
  const digests = publishedDigests(record);
  if (made.etag === etag && JSON.stringify(made.digests) !== JSON.stringify(digests)) {
    return `says that ${JSON.stringify(made.digests)} were published, ${JSON.stringify(digests)} were`;
  }
  return null;
}

/**
 * The fault of a referrers record, as a sentence; null if there is none. `expected`: stored manifests with that
 * subject; `stored`: all manifests of the repository, null if the record may name others.
 */
export function compareReferrers(
  listed: readonly Digest[],
  expected: ReadonlySet<Digest>,
  stored: ReadonlySet<Digest> | null,
): string | null {
  const there = new Set(listed);
  const lacking = [...expected].filter((digest) => !there.has(digest));
  // A listed manifest that does not declare its subject was found by a fallback tag, and is right.
  const tooMany = stored === null ? [] : listed.filter((digest) => !stored.has(digest));
  return faultOf(lacking, tooMany);
}

function faultOf(lacking: readonly string[], tooMany: readonly string[]): string | null {
  const parts = [
    ...(lacking.length === 0 ? [] : [`lacks ${some(lacking)}`]),
    ...(tooMany.length === 0 ? [] : [`names ${some(tooMany)}, which does not exist`]),
  ];
  return parts.length === 0 ? null : parts.join(' and ');
}

function some(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  return `${names.slice(0, NAMES_SHOWN).join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`;
}
