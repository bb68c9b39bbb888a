/** The faults that `doctor` finds: one table a subject. */
import { BLOB_FINDINGS } from './blobs.ts';
import { CONNECTION_FINDINGS } from './connection.ts';
import type { FindingRow } from './finding-row.ts';
import { MANIFEST_FINDINGS } from './manifests.ts';
import { MISS_FINDINGS } from './misses.ts';

/** Id → fault. */
export const FINDINGS = {
  ...CONNECTION_FINDINGS,
  ...MANIFEST_FINDINGS,
  ...BLOB_FINDINGS,
  ...MISS_FINDINGS,
} as const satisfies Record<string, FindingRow>;

/** A fault's id. */
export type FindingId = keyof typeof FINDINGS;

/** A fault that was found. */
export interface Finding {
  readonly id: FindingId;
  /** What exactly was seen, and where. */
  readonly seen: string;
  /** The families it was seen with; unset where it does not depend on that. */
  readonly client?: string;
}

/** What a fault says. */
export function findingRow(id: FindingId): FindingRow {
  return FINDINGS[id];
}
