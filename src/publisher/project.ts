import { fileURLToPath } from 'node:url';

/** The folder of this package, with a slash at the end. It is two folders up from the sources and from what is built of them (`dist/gantry`). */
export const PROJECT: string = fileURLToPath(new URL('../../', import.meta.url));
