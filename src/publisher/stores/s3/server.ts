/**
 * Which S3 server is used and with which keys, as the AWS command line reads it: options, variables, and then the
 * profiles and other sources of credentials (credential-chain.ts), which are loaded only where they are needed.
 */
import { CommandError } from '../../cli/errors.ts';
import type { SigningKeys } from './signature.ts';

/** The options of the command line. */
export interface S3Overrides {
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  readonly profile?: string | undefined;
}

/** A server and the keys for it. */
export interface S3Server {
  /** Undefined: Amazon S3. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly keys: SigningKeys | (() => Promise<SigningKeys>);
  /** Where the endpoint and the keys come from, for messages. */
  readonly origin: { readonly endpoint: string; readonly keys: string };
}

/**
 * Reads the server. Keys in variables come before those of `$AWS_PROFILE`, but `--profile` before both; the files of
 * profiles are not read where variables have the keys and no profile is named. Throws {@link CommandError}.
 */
export async function readS3Server(env: Readonly<NodeJS.ProcessEnv>, overrides: S3Overrides = {}): Promise<S3Server> {
  const profile = set(overrides.profile) ?? set(env.AWS_PROFILE);
  const own = set(overrides.profile) === undefined ? keysIn(env) : undefined;
  const chain =
    own === undefined || profile !== undefined
      ? (await import('./credential-chain.ts')).openCredentialChain(env, profile)
      : undefined;
  const settings = await chain?.settings();
  const [endpoint, endpointFrom] = endpointOf(env, overrides, settings);
  const region =
    set(overrides.region) ??
    set(env.AWS_REGION) ??
    set(env.AWS_DEFAULT_REGION) ??
    settings?.region ??
    (endpoint === undefined ? 'us-east-1' : 'auto');
  if (own !== undefined || chain === undefined) {
    if (own === undefined) throw new TypeError('no keys');
    const keys = 'AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY';
    return { endpoint, region, keys: own, origin: { endpoint: endpointFrom, keys } };
  }
  return {
    endpoint,
    region,
    keys: chain.keys(region),
    origin: { endpoint: endpointFrom, keys: profile === undefined ? 'the credentials' : `the profile ${profile}` },
  };
}

/** Keys in variables; undefined if there are none. */
function keysIn(env: Readonly<NodeJS.ProcessEnv>): SigningKeys | undefined {
  const accessKeyId = set(env.AWS_ACCESS_KEY_ID);
  const secretAccessKey = set(env.AWS_SECRET_ACCESS_KEY);
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new CommandError(`${accessKeyId === undefined ? 'AWS_ACCESS_KEY_ID' : 'AWS_SECRET_ACCESS_KEY'} is not set`, {
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to an R2 API token with "Object Read & Write" on the bucket.',
    });
  }
  return { accessKeyId, secretAccessKey, sessionToken: set(env.AWS_SESSION_TOKEN) };
}

/** The endpoint and its origin, in the order of the AWS SDKs ("Service-specific endpoints"). */
function endpointOf(
  env: Readonly<NodeJS.ProcessEnv>,
  overrides: S3Overrides,
  settings: { readonly endpoint: string | undefined } | undefined,
): readonly [string | undefined, string] {
  const isIgnored = env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS?.toLowerCase() === 'true';
  const candidates: readonly (readonly [string, string | undefined])[] = [
    ['--endpoint', overrides.endpoint],
    ...(isIgnored
      ? []
      : ([
          ['AWS_ENDPOINT_URL_S3', env.AWS_ENDPOINT_URL_S3],
          ['AWS_ENDPOINT_URL', env.AWS_ENDPOINT_URL],
          ['endpoint_url', settings?.endpoint],
        ] as const)),
  ];
  const found = candidates.find(([, value]) => set(value) !== undefined);
  if (found === undefined) return [undefined, 'AWS_ENDPOINT_URL'];
  const [name, url = ''] = found;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new CommandError(`${name} is not a valid URL: ${JSON.stringify(url)}`, {
      kind: 'usage',
      hint: 'For R2 it is https://ACCOUNT.r2.cloudflarestorage.com.',
    });
  }
  return [url, name];
}

function set(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}
