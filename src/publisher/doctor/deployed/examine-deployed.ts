/**
 * Examines a deployment on Cloudflare: every assumption that no document and no test settles, with the rights of a
 * client that pulls, and `PURGE_TOKEN` where it is at hand.
 */
import { type ExamineOptions, chooseImage, splitImage } from '../examine.ts';
import { openSession } from '../session.ts';
import { checkBlobs, CACHE_LIMIT } from './check-blobs.ts';
import { checkCache } from './check-cache.ts';
import { checkChallenges, checkForms, checkHttp3, checkTls } from './check-edge.ts';
import { type BeforeDeployment, checkVersions, lookBefore, withoutDeployment } from './check-versions.ts';
import { type CheckId, type CheckResult, CHECKS, notAsked } from './checks.ts';
import { type RunCurl, runCurl } from './curl.ts';
import type { Patience } from './patience.ts';
import { purgeCallOf } from './purge-endpoint.ts';
import { targetOf } from './target.ts';

/** How to examine. */
export interface DeployedOptions extends Omit<ExamineOptions, 'now'> {
  /** The Worker's secret; without it some checks are not asked. */
  readonly purgeToken?: string;
  /** What {@link lookBeforeDeployment} gave, if this comes right after a deployment. */
  readonly before?: BeforeDeployment | null;
  readonly patience?: Patience;
  readonly cacheLimit?: number;
  readonly curl?: RunCurl;
}

/** The results, in the order of the table {@link CHECKS}: one for each row. */
export async function examineDeployed(base: URL, options: DeployedOptions): Promise<readonly CheckResult[]> {
  const step = options.onProgress ?? (() => undefined);
  const { before = null, cacheLimit = CACHE_LIMIT, curl = runCurl } = options;
  const results: CheckResult[] = [];
  const purge = purgeCallOf(base, options.purgeToken, options);
  const opened = await openImage(base, options);
  if ('session' in opened && before !== null && typeof purge !== 'string') {
    step('waiting for the new version');
    results.push(...(await checkVersions(opened.session, before, purge, options.patience)));
  } else {
    results.push(...withoutDeployment());
  }
  step('opening TLS connections');
  results.push(...(await checkTls(base, options)));
  results.push(await checkChallenges(base, options));
  if ('session' in opened) {
    step('testing the cache');
    const target = await targetOf(opened.session, opened.image);
    results.push(...(await checkForms(target)));
    results.push(...(await checkCache(target, purge, options.patience)));
    step('requesting parts of blobs');
    results.push(...(await checkBlobs(target, cacheLimit)));
    results.push(await checkHttp3(target, curl));
  }
  const why = 'why' in opened ? opened.why : 'it was not reached';
  const byId = new Map(results.map((result) => [result.id, result]));
  return (Object.keys(CHECKS) as CheckId[]).map((id) => byId.get(id) ?? notAsked(id, why));
}

/** Looks at the version that runs before a deployment; null if there is nothing to look at. */
export async function lookBeforeDeployment(base: URL, options: DeployedOptions): Promise<BeforeDeployment | null> {
  const purge = purgeCallOf(base, options.purgeToken, options);
  if (typeof purge === 'string') return null;
  const opened = await openImage(base, options);
  return 'session' in opened ? lookBefore(opened.session, opened.image, purge) : null;
}

type Opened =
  | ({ readonly session: NonNullable<Awaited<ReturnType<typeof openSession>>['session']> } & Extract<
      Awaited<ReturnType<typeof chooseImage>>,
      { image: unknown }
    >)
  | { readonly why: string };

async function openImage(base: URL, options: DeployedOptions): Promise<Opened> {
  const wanted = options.image === undefined ? undefined : splitImage(options.image);
  const scope = wanted?.name === undefined ? 'registry:catalog:*' : `repository:${wanted.name}:pull`;
  const { session, findings } = await openSession(base, scope, options);
  if (session === null) return { why: findings[0]?.seen ?? 'the registry was not reached' };
  const chosen = await chooseImage(session, wanted);
  if ('finding' in chosen) return { why: `there is no image to request: ${chosen.finding.seen}` };
  if (wanted !== undefined || !session.authorized) return { session, image: chosen.image };
  const own = await openSession(base, `repository:${chosen.image.name}:pull`, options);
  return { session: own.session ?? session, image: chosen.image };
}
