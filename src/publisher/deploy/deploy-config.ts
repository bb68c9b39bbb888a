import { readWranglerToml } from '../cli/realm-table.ts';
import { parseRealmTable, RealmTableError } from '../../registry/realms.ts';
import { type JsonObject, listOf, objectOf, parseJson, textOf } from '../../registry/values/json.ts';
import { DatasetNameError, parseDatasetName } from '../../statistics/pull-query.ts';
import { CommandError } from '../cli/errors.ts';
import type { DeployConfig } from './preflight.ts';

/** Reads of a wrangler.toml what the preflight looks at. Throws {@link CommandError}. */
export async function readDeployConfig(path: string): Promise<DeployConfig> {
  const toml = await readWranglerToml(path);
  try {
    return deployConfigOf(toml);
  } catch (cause) {
    if (!(cause instanceof RealmTableError) && !(cause instanceof DatasetNameError)) throw cause;
    throw new CommandError(`${path}: ${cause.message}`, { cause });
  }
}

/** The same from what the file holds. */
export function deployConfigOf(toml: unknown): DeployConfig {
  const { name, account_id, r2_buckets, route, routes, workers_dev, preview_urls, vars, env, ...rest } = objectOf(toml);
  const { cache, exports, limits, version_metadata, mtls_certificates, ratelimits, analytics_engine_datasets } = rest;
  const bucket = listOf(r2_buckets)
    .map(objectOf)
    .find(({ binding }) => binding === 'BUCKET');
  const domains = [route, ...listOf(routes)].map(objectOf).filter(({ custom_domain }) => custom_domain === true);
  const { REALMS, DEFAULT_ACCESS, ACCESS, BLOB_DELIVERY, PUBLIC_URL, ORIGINS } = objectOf(vars);
  const bound = new Set(listOf(mtls_certificates).map((one) => objectOf(one).binding));
  const isLimited = listOf(ratelimits).some((limiter) => objectOf(limiter).name === 'FILL_LIMITER');
  const entrypoints = objectOf(exports);
  const isOn = (entrypoint: string): boolean => objectOf(objectOf(entrypoints[entrypoint]).cache).enabled === true;
  const workerName = textOf(name) ?? 'gantry';
  return {
    name: workerName,
    bucket: textOf(bucket?.bucket_name),
    jurisdiction: textOf(bucket?.jurisdiction),
    addresses: [
      ...[route, ...listOf(routes)].flatMap((one) => textOf(one) ?? textOf(objectOf(one).pattern) ?? []),
      // The address may be attached by another program.
      ...[textOf(PUBLIC_URL) ?? []].flat(),
      ...(workers_dev === true ? [`${workerName}.<your subdomain>.workers.dev`] : []),
    ],
    customDomains: domains.flatMap(({ pattern }) => textOf(pattern) ?? []),
    hasPreviews: preview_urls !== false,
    largeVariables: Object.entries(objectOf(vars)).flatMap(([variable, value]) => {
      const bytes = Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
      return bytes > VARIABLE_MAX ? [{ variable, bytes }] : [];
    }),
    environmentsWithoutVariables: Object.entries(objectOf(env)).flatMap(([environment, settings]) =>
      Object.keys(objectOf(vars)).length > 0 && objectOf(settings).vars === undefined ? [environment] : [],
    ),
    accountId: textOf(account_id),
    isCached: objectOf(cache).enabled === true && isOn('Registry') && !isOn('default'),
    mixesVersions: objectOf(cache).cross_version_cache === true && objectOf(version_metadata).binding !== 'VERSION',
    hasUnlimitedFills: ORIGINS !== undefined && !isLimited,
    realms: parseRealmTable(REALMS, DEFAULT_ACCESS),
    openedRealms: Object.keys(objectOf(objectOf(json(ACCESS)).realms)),
    hasOrigins: ORIGINS !== undefined,
    pullDataset: datasetOf(analytics_engine_datasets),
    hasLimits: limits !== undefined,
    neededSecrets: secretsOf(objectOf(json(BLOB_DELIVERY))),
    certificates: listOf(json(ORIGINS))
      .map(objectOf)
      .flatMap(({ name: rule, certificate }) => {
        const binding = textOf(certificate);
        return binding === null ? [] : [{ binding, rule: textOf(rule) ?? '?', isBound: bound.has(binding) }];
      }),
  };
}

/** The dataset behind the binding PULLS: Wrangler names it after the binding, where the file does not. */
export function datasetOf(datasets: unknown): string | null {
  const bound = listOf(datasets)
    .map(objectOf)
    .find(({ binding }) => binding === 'PULLS');
  return bound === undefined ? null : parseDatasetName(textOf(bound.dataset) ?? 'PULLS');
}

function secretsOf({ mode, auth }: JsonObject): DeployConfig['neededSecrets'] {
  if (mode === 'presigned')
    return ['R2_ACCESS_KEY_ID', 'R2_SECRET_ACCESS_KEY'].map((secret) => ({ secret, by: 'BLOB_DELIVERY presigned' }));
  return mode === 'redirect' && auth !== undefined ? [{ secret: 'BLOB_AUTH_SECRET', by: 'BLOB_DELIVERY.auth' }] : [];
}

/** Largest variable or secret, in bytes (Cloudflare's documentation, "Workers limits", November 2026: 5 KB). */
const VARIABLE_MAX = 5_000;

/** Tables stand in the file as TOML or as JSON text. Other values are left to the Worker, which reports the error. */
function json(value: unknown): unknown {
  return typeof value === 'string' ? parseJson(value) : value;
}
