import { fileURLToPath } from 'node:url';

/**
 * The folder of this package, with a trailing slash: two levels above the sources and above the bundle (`dist/gantry`).
 */
export const PROJECT: string = fileURLToPath(new URL('../../', import.meta.url));

/** Whether the package is installed, rather than a checkout: its folder is then replaced at each update. */
export const IS_INSTALLED = /[\\/]node_modules[\\/]/.test(PROJECT);
