/** What is wrong with errors, cache lifetimes and lists. */
import type { FindingRow } from './finding-row.ts';

/** Id → fault. */
export const MISS_FINDINGS = {
  'missing-not-404': {
    severity: 'error',
    title: 'A missing object is not answered with 404',
    todo: 'A page for people, a redirect or a 200 in its place makes clients fail in odd ways. Send all of /v2/ to the registry.',
  },
  'missing-cached': {
    severity: 'warning',
    title: 'A 404 is cached for long',
    todo: "A new tag stays invisible for that long. Let 404s live for seconds (Cache-Control: max-age), and lower the CDN's own lifetime for errors.",
  },
  'error-body': {
    severity: 'error',
    title: 'An error has no OCI error body',
    todo: 'Docker 1.8 and 1.9 crash on JSON without errors, and the reason is not shown. Let the CDN pass error bodies on.',
  },
  'message-hidden': {
    severity: 'note',
    title: 'Docker 1.8 and 1.9 hide why there is no schema 1',
    todo: 'Give UNSUPPORTED as the first error code: with MANIFEST_UNKNOWN they say only that the image was not found.',
  },
  'server-error': { severity: 'error', title: 'The server fails', todo: 'Look at its log.' },
  'bad-digest-5xx': {
    severity: 'warning',
    title: 'A malformed digest is a server error',
    todo: 'It should be a 400 or 404; monitoring counts it as an outage.',
  },
  'tag-cached-long': {
    severity: 'warning',
    title: 'A tag may be cached for long',
    todo: 'A moved tag stays old that long wherever it cannot be purged. Keep it short, with stale-while-revalidate.',
  },
  'digest-uncached': {
    severity: 'note',
    title: 'Answers by digest are not cacheable for long',
    todo: 'They never change: Cache-Control: public, max-age=31536000, immutable saves most requests.',
  },
  'v1-answers': {
    severity: 'warning',
    title: '/v1/ is answered by something that is not a registry',
    todo: 'Docker before 1.10 falls back to it, and shows what it gets. Answer 404.',
  },
  'tags-unsorted': {
    severity: 'note',
    title: 'The tag list is not sorted',
    todo: 'The OCI distribution spec wants it in ASCII order.',
  },
  'tags-unpaged': {
    severity: 'note',
    title: 'The tag list does not honour n',
    todo: 'Clients that ask for a page get everything.',
  },
  'referrers-missing': {
    severity: 'note',
    title: 'There is no referrers API',
    todo: 'Signatures and attestations are then found only by fallback tags.',
  },
} as const satisfies Record<string, FindingRow>;
