/** Access to other registries: scheme, certificates, proxy and login. */
import type { Credentials } from '../../../origin/auth.ts';
import { createRegistryClient } from '../../../origin/client.ts';
import type { RegistryClient } from '../../../origin/registry-client.ts';
import { OriginError } from '../../../origin/errors.ts';
import type { MissingRule } from '../../../origin/caller.ts';
import type { OriginPolicy, OriginTimeouts } from '../../../origin/policy.ts';
import { type Fetch, unreachable } from '../../../origin/transport.ts';
import { usageError } from '../../cli/errors.ts';
import { findLogin, parseCreds } from './login.ts';
import { createHttpFetch, type HttpFetch } from './http-fetch.ts';
import { type RegistryContext, originFailure } from './origin-failure.ts';
import type { SourceOptions } from '../source.ts';
import { isLoopback, registryUrl, type RemoteRepository } from './remote-name.ts';

const USER_AGENT = 'gantry';

/** Timeout of a connection, and of the probe for a scheme, in milliseconds. */
const PROBE_MS = 10_000;

/** A client of another registry. */
export interface RemoteAccess extends RegistryContext {
  readonly client: RegistryClient;
}

/** Opens clients of registries; they share connections. */
export interface RegistryAccess {
  /** Throws {@link import('../../cli/errors.ts').CommandError} if the registry does not answer. */
  to(remote: RemoteRepository): Promise<RemoteAccess>;
  /** How another API on a registry's host is reached: its connections, and the login for the host. */
  api(host: string): { readonly fetch: Fetch; readonly login: () => Promise<Credentials | null> };
  close(): Promise<void>;
}

/** The options of {@link openRegistryAccess}. */
export type AccessOptions = Pick<SourceOptions, 'env' | 'creds' | 'credsByHost' | 'tlsVerify' | 'signal'> & {
  readonly policy?: Partial<OriginPolicy>;
  readonly timeouts?: Partial<OriginTimeouts>;
  /** The scheme of all registries; undefined: it is found out for those on this machine, and https elsewhere. */
  readonly scheme?: 'https' | 'http';
  /** Which 404 means that something is absent. Default: one with the error body of a registry. */
  readonly missing?: MissingRule;
};

/**
 * `$GANTRY_TOKEN_SERVICES`: URLs, separated by spaces, of token services on other hosts that may receive credentials.
 * Throws {@link CommandError}.
 */
function tokenServicesOf({ GANTRY_TOKEN_SERVICES = '' }: Readonly<NodeJS.ProcessEnv>): readonly URL[] {
  return GANTRY_TOKEN_SERVICES.split(/\s+/)
    .filter((text) => text !== '')
    .map((text) => {
      if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return new URL(text);
      throw usageError(
        `GANTRY_TOKEN_SERVICES has ${JSON.stringify(text)}, which is not a URL`,
        'Set it to URLs such as https://auth.example.com, separated by spaces.',
      );
    });
}

/** Opens the access for one run. */
export function openRegistryAccess(options: AccessOptions): RegistryAccess {
  const { env, tlsVerify, policy, timeouts, missing } = options;
  const own = options.creds === undefined ? undefined : parseCreds(options.creds);
  const byHost = new Map([...(options.credsByHost ?? [])].map(([host, creds]) => [host, parseCreds(creds)]));
  const verifying = fetchOf(env, true);
  const trusting = fetchOf(env, false);
  const bases = new Map<string, Promise<URL>>();

  const isCareless = (host: string): boolean => tlsVerify === false || (tlsVerify === undefined && isLoopback(host));
  const fetchFor = (host: string): Fetch => (isCareless(host) ? trusting : verifying).fetch;

  const baseOf = (host: string): Promise<URL> => {
    let base = bases.get(host);
    if (options.scheme !== undefined) return Promise.resolve(registryUrl(host, options.scheme));
    if (base === undefined) {
      base = isCareless(host)
        ? findScheme(host, trusting.fetch, options.signal)
        : Promise.resolve(registryUrl(host, 'https'));
      bases.set(host, base);
      // A failure is not remembered.
      base.catch(() => bases.delete(host));
    }
    return base;
  };

  const loginFor = async (host: string, repository: string): Promise<Credentials | null> =>
    own ?? byHost.get(host) ?? (await findLogin({ host, repository }, env));

  return {
    api: (host) => ({ fetch: fetchFor(host), login: () => loginFor(host, '') }),
    async to({ host, name }) {
      let login: Credentials | null = null;
      const credentials = async (): Promise<Credentials | null> => {
        login = await loginFor(host, name);
        return login;
      };
      const hasLogin = (): boolean => login !== null;
      try {
        const client = createRegistryClient({
          baseUrl: await baseOf(host),
          userAgent: USER_AGENT,
          credentials,
          fetch: fetchFor(host),
          policy: { tokenServices: tokenServicesOf(env), ...policy },
          ...(timeouts === undefined ? {} : { timeouts }),
          ...(missing === undefined ? {} : { missing }),
        });
        return { host, client, hasLogin };
      } catch (error) {
        throw originFailure(error, { host, hasLogin });
      }
    },
    async close() {
      await Promise.all([verifying.close(), trusting.close()]);
    },
  };
}

/** Connects directly, or through the proxies of the environment. */
function fetchOf(env: Readonly<NodeJS.ProcessEnv>, rejectUnauthorized: boolean): HttpFetch {
  const httpProxy = env.http_proxy ?? env.HTTP_PROXY ?? '';
  const httpsProxy = env.https_proxy ?? env.HTTPS_PROXY ?? '';
  if (httpProxy === '' && httpsProxy === '') return createHttpFetch({ rejectUnauthorized, connectMs: PROBE_MS });
  let opened: Promise<HttpFetch> | undefined;
  const open = (): Promise<HttpFetch> =>
    (opened ??= import('./proxy-fetch.ts').then(({ createProxyFetch }) =>
      createProxyFetch({
        rejectUnauthorized,
        connectMs: PROBE_MS,
        httpProxy,
        httpsProxy,
        noProxy: env.no_proxy ?? env.NO_PROXY ?? '',
      }),
    ));
  return { fetch: async (url, init) => (await open()).fetch(url, init), close: async () => (await opened)?.close() };
}

/**
 * Finds the scheme of a registry whose certificate is not checked. On this machine plain http comes first, since a
 * server without TLS may hang on a ClientHello. Elsewhere https comes first, so that passwords are encrypted if
 * possible.
 */
async function findScheme(host: string, fetch: Fetch, signal: AbortSignal | undefined): Promise<URL> {
  let failure: unknown;
  for (const scheme of isLoopback(host) ? (['http', 'https'] as const) : (['https', 'http'] as const)) {
    const base = registryUrl(host, scheme);
    const limit = AbortSignal.timeout(PROBE_MS);
    try {
      const answer = await fetch(new URL('/v2/', base).href, {
        method: 'GET',
        headers: { 'user-agent': USER_AGENT },
        redirect: 'manual',
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      });
      await answer.body?.cancel();
      const { status } = answer;
      // TLS servers answer 400 to plain http; a redirect leads to the other scheme.
      if (status !== 400 && !(status >= 300 && status < 400)) return base;
      failure ??= new OriginError('ORIGIN_PROTOCOL', `${base.origin} answered ${String(status)}`);
    } catch (error) {
      signal?.throwIfAborted();
      failure ??= limit.aborted
        ? new OriginError('ORIGIN_UNAVAILABLE', `${base.origin} did not answer`)
        : unreachable(base, error);
    }
  }
  throw failure;
}
