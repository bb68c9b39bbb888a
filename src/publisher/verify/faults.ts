/** Every fault that `verify` knows in a bucket, and what to do about it. */

interface FaultRow {
  /** A `note` says what is unusual, and is no fault. */
  readonly severity: 'error' | 'note';
  readonly title: string;
  /** Whether `--repair` mends it. */
  readonly repair: boolean;
  readonly todo: string;
}

const PUBLISH_AGAIN = 'Publish the tag again.';
const REPAIR = 'Run `gantry verify --repair`.';

/** Kind → fault. */
export const FAULTS = {
  'tag-corrupt': { severity: 'error', title: 'tag object unreadable', repair: false, todo: PUBLISH_AGAIN },
  'tag-layout': { severity: 'error', title: 'tag object and its index differ', repair: false, todo: PUBLISH_AGAIN },
  'tag-digest': {
    severity: 'error',
    title: 'form in a tag object does not have its digest',
    repair: false,
    todo: PUBLISH_AGAIN,
  },
  'tag-form': {
    severity: 'error',
    title: 'form in a tag object is of another kind',
    repair: false,
    todo: PUBLISH_AGAIN,
  },
  'schema1-signature': { severity: 'error', title: 'schema 1 signature invalid', repair: false, todo: PUBLISH_AGAIN },
  'manifest-missing': { severity: 'error', title: 'manifest of a tag missing by digest', repair: true, todo: REPAIR },
  'manifest-digest': {
    severity: 'error',
    title: 'manifest does not have its digest',
    repair: true,
    todo: `${REPAIR} What no tag object holds must be published again.`,
  },
  'manifest-type': {
    severity: 'error',
    title: 'manifest stored with a wrong content type',
    repair: true,
    todo: REPAIR,
  },
  'child-missing': {
    severity: 'error',
    title: 'derived list names a manifest that is missing',
    repair: false,
    todo: PUBLISH_AGAIN,
  },
  'child-left-out': {
    severity: 'note',
    title: 'published list names a platform that was left out',
    repair: false,
    todo: 'Nothing, if that was meant.',
  },
  'blob-missing': {
    severity: 'error',
    title: 'blob missing',
    repair: false,
    todo: 'Publish the tag again: what is missing is sent.',
  },
  'blob-not-fetched': {
    severity: 'note',
    title: 'blob of a fetched tag that nobody has pulled yet',
    repair: false,
    todo: 'Nothing: it is fetched when it is asked for.',
  },
  'blob-size': {
    severity: 'error',
    title: 'manifest tells a wrong size of a blob',
    repair: false,
    todo: 'The blob has its digest, so the image was made wrongly: build and publish it anew.',
  },
  'blob-digest': {
    severity: 'error',
    title: 'blob does not have its digest',
    repair: true,
    todo: 'Run `gantry verify --repair`, which removes it, and publish the tag again.',
  },
  unreadable: {
    severity: 'error',
    title: 'object that storage does not give',
    repair: false,
    todo: 'Verify again. If it stays, publish the image again with `gantry publish --check`, which sends what cannot be read.',
  },
  newer: {
    severity: 'error',
    title: 'record written by a newer gantry',
    repair: false,
    todo: 'It is not damaged. Use the newest gantry.',
  },
  'gc-journal': { severity: 'error', title: 'journal of garbage collection unreadable', repair: true, todo: REPAIR },
  'tag-list': { severity: 'error', title: 'tag list wrong', repair: true, todo: REPAIR },
  catalog: { severity: 'error', title: 'catalogue wrong', repair: true, todo: REPAIR },
  referrers: { severity: 'error', title: 'referrers record wrong', repair: true, todo: REPAIR },
  'strange-key': {
    severity: 'note',
    title: 'key that is none of ours',
    repair: false,
    todo: 'Nothing reads it. Delete it if you do not need it.',
  },
} as const satisfies Record<string, FaultRow>;

/** A fault's kind. */
export type FaultKind = keyof typeof FAULTS;

/** A fault that was found. */
export interface Fault {
  readonly kind: FaultKind;
  /** Where it shows: `name:tag`, `name@digest`, a key. */
  readonly where: string;
  readonly message: string;
  /** `--repair` has mended it (or, of a blob, removed it). */
  readonly repaired: boolean;
}

/** Reports a fault. `repair` is called where repairs are wanted; it gives whether it worked. */
export type Report = (
  kind: FaultKind,
  where: string,
  message: string,
  repair?: () => Promise<boolean>,
) => Promise<void>;

/** What a kind of fault says. */
export function faultRow(kind: FaultKind): FaultRow {
  return FAULTS[kind];
}
