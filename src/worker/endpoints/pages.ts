/** HTML pages for people. Their code is imported with the first request for a page: pulls do not need it. */
import type { EdgeHandler } from '../gateway/edge-context.ts';

/** `/` */
export const home: EdgeHandler = async (c) => (await import('../pages/home.tsx')).home(c);

/** `/r/<name>` and `/r/<name>:<tag>` */
export const browse: EdgeHandler = async (c) => (await import('../pages/browse.tsx')).browse(c);

/** `/help/<reason>` */
export const help: EdgeHandler = async (c) => (await import('../pages/help.tsx')).help(c);

/** `/help` */
export const helpIndex: EdgeHandler = async (c) => (await import('../pages/help.tsx')).helpIndex(c);
