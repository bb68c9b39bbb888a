/** The detail of a repository in the catalogue: what the front page shows of it. Pure. */
import type { ListEntry } from '../registry/sorted-list.ts';
import type { RepositorySummary } from '../registry/summary.ts';
import { listOf, objectOf } from '../registry/values/json.ts';
import { isCompanionTag } from './image-source.ts';

/**
 * Largest catalogue with details, in repositories. Each publisher writes the whole catalogue when a detail changes: a
 * larger one holds only names.
 */
export const SUMMARIES_MAX = 5_000;

/** Tag names in all details of a catalogue, about: 100 a repository in a catalogue of 1,000. */
const TAG_NAMES = 100_000;

/** Most tag names in one detail. */
const RECENT_MAX = 100;

/** Summarises a tag list. `repositories`: how many the catalogue has. Null if no tag has a time. */
export function summarizeTagList(
  entries: readonly ListEntry<unknown>[],
  repositories: number,
): RepositorySummary | null {
  const timed = entries.flatMap(({ name, detail }) => {
    const { updated } = objectOf(detail);
    return typeof updated === 'string' ? [{ name, updated }] : [];
  });
  timed.sort((a, b) => (a.updated === b.updated ? (a.name < b.name ? -1 : 1) : a.updated < b.updated ? 1 : -1));
  const [newest] = timed;
  if (newest === undefined) return null;
  const kept = Math.min(RECENT_MAX, Math.floor(TAG_NAMES / Math.max(1, repositories)));
  const named = timed.filter(({ name }) => !isCompanionTag(name));
  return { tags: entries.length, updated: newest.updated, recent: named.slice(0, kept).map(({ name }) => name) };
}

/** Reads a detail of the catalogue; null if it is none. Members of a newer gantry are ignored. */
export function repositorySummaryOf(value: unknown): RepositorySummary | null {
  const { tags, updated, recent } = objectOf(value);
  if (typeof tags !== 'number' || typeof updated !== 'string') return null;
  return { tags, updated, recent: listOf(recent).filter((name) => typeof name === 'string') };
}
