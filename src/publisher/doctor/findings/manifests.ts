/** What is wrong with manifests: the form that a client gets, digests, signatures, headers and conditions. */
import { CDN_HEADERS, NO_TRANSFORM, type FindingRow } from './finding-row.ts';

/** Id → fault. */
export const MANIFEST_FINDINGS = {
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
    title: 'A cache sends every client the answer of the first one',
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
    todo: 'If they must be able to pull it, publish it under a name with at most two components, the first of at least two characters and without dots.',
  },
  'schema1-none': {
    severity: 'note',
    title: 'Docker before 1.10 cannot pull this image',
    todo: 'If it must be able to, publish it with a schema 1 (`gantry publish` derives one where that is possible).',
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
  'manifest-chunked': {
    severity: 'warning',
    title: 'A manifest comes without Content-Length',
    todo: `No client can detect a truncated manifest by its length. ${NO_TRANSFORM}`,
  },
  'manifest-compressed': {
    severity: 'warning',
    title: 'Manifests are compressed on the way',
    todo: `Their length and ETag are lost, and clients that do not ask for it fail. ${NO_TRANSFORM}`,
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
} as const satisfies Record<string, FindingRow>;
