/**
 * Limits of what is derived, which guard against malicious input. A published manifest beyond them stays as it is: only
 * nothing is derived from it.
 */

/**
 * Bytes of a derived manifest. distribution refuses to store longer ones, and containers/image to read them
 * (`internal/iolimits`).
 */
export const DERIVED_MAX = 4 * 1024 * 1024;

/**
 * Entries of a history that are converted from or to schema 1. Engines stack at most 127 layers. A build adds an entry for
 * each instruction; real images have fewer than 300.
 */
export const HISTORY_MAX = 1_000;

/** Layers of an image that is converted. */
export const LAYERS_MAX = 1_000;
