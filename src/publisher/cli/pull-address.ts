/** Where clients pull from, for the last line of a publish. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parse } from 'smol-toml';
import { readAnnouncement } from '../local/announcement.ts';
import { stateFolderAt } from '../local/folder.ts';
import type { BucketOptions } from './bucket-options.ts';
import type { Edge } from './environment.ts';

/** The host, and whether it answers only once `gantry serve` runs. */
export interface PullAddress {
  readonly host: string;
  readonly needsServe: boolean;
}

/** The default address of `gantry serve`. */
const SERVE = '127.0.0.1:8787';

/**
 * The host that serves the bucket: that of `$GANTRY_EDGE_URL`; of a local store, its server; else `PUBLIC_URL` or the
 * custom domain of `wrangler.toml`. null if none of them says it.
 */
export async function pullAddress(options: BucketOptions, edge: Edge | undefined): Promise<PullAddress | null> {
  if (edge !== undefined) return { host: edge.url.host, needsServe: false };
  if (options.to === 'local') {
    const announcement = await readAnnouncement(stateFolderAt(options.state).announcement);
    const url = announcement?.kind === 'server' ? announcement.url : null;
    return url === null ? { host: SERVE, needsServe: true } : { host: new URL(url).host, needsServe: false };
  }
  const host = await configuredHost(options.config ?? 'wrangler.toml');
  return host === null ? null : { host, needsServe: false };
}

async function configuredHost(path: string): Promise<string | null> {
  let config: { vars?: { PUBLIC_URL?: unknown }; routes?: unknown };
  try {
    config = parse(await readFile(resolve(path), 'utf8'));
  } catch {
    // The realm table's reader reports a file that cannot be read.
    return null;
  }
  const url = config.vars?.PUBLIC_URL;
  if (typeof url === 'string' && URL.canParse(url)) return new URL(url).host;
  const routes = Array.isArray(config.routes)
    ? (config.routes as { pattern?: unknown; custom_domain?: unknown }[])
    : [];
  const domain = routes.find(({ custom_domain }) => custom_domain === true)?.pattern;
  return typeof domain === 'string' ? domain : null;
}
