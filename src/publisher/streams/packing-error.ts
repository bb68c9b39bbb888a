/** Bytes that cannot be unpacked: damaged, or packed in a way that is not read (bzip2, xz). */
export class PackingError extends Error {
  override readonly name = 'PackingError';
}
