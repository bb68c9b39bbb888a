/** The table of faults that `verify` finds, and what to do about each. */

interface FaultRow {
  /** A `note` is unusual, but not a fault. */
  readonly severity: 'error' | 'note';
  readonly title: string;
  /** Whether `--repair` repairs it. */
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
  'schema1-nameless': {
    severity: 'error',
    title: 'schema 1 with an empty name, on which Docker 1.6 and 1.7 crash',
    repair: false,
    todo: 'Publish the schema 2 of the image under the tag: a schema 1 with a name is derived from it.',
  },
  'manifest-missing': { severity: 'error', title: 'manifest of a tag missing by digest', repair: true, todo: REPAIR },
  'manifest-digest': {
    severity: 'error',
    title: 'manifest does not have its digest',
    repair: true,
    todo: `${REPAIR} Publish the manifests again that no tag object holds.`,
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
    todo: 'No action is needed if that was intended.',
  },
  'blob-missing': {
    severity: 'error',
    title: 'blob missing',
    repair: false,
    todo: 'Publish the tag again: missing objects are sent.',
  },
  'blob-not-fetched': {
    severity: 'note',
    title: 'blob of a fetched tag, not pulled yet',
    repair: false,
    todo: 'No action is needed: it is fetched when a client pulls it.',
  },
  'blob-size': {
    severity: 'error',
    title: 'manifest has a wrong size of a blob',
    repair: false,
    todo: 'The blob has its digest, so the image was built wrongly: build and publish it again.',
  },
  'blob-digest': {
    severity: 'error',
    title: 'blob does not have its digest',
    repair: true,
    todo: 'Run `gantry verify --repair`, which removes it, and publish the tag again.',
  },
  unreadable: {
    severity: 'error',
    title: 'object that storage does not return',
    repair: false,
    todo: 'Verify again. If it stays, publish the image again with `gantry publish --check`, which sends unreadable objects again.',
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
  signatures: {
    severity: 'error',
    title: 'signatures record unreadable',
    repair: true,
    todo: `${REPAIR} It is removed; of a fronted repository it is fetched again.`,
  },
  'strange-key': {
    severity: 'note',
    title: 'key outside the layout',
    repair: false,
    todo: 'Nothing reads it. Delete it if you do not need it.',
  },
} as const satisfies Record<string, FaultRow>;

/** The kind of a fault. */
export type FaultKind = keyof typeof FAULTS;

/** A fault in a bucket. */
export interface Fault {
  readonly kind: FaultKind;
  /** Its location: `name:tag`, `name@digest`, a key. */
  readonly where: string;
  readonly message: string;
  /** `--repair` has repaired it (or removed it, if it is a blob). */
  readonly repaired: boolean;
}

/** Reports a fault. `repair` is called where repairs are wanted; it gives whether it worked. */
export type Report = (
  kind: FaultKind,
  where: string,
  message: string,
  repair?: () => Promise<boolean>,
) => Promise<void>;

/** The row of a kind of fault. */
export function faultRow(kind: FaultKind): FaultRow {
  return FAULTS[kind];
}
