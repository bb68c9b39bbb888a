/** What is wrong with blobs: their bytes, lengths, parts and redirects. */
import { NO_TRANSFORM, type FindingRow } from './finding-row.ts';

/** Id → fault. */
export const BLOB_FINDINGS = {
  'length-missing': {
    severity: 'error',
    title: 'A blob comes without Content-Length',
    todo: `Docker 1.6 and 1.7 need it, and no client can detect a truncated download. ${NO_TRANSFORM}`,
  },
  'body-cut': {
    severity: 'error',
    title: 'A body ends before its Content-Length',
    todo: 'The connection to the storage or the registry breaks; look at its log.',
  },
  'blob-compressed': {
    severity: 'error',
    title: 'Blobs are compressed on the way',
    todo: `Layers are compressed already; their length, ranges and ETag are lost. ${NO_TRANSFORM}`,
  },
  'range-ignored': {
    severity: 'warning',
    title: 'Range is not honoured',
    todo: 'An interrupted download of a layer then restarts. Answer 206; see that the CDN fetches whole objects and cuts ranges itself.',
  },
  'range-wrong': {
    severity: 'error',
    title: 'A range answer carries the wrong bytes',
    todo: 'A resumed layer would be damaged. Look for a cache that mixes ranges and whole answers.',
  },
  'blob-missing': {
    severity: 'error',
    title: 'A blob of the image is missing',
    todo: 'Publish the image again; `gantry verify` finds all that is missing.',
  },
  'blob-mismatch': {
    severity: 'error',
    title: 'A blob does not have its digest',
    todo: `Clients refuse it. ${NO_TRANSFORM} If the storage itself is wrong, \`gantry verify --repair\` removes it, so that it can be published again.`,
  },
  'redirect-308': {
    severity: 'error',
    title: 'Blobs are redirected with 308',
    todo: 'Docker before 1.10 follows 301, 302, 303 and 307 only: use 307.',
  },
  'redirect-insecure': {
    severity: 'error',
    title: 'A redirect leads from https to http',
    todo: 'Redirect to https: clients refuse it, or the download is not encrypted.',
  },
  'redirect-userinfo': {
    severity: 'error',
    title: 'A redirect carries a user name or password',
    todo: 'Sign the URL instead; clients print and log it.',
  },
  'redirect-credentials': {
    severity: 'error',
    title: 'The target of a redirect refuses requests that carry Authorization',
    todo: 'Clients keep the header on redirects within one domain, and signed storage URLs refuse it. Redirect to another domain, or let the target ignore it.',
  },
  'redirect-broken': {
    severity: 'error',
    title: 'The target of a redirect does not serve the blob',
    todo: 'Request the URL yourself, and check whether the signature, the clock or the address of the storage is wrong.',
  },
} as const satisfies Record<string, FindingRow>;
