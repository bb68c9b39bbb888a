/** A row of the tables of faults, and advice that several rows give. */

/** A fault, and how to fix it. */
export interface FindingRow {
  /** `error`: some client cannot pull. `warning`: it works, but slowly or unreliably. `note`: for information. */
  readonly severity: 'error' | 'warning' | 'note';
  readonly title: string;
  /** What to do, as sentences. */
  readonly todo: string;
}

export const CDN_HEADERS =
  'Let the CDN pass the header on as it is; look for a rule that strips or rewrites response headers.';

export const NO_TRANSFORM =
  'Switch off compression and every other transformation of bodies for /v2/ (on Cloudflare a Cache-Control with no-transform does it; on nginx `gzip off`).';
