/** What `gantry deploy` does around a deployment to prove it: `doctor --deployed`, with one look before. */
import type { BeforeDeployment } from '../doctor/deployed/check-versions.ts';
import { type CheckResult, isFault } from '../doctor/deployed/checks.ts';
import { type DeployedOptions, examineDeployed, lookBeforeDeployment } from '../doctor/deployed/examine-deployed.ts';
import { type Diagnosis, examine } from '../doctor/examine.ts';
import { findingRow, type FindingId } from '../doctor/findings/findings.ts';
import type { DeployConfig } from './preflight.ts';

/** The result of an examination. */
export interface Proof {
  readonly diagnosis: Diagnosis;
  readonly checks: readonly CheckResult[];
  /** `proved`: nothing is wrong. `incomplete`: it has to be done again. `faulty`: something is wrong. */
  readonly verdict: 'proved' | 'incomplete' | 'faulty';
}

/** The examination of one deployment. Without an address both give null. */
export interface OpenProof {
  /** Before the deployment: what is in the cache. */
  readonly lookFirst: () => Promise<BeforeDeployment | null>;
  /** After it. */
  readonly prove: (before: BeforeDeployment | null, onProgress: (what: string) => void) => Promise<Proof | null>;
}

/**
 * Faults that a first deployment has until DNS and certificate are there, an image is published, or a login is given.
 */
const NOT_YET: ReadonlySet<FindingId> = new Set([
  'unreachable',
  'tls-certificate',
  'tls-old-engines',
  'image-missing',
  'login-needed',
]);

/** Prepares the examination. `variables`: those of the environment; GANTRY_EDGE_URL and PURGE_TOKEN are read. */
export function openProof(
  config: Pick<DeployConfig, 'customDomains' | 'addresses'>,
  { GANTRY_EDGE_URL, PURGE_TOKEN }: Readonly<NodeJS.ProcessEnv>,
  more: Omit<DeployedOptions, 'before' | 'purgeToken' | 'onProgress'>,
): OpenProof {
  const url = addressToExamine(config, GANTRY_EDGE_URL);
  if (url === null) return { lookFirst: () => Promise.resolve(null), prove: () => Promise.resolve(null) };
  const options: DeployedOptions = { ...more, ...(PURGE_TOKEN !== undefined && { purgeToken: PURGE_TOKEN }) };
  return {
    lookFirst: () => lookBeforeDeployment(url, options),
    prove: async (before, onProgress) => {
      // First, because the next request of the digest is the one that tells whether the cache was kept.
      const checks = await examineDeployed(url, { ...options, onProgress, before });
      const diagnosis = await examine(url, { ...options, onProgress, now: Date.now() });
      return { diagnosis, checks, verdict: verdictOf(diagnosis, checks) };
    },
  };
}

/** The address to examine: `GANTRY_EDGE_URL`, or the first address of wrangler.toml that is a host; null if none is. */
export function addressToExamine(
  { customDomains, addresses }: Pick<DeployConfig, 'customDomains' | 'addresses'>,
  edgeUrl: string | undefined,
): URL | null {
  if (edgeUrl !== undefined && edgeUrl !== '') return URL.canParse(edgeUrl) ? new URL('/', edgeUrl) : null;
  const hosts = [...customDomains, ...addresses.map((address) => address.replace(/\/\*?$/, ''))];
  const host = hosts.find((one) => /^[a-z0-9.-]+$/i.test(one));
  return host === undefined ? null : new URL(`https://${host}/`);
}

/** Whether a deployment is proved. What cannot be reached yet fails its checks as well, and is no fault. */
export function verdictOf({ findings }: Pick<Diagnosis, 'findings'>, checks: readonly CheckResult[]): Proof['verdict'] {
  const errors = findings.filter(({ id }) => findingRow(id).severity === 'error');
  if (errors.some(({ id }) => NOT_YET.has(id))) return 'incomplete';
  return errors.length > 0 || checks.some(isFault) ? 'faulty' : 'proved';
}
