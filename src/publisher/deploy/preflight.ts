/** What a deployment needs and whether it is there: a decision over facts, pure. */
import { FORMAT_VERSION, lostRealms, lostRealmsMessage } from '../../bucket/format.ts';
import { PUBLIC_REALM, type RealmTable } from '../../registry/realms.ts';
import { type ApiError, helpFor, isR2Off } from './api-errors.ts';

/** What the wrangler.toml says, as far as it matters here. */
export interface DeployConfig {
  readonly name: string;
  /** The R2 bucket behind the binding BUCKET; null without one. */
  readonly bucket: string | null;
  /** The bucket's jurisdiction, such as `eu`; null without one. */
  readonly jurisdiction: string | null;
  /** Custom domains among the addresses. */
  readonly customDomains: readonly string[];
  /** Whether Wrangler may create preview URLs: the file does not switch them off. */
  readonly hasPreviews: boolean;
  /** Variables over Cloudflare's limit, with their size in bytes. */
  readonly largeVariables: readonly { readonly variable: string; readonly bytes: number }[];
  /** Environments of the file that do not have the top level's variables, because Wrangler does not inherit them. */
  readonly environmentsWithoutVariables: readonly string[];
  /** Where the Worker will be reached: routes and custom domains, `PUBLIC_URL`, and `workers.dev` where that is on. */
  readonly addresses: readonly string[];
  readonly accountId: string | null;
  /** Whether Workers Cache stands in front of the registry entrypoint and not of the gateway. */
  readonly isCached: boolean;
  /** Whether all versions of the Worker share the cache although the Worker does not know its version. */
  readonly mixesVersions: boolean;
  /** Whether upstreams fill repositories, and no limiter counts what one client makes the Worker fetch. */
  readonly hasUnlimitedFills: boolean;
  readonly realms: RealmTable;
  /** Realms that somebody else's tokens or certificates open (`ACCESS.realms`). */
  readonly openedRealms: readonly string[];
  /** Whether repositories are filled from other registries (`ORIGINS`). */
  readonly hasOrigins: boolean;
  /** The dataset behind the binding PULLS, which switches pull statistics on; null without one. */
  readonly pullDataset: string | null;
  /** Whether the file has `[limits]`. */
  readonly hasLimits: boolean;
  /** Secrets that a setting cannot do without, and the setting. */
  readonly neededSecrets: readonly { readonly secret: string; readonly by: string }[];
  /** Client certificates that rules of `ORIGINS` name, and whether the file has a binding for each. */
  readonly certificates: readonly { readonly binding: string; readonly rule: string; readonly isBound: boolean }[];
}

/** What Cloudflare says. Null: it could not be asked, since nobody is logged in. */
export interface AccountFacts {
  readonly accounts: readonly { readonly id: string; readonly name: string }[];
  /** Whether the bucket exists; null where that is not known. */
  readonly hasBucket: boolean | null;
  /** Names of the Worker's secrets; none where it does not exist yet; null where that is not known. */
  readonly secrets: readonly string[] | null;
  /** What Cloudflare answered instead, by what was read. */
  readonly errors: Readonly<Partial<Record<'login' | 'bucket' | 'secrets', ApiError | undefined>>>;
  /** The protected realms that the bucket was written with; null where that is not known. */
  readonly bucketRealms?: readonly string[] | null;
}

/**
 * One thing that was looked at. `missing` stops the deployment; `advice` does not; `unknown` could not be looked at.
 */
export interface Point {
  readonly kind: 'there' | 'missing' | 'advice' | 'unknown';
  readonly what: string;
  /** What to do; absent where nothing is to be done. */
  readonly todo?: string;
}

/** Looks at everything. `account` is null where nobody is logged in; `chosenAccount` is `CLOUDFLARE_ACCOUNT_ID`. */
export function preflight(
  config: DeployConfig,
  account: AccountFacts | null,
  chosenAccount: string | undefined,
): readonly Point[] {
  return [
    login(account, (config.accountId ?? chosenAccount ?? null) !== null),
    ...whichAccount(config, account, chosenAccount),
    ...bucket(config, account),
    ...lost(config, account),
    address(config),
    ...domains(config, account),
    ...previews(config),
    ...variables(config),
    ...cache(config),
    ...filling(config),
    ...fills(config),
    ...secrets(config, account),
    ...certificates(config),
    ...statistics(config, account),
  ];
}

function login(account: AccountFacts | null, accountIsNamed: boolean): Point {
  const { login: refused, secrets: denied } = account?.errors ?? {};
  if (denied !== undefined) return refusal(denied, 'missing');
  // A token may lack the right to list accounts and still be able to deploy to one.
  if (refused !== undefined)
    return refusal(refused, accountIsNamed && account?.secrets !== null ? 'unknown' : 'missing');
  if (account !== null) return { kind: 'there', what: 'logged in at Cloudflare' };
  return {
    kind: 'missing',
    what: 'no login at Cloudflare',
    todo: 'Run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN to a token made from the template "Edit Cloudflare Workers".',
  };
}

function refusal(error: ApiError, kind: 'missing' | 'unknown'): Point {
  const help = helpFor([error]);
  const said = `${error.message} [code: ${String(error.code)}]`;
  return {
    kind,
    what: help === null ? `Cloudflare answers: ${said}` : `${help.what} (Cloudflare answers: ${said})`,
    todo:
      help?.todo ?? 'Look for the code in Cloudflare\'s documentation, "Workers · Error codes" or "R2 · Error codes".',
  };
}

function whichAccount(
  { accountId }: DeployConfig,
  account: AccountFacts | null,
  chosen: string | undefined,
): readonly Point[] {
  // As Wrangler does, the file first.
  const id = accountId ?? chosen ?? null;
  // Cloudflare may have refused the list.
  if (account === null || (account.accounts.length === 0 && account.errors.login !== undefined)) return [];
  if (id !== null) {
    const found = account.accounts.find((one) => one.id === id);
    if (found !== undefined) return [{ kind: 'there', what: `the account ${found.name}` }];
    return [
      {
        kind: 'missing',
        what: `the login has no account ${id}`,
        todo: 'Correct account_id in wrangler.toml, or CLOUDFLARE_ACCOUNT_ID.',
      },
    ];
  }
  const [only, ...others] = account.accounts;
  if (only === undefined)
    return [
      { kind: 'missing', what: 'the login has no account', todo: 'Use a token that may edit Workers of an account.' },
    ];
  if (others.length === 0) return [{ kind: 'there', what: `the account ${only.name}` }];
  const ids = account.accounts.map((one) => `${one.id} (${one.name})`).join(', ');
  return [
    {
      kind: 'missing',
      what: 'the login has several accounts',
      todo: `Write account_id into wrangler.toml, or set CLOUDFLARE_ACCOUNT_ID: ${ids}.`,
    },
  ];
}

function bucket({ bucket: name, jurisdiction }: DeployConfig, account: AccountFacts | null): readonly Point[] {
  if (name === null) {
    return [
      {
        kind: 'missing',
        what: 'no R2 bucket with the binding BUCKET',
        todo: 'Add [[r2_buckets]] with binding = "BUCKET" and bucket_name to wrangler.toml.',
      },
    ];
  }
  const hasBucket = account?.hasBucket ?? null;
  const refused = account?.errors.bucket;
  if (refused !== undefined) {
    const point = refusal(refused, isR2Off(refused) ? 'missing' : 'unknown');
    return [{ ...point, what: `the bucket ${name} cannot be checked: ${point.what}` }];
  }
  if (hasBucket === null) return [{ kind: 'unknown', what: `the bucket ${name} cannot be checked` }];
  if (hasBucket) return [{ kind: 'there', what: `the bucket ${name}` }];
  const option = jurisdiction === null ? '' : ` --jurisdiction ${jurisdiction}`;
  return [
    {
      kind: 'missing',
      what: `the bucket ${name} does not exist${jurisdiction === null ? '' : ` in the jurisdiction ${jurisdiction}`}`,
      todo: `Run \`npx wrangler r2 bucket create ${name}${option}\`, or name another one in wrangler.toml.`,
    },
  ];
}

function lost({ realms }: DeployConfig, account: AccountFacts | null): readonly Point[] {
  const names = lostRealms({ version: FORMAT_VERSION, realms: account?.bucketRealms ?? [] }, realms);
  if (names.length === 0) return [];
  const { message, hint } = lostRealmsMessage(names);
  return [{ kind: 'missing', what: message, todo: hint }];
}

function address({ addresses }: DeployConfig): Point {
  if (addresses.length > 0) return { kind: 'there', what: `the address ${addresses.join(', ')}` };
  return {
    kind: 'missing',
    what: 'no address: the Worker could not be reached',
    todo: 'Add routes = [{ pattern = "registry.example.com", custom_domain = true }] to wrangler.toml (or workers_dev = true to try it out).',
  };
}

// A Worker that has secrets was deployed before, so the record is its own.
function domains({ customDomains }: DeployConfig, account: AccountFacts | null): readonly Point[] {
  if (customDomains.length === 0 || (account?.secrets ?? []).length > 0) return [];
  return [
    {
      kind: 'advice',
      what: `an existing DNS record of ${customDomains.join(', ')} is replaced`,
      todo: 'Wrangler does not ask when it runs without a terminal. Check the name for typing errors.',
    },
  ];
}

function previews({ hasPreviews }: DeployConfig): readonly Point[] {
  if (!hasPreviews) return [];
  return [
    {
      kind: 'advice',
      what: 'preview URLs are not switched off: each version could be reached at an address of its own',
      todo: 'Add preview_urls = false to wrangler.toml.',
    },
  ];
}

function variables({ largeVariables, environmentsWithoutVariables }: DeployConfig): readonly Point[] {
  return [
    ...largeVariables.map(({ variable, bytes }): Point => ({
      kind: 'missing',
      what: `the variable ${variable} has ${String(bytes)} bytes; the limit of Cloudflare is 5,000`,
      todo: 'Use patterns such as team/* for several repositories; split TOKENS into TOKENS_A, TOKENS_B and so on.',
    })),
    ...environmentsWithoutVariables.map((environment): Point => ({
      kind: 'missing',
      what: `the environment ${environment} has no variables: Wrangler does not inherit [vars], so REALMS would be lost`,
      todo: `Copy [vars] to [env.${environment}.vars] in wrangler.toml.`,
    })),
  ];
}

function cache({ isCached, mixesVersions }: DeployConfig): readonly Point[] {
  if (!isCached) {
    return [
      {
        kind: 'advice',
        what: 'no cache between gateway and registry: every pull reads the bucket',
        todo: 'Copy [cache] and [exports.…] from the wrangler.toml of the Gantry package.',
      },
    ];
  }
  const there: Point = { kind: 'there', what: 'a cache in front of the registry, none in front of the gateway' };
  if (!mixesVersions) return [there];
  return [
    there,
    {
      kind: 'missing',
      what: 'no binding VERSION: with cross_version_cache, lists of the old version would be served after a change of REALMS',
      todo: 'Add [version_metadata] with binding = "VERSION" to wrangler.toml, or remove cross_version_cache.',
    },
  ];
}

function filling({ hasOrigins, hasLimits }: DeployConfig): readonly Point[] {
  if (!hasOrigins || hasLimits) return [];
  return [
    {
      kind: 'advice',
      what: 'repositories are filled from other registries within 30 s of processor time a request, or 10 ms on the Free plan',
      todo: 'Use the Workers Paid plan, and for layers over 3 GiB add [limits] with cpu_ms = 300_000 to wrangler.toml.',
    },
  ];
}

function certificates({ certificates: named }: DeployConfig): readonly Point[] {
  return named.map(({ binding, rule, isBound }): Point => {
    if (isBound) return { kind: 'there', what: `the client certificate ${binding}` };
    return {
      kind: 'missing',
      what: `no binding ${binding}, the client certificate that the rule "${rule}" of ORIGINS presents to its upstream`,
      todo: `Run \`npx wrangler mtls-certificate upload --cert FILE --key FILE\`, and add [[mtls_certificates]] with binding = "${binding}" and the certificate_id to wrangler.toml.`,
    };
  });
}

function statistics({ pullDataset }: DeployConfig, account: AccountFacts | null): readonly Point[] {
  if (pullDataset === null) return [];
  const secrets = account?.secrets ?? null;
  return [
    { kind: 'there', what: `pulls are counted in the dataset ${pullDataset}` },
    secrets === null
      ? { kind: 'unknown', what: 'whether the secret ANALYTICS_TOKEN is set' }
      : secrets.includes('ANALYTICS_TOKEN')
        ? { kind: 'there', what: 'the secret ANALYTICS_TOKEN' }
        : {
            kind: 'advice',
            what: 'no secret ANALYTICS_TOKEN: the pages show no pull statistics',
            todo: 'Make an API token with the permission "Account Analytics: Read", and run `npx wrangler secret put ANALYTICS_TOKEN`.',
          },
  ];
}

function fills({ hasUnlimitedFills }: DeployConfig): readonly Point[] {
  if (!hasUnlimitedFills) return [];
  return [
    {
      kind: 'advice',
      what: 'no FILL_LIMITER: the fetches that a client can start are not limited',
      todo: 'Copy [[ratelimits]] from the wrangler.toml of the Gantry package.',
    },
  ];
}

function secrets(
  { realms, openedRealms, neededSecrets }: DeployConfig,
  account: AccountFacts | null,
): readonly Point[] {
  const present = account?.secrets ?? null;
  const points: Point[] = [];
  const look = (secret: string, kind: 'missing' | 'advice', what: string): void => {
    if (present === null) points.push({ kind: 'unknown', what: `whether the secret ${secret} is set` });
    else if (present.includes(secret)) points.push({ kind: 'there', what: `the secret ${secret}` });
    else points.push({ kind, what, todo: `Run \`npx wrangler secret put ${secret}\`.` });
  };
  look(
    'PURGE_TOKEN',
    'advice',
    'no secret PURGE_TOKEN: a moved tag is visible everywhere only after its cache lifetime (a minute)',
  );
  for (const { secret, by } of neededSecrets) look(secret, 'missing', `no secret ${secret}, which ${by} needs`);
  const closed = [...new Set(realms.map(({ realm }) => realm))].filter(
    (realm) => realm !== PUBLIC_REALM && !openedRealms.includes(realm),
  );
  const hasTokens = present?.some((name) => name === 'TOKENS' || name.startsWith('TOKENS_')) === true;
  if (closed.length > 0 && !hasTokens) {
    look(
      'TOKENS',
      'missing',
      `no secret TOKENS: no client could read the protected ${closed.length === 1 ? 'realm' : 'realms'} ${closed.join(', ')}`,
    );
  }
  return points;
}
