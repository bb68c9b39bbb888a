/** The edge in front of a Pulp, with a rule for each way that Pulp can be fronted. */
import { type OriginEdge, startOriginEdge } from '../origin-edge.ts';
import type { Account } from './content.ts';
import { ADMIN, type Pulp } from './pulp.ts';

/** What repositories are called at the edge, before their names at Pulp. */
export const PREFIXES = {
  /** Tokens for everybody. */
  tokens: 'tokens/',
  /** `TOKEN_AUTH_DISABLED`; blobs come from another host. */
  open: 'open/',
  /** The same, with the registry below a path. */
  below: 'below/',
  /** Clients are sent to where Pulp redirects to, which must be another host than the registry's. */
  redirect: 'redirect/',
  /** A tag is answered for five minutes without asking Pulp. */
  long: 'long/',
  /** By the credentials of a robot account. */
  robot: 'robot/',
  /** By those of Pulp's administrator. */
  admin: 'admin/',
} as const;

/** Seconds that a tag is answered without asking Pulp: the least there is. */
export const LIFETIME = 1;

/** Starts it. `state`: a folder that another edge left, with what that one had fetched. */
export function startPulpEdge(pulp: Pulp, robot: Account, state?: string): Promise<OriginEdge> {
  const rule = { remote: '*', upstream: pulp.url, kind: 'pulp3', lifetime: LIFETIME, stale: 0, timeout: 5 };
  return startOriginEdge(
    [
      { ...rule, name: 'tokens', pattern: `${PREFIXES.tokens}*` },
      { ...rule, name: 'open', pattern: `${PREFIXES.open}*`, upstream: pulp.openUrl },
      { ...rule, name: 'below', pattern: `${PREFIXES.below}*`, upstream: `${pulp.openUrl}/prefix` },
      { ...rule, name: 'long', pattern: `${PREFIXES.long}*`, lifetime: 300 },
      { ...rule, name: 'redirect', pattern: `${PREFIXES.redirect}*`, upstream: pulp.openUrl, blobs: 'redirect' },
      { ...rule, name: 'robot', pattern: `${PREFIXES.robot}*`, grace: 0 },
      { ...rule, name: 'admin', pattern: `${PREFIXES.admin}*`, grace: 0 },
    ],
    { vars: { LOG: 'all' }, credentials: { robot, admin: ADMIN }, ...(state !== undefined && { state }) },
  );
}
