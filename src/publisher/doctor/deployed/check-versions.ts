/** What a deployment does to the cache: looked at before it and after it. */
import type { Digest } from '../../../registry/digest.ts';
import type { ImageName, Session } from '../session.ts';
import { answered, type CheckResult, notAsked } from './checks.ts';
import { type Patience, patiently } from './patience.ts';
import type { PurgeCall } from './purge-endpoint.ts';
import { cacheStatusOf, describe, MODERN_ACCEPT, pathOfDigest, targetOf } from './target.ts';

/** What was in the cache before the deployment, and which version of the Worker answered. */
export interface BeforeDeployment {
  readonly image: ImageName;
  readonly digest: Digest;
  readonly version: string;
}

/** A minute: Cloudflare says that a deployment takes seconds. */
const NEW_VERSION: Patience = { tries: 30, pauseMs: 2_000 };

/** Requests until the digest is surely cached. */
const WARMING = 3;

/** Brings a digest into the cache; null if that cannot be observed, such as before the first deployment. */
export async function lookBefore(
  session: Session,
  image: ImageName,
  purge: PurgeCall,
): Promise<BeforeDeployment | null> {
  const asked = await purge({});
  if (asked.kind === 'failed' || asked.version === null) return null;
  const { digest } = await targetOf(session, image);
  if (digest === null) return null;
  for (let tries = 0; tries < WARMING; tries += 1) {
    const answer = await session.send('GET', pathOfDigest(image, digest), MODERN_ACCEPT);
    if (cacheStatusOf(answer) === 'HIT') return { image, digest, version: asked.version };
  }
  return null;
}

/**
 * Checks whether the new version finds what the old one stored, and whether a purge takes it away. Must come first
 * after the deployment, before anything else asks for the digest.
 */
export async function checkVersions(
  session: Session,
  before: BeforeDeployment,
  purge: PurgeCall,
  patience: Patience = NEW_VERSION,
): Promise<readonly CheckResult[]> {
  const version = await newVersion(before.version, purge, patience);
  if (version === null) return neither('the new version did not answer in time');
  const path = pathOfDigest(before.image, before.digest);
  const kept = await session.send('GET', path, MODERN_ACCEPT);
  const wasKept = cacheStatusOf(kept) === 'HIT';
  const seen = `the first request of a digest after the deployment: ${describe(kept)}`;
  if (!wasKept) {
    return [answered('cache-kept', false, seen), notAsked('purge-versions', 'nothing of the old version was found')];
  }
  const purged = await purge({ everything: [before.image.name] });
  if (purged.kind === 'failed') return [answered('cache-kept', true, seen), notAsked('purge-versions', purged.why)];
  const after = await session.send('GET', path, MODERN_ACCEPT);
  const isGone = after.kind === 'answer' && cacheStatusOf(after) !== 'HIT';
  return [
    answered('cache-kept', true, seen),
    answered('purge-versions', isGone, `the same after a purge by the new version: ${describe(after)}`),
  ];
}

/** Both results where no deployment was observed. */
export function withoutDeployment(): readonly CheckResult[] {
  return neither(
    '`gantry deploy` tests it, because it needs a deployment, PURGE_TOKEN, and an image that was published before',
  );
}

function neither(why: string): readonly CheckResult[] {
  return [notAsked('cache-kept', why), notAsked('purge-versions', why)];
}

function newVersion(old: string, purge: PurgeCall, patience: Patience): Promise<string | null> {
  return patiently(patience, async () => {
    const answer = await purge({});
    return answer.kind === 'answered' && answer.version !== old ? answer.version : null;
  });
}
