/** Which token services may receive a registry's credentials. */
import { scopeOf } from './network.ts';

/**
 * Registries whose token service is on another host: by the registry's host, the service's. Each is in the challenge of
 * the registry's `/v2/` (November 2026), and in its operator's documentation.
 */
const WELL_KNOWN = {
  'registry-1.docker.io': 'auth.docker.io',
  'index.docker.io': 'auth.docker.io',
  'docker.io': 'auth.docker.io',
  'registry.gitlab.com': 'gitlab.com',
  'registry.digitalocean.com': 'api.digitalocean.com',
  'docker.elastic.co': 'docker-auth.elastic.co',
} as const satisfies Readonly<Record<string, string>>;

/**
 * Why a token service that the registry names may not receive the credentials; null if it may. A registry that is taken
 * over, or a proxy on the way, could name any (CVE-2026-33540 in distribution). `named`: services that the
 * configuration names, compared by scheme, host and port.
 */
export function refuseTokenService(registry: URL, service: URL, named: readonly URL[]): string | null {
  const isNamed = named.some(({ origin }) => origin === service.origin);
  const isOwn = service.hostname === registry.hostname;
  const isWellKnown = service.host === new Map<string, string>(Object.entries(WELL_KNOWN)).get(registry.host);
  if (!isNamed && !isOwn && !isWellKnown) {
    return (
      `is ${service.origin}, which is neither the registry's own host nor named in the configuration, and would ` +
      'receive the credentials. If it is the right one, name it (`token` in the rule of ORIGINS, or ' +
      'GANTRY_TOKEN_SERVICES for the command)'
    );
  }
  // A registry on plain http gets Basic credentials in the clear, too: its own host learns nothing new.
  const isPlain = service.protocol !== 'https:' && !(isOwn && registry.protocol === 'http:');
  return isPlain && scopeOf(service) !== 'loopback'
    ? `is ${service.origin}, and the credentials would be sent unencrypted over plain http`
    : null;
}
