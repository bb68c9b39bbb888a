/**
 * Answers for filled repositories. Stored objects are served from storage; others are fetched, stored, and then served
 * from storage. A failing upstream never causes a 404: stored objects are served with a `Warning`, and everything else
 * is 503 with a reason.
 */
import type { Signer } from '../../manifest/image.ts';
import { createSigner } from '../../manifest/signing/jws.ts';
import { KeyError, readPrivateKey } from '../../manifest/signing/key.ts';
import { OriginError } from '../../origin/errors.ts';
import { assertNever } from '../../registry/errors.ts';
import { ConfigError } from '../config-reading.ts';
import { type Answer, type Redirect, refused } from '../gateway/answer.ts';
import { pathOf, type RequestOptions } from '../gateway/registry-request.ts';
import { FillLimitError } from './fill-limits.ts';
import { guardWrites } from '../storage/guarded-writes.ts';
import { type FillContext, noteOutage, type Pull, refuseUnavailable } from './pull.ts';
import { pullBlob } from './pull-blob.ts';
import { pullManifest } from './pull-manifest.ts';
import { pullTag } from './pull-tag.ts';
import { pullSignatures } from './pulp3/pull-signatures.ts';
import { pullReferrers, pullTagList, pullV1Images } from './pull-list.ts';
import type { RepositoryRequest, StoredAnswer } from './stored-answer.ts';
import { remoteName, upstreamOf } from './upstream.ts';

/** Answers from the upstream, or with the answer from storage. Throws StorageError, and errors for damaged records. */
export function answerThrough(
  request: Exclude<RepositoryRequest, { kind: 'tag-list' }>,
  options: RequestOptions,
  sources: FillContext,
  stored: StoredAnswer,
): Promise<Answer | Redirect> {
  return withUpstream(request, sources, async (pull) => {
    switch (request.kind) {
      case 'manifest': {
        const { name, reference } = request;
        return reference.kind === 'tag'
          ? pullTag(pull, name, reference.tag, stored)
          : pullManifest(pull, name, reference.digest, stored);
      }
      case 'blob':
      case 'blob-presence':
        return pullBlob(pull, request, options, stored);
      case 'referrers':
        return pullReferrers(pull, request, stored);
      case 'signatures':
        return pullSignatures(pull, request, stored);
      case 'v1-images':
        return pullV1Images(pull, request, stored);
      default:
        return assertNever(request);
    }
  });
}

/** Answers with the tags that the upstream and storage have. Throws StorageError, and errors for damaged records. */
export function answerTagList(
  request: Extract<RepositoryRequest, { kind: 'tag-list' }>,
  sources: FillContext,
): Promise<Answer | Redirect> {
  return withUpstream(request, sources, (pull) => pullTagList(pull, request));
}

/** Milliseconds for which the v1 API explains a failure of the v2 API to engines that fall back to it. */
const FAILED_FOR = 60_000;

async function withUpstream(
  request: RepositoryRequest,
  { signingKey, ...sources }: FillContext,
  work: (pull: Pull) => Promise<Answer | Redirect>,
): Promise<Answer | Redirect> {
  const { rule } = sources;
  const upstream = upstreamOf(rule);
  try {
    const answer = await work({
      ...sources,
      ...guardWrites(sources, sources.retry),
      urgency: 'client',
      upstream,
      remote: remoteName(rule, request.name),
      signer: signerOf(signingKey),
    });
    if (request.kind === 'manifest') upstream.failed.delete(request.name);
    return answer;
  } catch (error) {
    if (error instanceof FillLimitError) return error.answer;
    if (!(error instanceof OriginError)) throw error;
    const outage = noteOutage(upstream, error, pathOf(request));
    upstream.failed.set(request.name, outage, Date.now() + FAILED_FOR);
    if (error.code === 'ORIGIN_LIMIT')
      return refused('upstream-over-limit', { detail: { upstream: rule.name, code: error.code } });
    return refuseUnavailable(rule, error);
  }
}

let last: { readonly text: string; readonly signer: Signer } | null = null;

/** The signer of derived schema 1 manifests, made once; null without a key. Throws {@link ConfigError}. */
function signerOf(text: string | null): Signer | null {
  if (text === null) return null;
  if (last?.text === text) return last.signer;
  try {
    last = { text, signer: createSigner(readPrivateKey(text)) };
    return last.signer;
  } catch (cause) {
    if (!(cause instanceof KeyError)) throw cause;
    throw new ConfigError(`The secret SIGNING_KEY cannot be used: ${cause.message}. Make one with: gantry key create`, {
      cause,
    });
  }
}
