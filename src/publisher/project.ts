import { fileURLToPath } from 'node:url';

/**
 * The folder of this package, with a trailing slash: two levels above the sources and above the bundle (`dist/gantry`).
 */
export const PROJECT: string = fileURLToPath(new URL('../../', import.meta.url));
