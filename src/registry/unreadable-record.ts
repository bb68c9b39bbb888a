/** Records of the bucket that cannot be read: damaged ones, and those of a newer version. */

/** A record that is damaged. Others are not affected; `gantry verify` says how to repair it. */
export class CorruptRecordError extends Error {
  override readonly name = 'CorruptRecordError';
}

/**
 * A record that a newer version of Gantry wrote. It is not damaged, so it is no case for repairs: this program must not
 * write over it, since it would lose what it cannot read.
 */
export class NewerVersionError extends Error {
  override readonly name = 'NewerVersionError';

  /** `what` was read, e.g. "the catalogue"; `found` and `supported` are versions. */
  constructor(what: string, found: number, supported: number) {
    super(
      `${what} was written by a newer gantry: it has version ${String(found)}, this program reads ${String(supported)}`,
    );
  }
}

/** Throws {@link NewerVersionError} if the version is a later one than this program supports. */
export function refuseNewer(what: string, version: unknown, supported: number): void {
  if (typeof version === 'number' && version > supported) throw new NewerVersionError(what, version, supported);
}
