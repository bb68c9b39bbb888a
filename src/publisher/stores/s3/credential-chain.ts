/**
 * The sources of credentials that AWS tools share ("AWS SDKs and Tools standardized credential providers"): profiles,
 * IAM Identity Center (SSO), processes, web identity, and the metadata of containers and instances. The SDK's own
 * package reads them: their protocols are AWS's matter, and some are secret-handling code.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { loadSharedConfigFiles } from '@smithy/core/config';
import { CommandError } from '../../cli/errors.ts';
import type { SigningKeys } from './signature.ts';

/** What a profile says about the server. */
export interface ProfileSettings {
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
}

/** The sources, read when their results are needed. */
export interface CredentialChain {
  /** Throws {@link CommandError} if the profile was named and does not exist. */
  settings(): Promise<ProfileSettings>;
  /** Keys for one request: read once, and again before they expire. Throws {@link CommandError}. */
  keys(region: string): () => Promise<SigningKeys>;
}

/** The chain of a profile; undefined: the default one. The SDK reads the variables of this process. */
export function openCredentialChain(env: Readonly<NodeJS.ProcessEnv>, profile: string | undefined): CredentialChain {
  const files = {
    configFilepath: set(env.AWS_CONFIG_FILE) ?? join(homedir(), '.aws', 'config'),
    filepath: set(env.AWS_SHARED_CREDENTIALS_FILE) ?? join(homedir(), '.aws', 'credentials'),
  };
  const where = `${files.configFilepath} and ${files.filepath}`;
  return {
    settings: async () => {
      const { configFile, credentialsFile } = await loadSharedConfigFiles({ ...files, ignoreCache: true });
      const own = { ...credentialsFile[profile ?? 'default'], ...configFile[profile ?? 'default'] };
      if (profile !== undefined && Object.keys(own).length === 0) {
        const isProfile = (name: string): boolean => !/^(?:services|sso-session)\./.test(name);
        const names = [...new Set([...Object.keys(configFile), ...Object.keys(credentialsFile)])].filter(isProfile);
        throw new CommandError(`there is no profile ${JSON.stringify(profile)} in ${where}`, {
          kind: 'usage',
          hint: names.length === 0 ? 'They have no profiles.' : `They have the profiles ${names.join(', ')}.`,
        });
      }
      const services = own.services === undefined ? undefined : configFile[`services.${own.services}`];
      return {
        endpoint: set(services?.['s3.endpoint_url']) ?? set(own.endpoint_url),
        region: set(own.region),
      };
    },
    keys: (region) => {
      const log: string[] = [];
      const debug = (message: unknown): void => void log.push(String(message));
      const provider = defaultProvider({
        ...files,
        ignoreCache: true,
        ...(profile !== undefined && { profile }),
        // Roles are assumed at STS, which has no region `auto`.
        ...(region !== 'auto' && { clientConfig: { region } }),
        logger: { trace: nothing, debug, info: nothing, warn: nothing, error: nothing },
      });
      return async () => {
        log.length = 0;
        try {
          const { accessKeyId, secretAccessKey, sessionToken } = await provider();
          return { accessKeyId, secretAccessKey, sessionToken };
        } catch (cause) {
          throw new CommandError(`no AWS credentials were found: ${triedIn(log, { env, profile, where })}`, {
            hint:
              'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (to an R2 API token with "Object Read & Write" on the bucket), ' +
              'or name a profile with --profile.',
            cause,
          });
        }
      };
    },
  };
}

/** What the SDK tried, from its log: a source is a line with `::`, and its failure one with `->`, or `(!)` at the end. */
function triedIn(
  log: readonly string[],
  { env, profile, where }: { env: Readonly<NodeJS.ProcessEnv>; profile: string | undefined; where: string },
): string {
  const sources: Readonly<Record<string, string>> = {
    fromIni: `the profile ${profile ?? 'default'} in ${where}`,
    fromProcess: 'its credential_process',
    fromTokenFile:
      set(env.AWS_WEB_IDENTITY_TOKEN_FILE) === undefined
        ? 'web identity (AWS_WEB_IDENTITY_TOKEN_FILE is not set)'
        : 'web identity',
    'fromHttp/fromContainerMetadata': 'the metadata of the container',
    fromInstanceMetadata: 'the metadata of the instance',
  };
  const tried = ['AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set'];
  let last = '';
  for (const line of log) {
    const stage = /(?:defaultProvider|remoteProvider)::(\S+)/.exec(line)?.[1] ?? '';
    const reason = /(?:->|\(!\)) (.+)/s.exec(line)?.[1];
    if (sources[stage] !== undefined) {
      tried.push(`tried ${sources[stage]}`);
      last = '';
    }
    // The last line only says that no source is left.
    if (reason !== undefined && !reason.startsWith('Could not load credentials from any')) last = reason;
  }
  return `${tried.join('; ')}${last === '' ? '' : ` (${last.replace(/\.$/, '')})`}`;
}

function set(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}

function nothing(): void {
  // The SDK would write to the console.
}
