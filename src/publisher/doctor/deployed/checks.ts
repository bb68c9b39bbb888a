/**
 * What `doctor --deployed` checks: one row for each assumption about Cloudflare that only a real deployment settles.
 */

interface CheckRow {
  /** The assumption, as a statement that is true or not. */
  readonly states: string;
  /** Whether something is wrong if the statement is not true. Otherwise the answer is only worth knowing. */
  readonly isNeeded: boolean;
  /** What to do if it is not true, as sentences. */
  readonly todo: string;
}

/** Id → assumption. docs/explanation/cloudflare.md names the ids, and scripts read them: they do not change. */
export const CHECKS = {
  'cache-present': {
    states: 'The registry entrypoint has a cache in front, and reports that to the gateway',
    isNeeded: true,
    todo: 'Copy [cache] and [exports.…] from the wrangler.toml of the Gantry package, and deploy again.',
  },
  'cache-hit': {
    states: 'The second request of a digest is answered by the cache',
    isNeeded: true,
    todo: 'Look at [cache] in wrangler.toml. `wrangler tail` shows `cache` in each line of the log.',
  },
  'cache-age': {
    states: 'An answer of the cache has Age, so that lifetimes do not add up',
    isNeeded: false,
    todo: 'Without it, a tag that moved without a purge may be seen in the caches of clients for 60 seconds more.',
  },
  'moved-tag': {
    states: 'A moved tag is visible in time: at once after a purge, within 90 seconds without',
    isNeeded: true,
    todo: 'See whether another cache stands in front: exclude /v2/*/manifests/* from it.',
  },
  'cache-kept': {
    states: 'Content with a digest stays in the cache across a deployment',
    isNeeded: false,
    todo: 'Set cross_version_cache = true below [cache] in wrangler.toml.',
  },
  'purge-versions': {
    states: 'A purge removes content that another version of the Worker stored',
    isNeeded: true,
    todo: 'Remove cross_version_cache from wrangler.toml: each version then has a cache of its own.',
  },
  'purge-limit': {
    states: 'A purge beyond the limit of the account is reported with a text that names the limit',
    isNeeded: false,
    todo: 'Otherwise /-/purge answers 500 instead of 429: note the text in an issue.',
  },
  range: {
    states: 'A part of a blob comes as 206',
    isNeeded: true,
    todo: 'See whether another cache or proxy stands in front.',
  },
  'range-over-limit': {
    states: 'A part of a blob that is too large for the cache comes as 206',
    isNeeded: true,
    todo: 'Set BLOB_CACHE = "off", and report it.',
  },
  'body-over-limit': {
    states: 'A blob that is too large for the cache comes whole, with its length',
    isNeeded: true,
    todo: 'Set BLOB_CACHE = "off", and report it.',
  },
  'tls12-aes128-gcm': {
    states: 'TLS 1.2 with AES128-GCM and without ALPN is accepted, as engines before 1.10 offer it',
    isNeeded: true,
    todo: 'SSL/TLS → Edge Certificates: minimum TLS version 1.2 or lower, and the default cipher suites.',
  },
  'tls12-aes128-sha': {
    states: 'TLS 1.2 with AES128-SHA (CBC) and without ALPN is accepted',
    isNeeded: false,
    todo: 'Engines before 1.10 offer GCM too. If they cannot connect, leave the cipher suites at their default.',
  },
  'tls12-ecdsa': {
    states: 'The certificate is ECDSA, as Universal SSL on the Free plan has it',
    isNeeded: false,
    todo: 'No action is needed: engines before 1.10 read RSA too.',
  },
  'http1-without-alpn': {
    states: 'A client that offers no ALPN is answered with HTTP/1.1',
    isNeeded: true,
    todo: 'See whether a proxy stands in front that speaks only HTTP/2.',
  },
  'root-known': {
    states: 'A host of 2015 knows the root of the certificate',
    isNeeded: false,
    todo: 'Put the root into /etc/docker/certs.d/HOST/ca.crt on such hosts: docs/how-to/deploy.md, section 5.',
  },
  'not-challenged': {
    states: 'Clients are answered, and not challenged',
    isNeeded: true,
    todo: 'Switch off Bot Fight Mode (no rule can skip it on the Free plan), and let other rules skip this host.',
  },
  'form-old': {
    states: 'Without Accept, a tag is schema 1, or a 404 that says why there is none',
    isNeeded: true,
    todo: 'See whether a cache in front ignores Vary: Accept.',
  },
  'form-new': {
    states: 'With a modern Accept, a tag is schema 2 or OCI',
    isNeeded: true,
    todo: 'See whether a cache in front ignores Vary: Accept.',
  },
  'head-http3': {
    states: 'HEAD over HTTP/3 keeps Content-Length (cloudflare/workerd#6830)',
    isNeeded: false,
    todo: 'Switch HTTP/3 off for the zone if a client of yours needs the length: Docker and containerd do not use HTTP/3.',
  },
} as const satisfies Record<string, CheckRow>;

/** A check's id. */
export type CheckId = keyof typeof CHECKS;

/** The answer. `not-asked`: it could not be observed with the rights at hand, or not without harm. */
export interface CheckResult {
  readonly id: CheckId;
  readonly outcome: 'yes' | 'no' | 'not-asked';
  /** What was seen; for `not-asked`, why it was not asked and what would settle it. */
  readonly seen: string;
}

/** A row of the table. */
export function checkRow(id: CheckId): CheckRow {
  return CHECKS[id];
}

/** Whether something is wrong: a needed statement is not true. */
export function isFault({ id, outcome }: CheckResult): boolean {
  return outcome === 'no' && checkRow(id).isNeeded;
}

/** The answer to a statement that was observed. */
export function answered(id: CheckId, isTrue: boolean, seen: string): CheckResult {
  return { id, outcome: isTrue ? 'yes' : 'no', seen };
}

/** The answer to a statement that was not observed. */
export function notAsked(id: CheckId, why: string): CheckResult {
  return { id, outcome: 'not-asked', seen: why };
}
