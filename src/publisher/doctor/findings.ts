/** The table of faults, and how to fix them. */

interface FindingRow {
  /** `error`: some client cannot pull. `warning`: it works, but slowly or unreliably. `note`: for information. */
  readonly severity: 'error' | 'warning' | 'note';
  readonly title: string;
  /** What to do, as sentences. */
  readonly todo: string;
}

const CDN_HEADERS =
  'Let the CDN pass the header on as it is; look for a rule that strips or rewrites response headers.';
const NO_TRANSFORM =
  'Switch off compression and every other transformation of bodies for /v2/ (on Cloudflare a Cache-Control with no-transform does it; on nginx `gzip off`).';

/** Id → fault. */
export const FINDINGS = {
  unreachable: {
    severity: 'error',
    title: 'The registry cannot be reached',
    todo: 'Check the name, the port and the firewall.',
  },
  'tls-certificate': {
    severity: 'error',
    title: 'The certificate is not accepted',
    todo: 'Install a certificate for this host, with all intermediate certificates. For a private CA set NODE_EXTRA_CA_CERTS here and /etc/docker/certs.d/HOST/ca.crt on Docker hosts.',
  },
  'tls-expires': { severity: 'warning', title: 'The certificate expires soon', todo: 'Renew it.' },
  'tls-old-engines': {
    severity: 'error',
    title: 'Docker before 1.10 cannot open a TLS connection',
    todo: 'Allow TLS 1.2 with ECDHE and AES128 in GCM or CBC mode (SHA-1 MAC), and an RSA or ECDSA certificate. On Cloudflare: minimum TLS version 1.2 and not the "modern" cipher list.',
  },
  'http1-missing': {
    severity: 'error',
    title: 'HTTP/1.1 without ALPN is not answered',
    todo: 'Docker before 1.10 knows neither HTTP/2 nor ALPN: where a client offers no protocol, speak HTTP/1.1.',
  },
  'ping-status': {
    severity: 'error',
    title: '/v2/ answers neither 200 nor 401',
    todo: 'Send all of /v2/ to the registry, without redirects: clients ask there first.',
  },
  'api-version-missing': {
    severity: 'error',
    title: '/v2/ lacks Docker-Distribution-Api-Version: registry/2.0',
    todo: `Docker before 1.10 takes such a host for a v1 registry, on 200 and on 401. ${CDN_HEADERS}`,
  },
  'challenge-missing': {
    severity: 'error',
    title: '401 without a WWW-Authenticate that clients understand',
    todo: 'Answer 401 with `WWW-Authenticate: Bearer realm="…",service="…"` or `Basic realm="…"` on /v2/: engines before 1.10 look only there.',
  },
  'token-missing': {
    severity: 'error',
    title: 'The token service gives no `token`',
    todo: 'Give the token as `token` (and `access_token`): Docker before 1.10 reads only the first.',
  },
  'login-needed': {
    severity: 'error',
    title: 'Credentials are needed',
    todo: 'Give them with --creds USER:PASSWORD to test as a logged-in client.',
  },
  'image-missing': {
    severity: 'error',
    title: 'The image cannot be found',
    todo: 'Name one that exists with --image NAME:TAG.',
  },
  'wrong-form': {
    severity: 'error',
    title: 'A client gets a manifest that it cannot read',
    todo: 'Choose the manifest by the Accept header; without one (or with schema 1 types only) give schema 1 or 404. If a cache in front chooses, see that it honours Vary.',
  },
  'schema1-to-new': {
    severity: 'error',
    title: 'A client that reads newer manifests gets schema 1',
    todo: 'The order of types in Accept has no meaning: give schema 1 only to clients that accept nothing newer.',
  },
  'vary-ignored': {
    severity: 'error',
    title: 'A cache gives every client the answer of the first one',
    todo: 'It ignores Vary: Accept. Put Accept into its cache key, or do not cache manifests by tag. A Cloudflare zone cache rule cannot vary by Accept: let the Worker do the caching.',
  },
  'vary-missing': {
    severity: 'error',
    title: 'Answers differ by Accept, but have no Vary: Accept',
    todo: 'Send Vary: Accept on manifests by tag; any cache on the way mixes them up otherwise.',
  },
  'content-type-wrong': {
    severity: 'error',
    title: 'Content-Type is not that of the manifest',
    todo: `Send the manifest's own media type. ${CDN_HEADERS}`,
  },
  'digest-missing': {
    severity: 'error',
    title: 'Docker-Content-Digest is missing',
    todo: `Docker 1.6 and 1.7 fail without it, others ask twice. ${CDN_HEADERS}`,
  },
  'digest-wrong': {
    severity: 'error',
    title: 'Docker-Content-Digest is not the digest of the body',
    todo: 'Something on the way changes the body, or mixes two answers. Of schema 1 it is the digest of the payload, without the signatures.',
  },
  'digest-mismatch': {
    severity: 'error',
    title: 'The answer for a digest has another digest',
    todo: `Clients refuse it. ${NO_TRANSFORM}`,
  },
  'digest-not-pullable': {
    severity: 'error',
    title: 'The digest that HEAD returns cannot be pulled',
    todo: 'Docker 20 and later and containerd request it next. Store every manifest by its digest, including derived ones.',
  },
  'printed-digest': {
    severity: 'warning',
    title: 'The digest that a client prints cannot be pulled',
    todo: 'A client that pins the digest cannot pull the image. Store every manifest by its digest too, including derived ones.',
  },
  'schema1-signature': {
    severity: 'error',
    title: 'The signature of the schema 1 manifest is not valid',
    todo: `Docker before 1.8.3 verifies it. Something on the way changes the body, or it was signed wrongly. ${NO_TRANSFORM}`,
  },
  'head-length-missing': {
    severity: 'error',
    title: 'HEAD has no Content-Length',
    todo: 'Docker 20–28 and oras refuse a manifest HEAD without it, Docker 1.8 and 1.9 a layer HEAD. Answer HEAD with the length that GET has.',
  },
  'head-differs': {
    severity: 'error',
    title: 'HEAD and GET return different headers',
    todo: 'Both must carry the same headers. Purge the cache; look for a rule that handles only one of the two.',
  },
  'length-missing': {
    severity: 'error',
    title: 'A blob comes without Content-Length',
    todo: `Docker 1.6 and 1.7 need it, and no client can detect a truncated download. ${NO_TRANSFORM}`,
  },
  'manifest-chunked': {
    severity: 'warning',
    title: 'A manifest comes without Content-Length',
    todo: `No client can detect a truncated manifest by its length. ${NO_TRANSFORM}`,
  },
  'body-cut': {
    severity: 'error',
    title: 'A body ends before its Content-Length',
    todo: 'The connection to the storage or the registry breaks; look at its log.',
  },
  'manifest-compressed': {
    severity: 'warning',
    title: 'Manifests are compressed on the way',
    todo: `Their length and ETag are lost, and clients that do not ask for it fail. ${NO_TRANSFORM}`,
  },
  'blob-compressed': {
    severity: 'error',
    title: 'Blobs are compressed on the way',
    todo: `Layers are compressed already; their length, ranges and ETag are lost. ${NO_TRANSFORM}`,
  },
  'etag-weak': {
    severity: 'warning',
    title: 'The ETag is weak',
    todo: `Ranges cannot be resumed by it (If-Range). A CDN weakens ETags when it transforms. ${NO_TRANSFORM}`,
  },
  'etag-unstable': {
    severity: 'warning',
    title: 'The ETag changes from answer to answer',
    todo: 'Make it from the content (the digest), not from the time or the server.',
  },
  'condition-ignored': {
    severity: 'warning',
    title: 'If-None-Match is not honoured',
    todo: 'Answer 304 when the ETag is the same: caches and mirrors poll with it.',
  },
  'condition-other-form': {
    severity: 'warning',
    title: 'If-None-Match is evaluated before the form is chosen',
    todo: 'A client with one form gets 304 for another form. Choose by Accept first, then compare with the ETag of what was chosen.',
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
    todo: 'Redirect to https: clients refuse it or send what they pull in the open.',
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
    title: 'The target of a redirect does not give the blob',
    todo: 'Ask for the URL yourself; see whether the signature, the clock or the address of the storage is wrong.',
  },
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
  'schema1-nameless': {
    severity: 'error',
    title: 'The schema 1 manifest has an empty name',
    todo: 'Docker 1.6 and 1.7 crash on it. Publish the schema 2 instead, or a schema 1 with a name: `skopeo copy --format v2s1` writes no name into a dir: folder.',
  },
  'layers-refused': {
    severity: 'error',
    title: 'A client cannot use the layers of the manifest that it gets',
    todo: 'Give it a form with layer types of its specification, in gzip: `gantry publish --recompress` makes one.',
  },
  'name-refused': {
    severity: 'note',
    title: 'Old engines refuse the name of the repository',
    todo: 'If they should pull it: publish it under a name with at most two components, the first of at least two characters and without dots.',
  },
  'schema1-none': {
    severity: 'note',
    title: 'Docker before 1.10 cannot pull this image',
    todo: 'If it should: publish it with a schema 1 (`gantry publish` derives one where that is possible).',
  },
  'server-error': { severity: 'error', title: 'The server fails', todo: 'Look at its log.' },
  'bad-digest-5xx': {
    severity: 'warning',
    title: 'A malformed digest is a server error',
    todo: 'It should be a 400 or 404; monitoring will take it for an outage.',
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
    title: '/v1/ answers something that is no registry',
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

/** A fault's id. */
export type FindingId = keyof typeof FINDINGS;

/** A fault that was found. */
export interface Finding {
  readonly id: FindingId;
  /** What exactly was seen, and where. */
  readonly seen: string;
  /** The families it was seen with; unset where it does not depend on that. */
  readonly client?: string;
}

/** What a fault says. */
export function findingRow(id: FindingId): FindingRow {
  return FINDINGS[id];
}
