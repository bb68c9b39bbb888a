/** Errors of other registries as failures with a hint. */
import { OriginError } from '../../../origin/errors.ts';
import { CommandError } from '../../cli/errors.ts';

/** The registry that failed. */
export interface RegistryContext {
  /** As in image names. */
  readonly host: string;
  /** Whether credentials were available. */
  readonly hasLogin: () => boolean;
}

/** Turns an {@link OriginError} into a failure with a hint; returns any other error unchanged. */
export function originFailure(error: unknown, { host, hasLogin }: RegistryContext): unknown {
  return error instanceof OriginError
    ? new CommandError(error.message, { ...hintOf(error, host, hasLogin()), cause: error })
    : error;
}

function hintOf(
  { code, status, message, retryAfter }: OriginError,
  host: string,
  hasLogin: boolean,
): { hint?: string } {
  if (code === 'ORIGIN_PROTOCOL' && status === 404)
    return {
      hint: `A registry says so with an error code of the OCI specification. If ${host} is a plain web server, set "missing: any" in the file of gantry sync.`,
    };
  switch (code) {
    case 'ORIGIN_UNAUTHORIZED':
      return {
        hint: hasLogin
          ? `The login for ${host} is wrong or expired: log in again (docker login ${host}), or give --creds USER:PASSWORD.`
          : `Log in (docker login ${host}), or give --creds USER:PASSWORD. Many registries answer the same for a repository that does not exist.`,
      };
    case 'ORIGIN_DENIED':
      return {
        hint: hasLogin
          ? `The login for ${host} does not allow reading this repository.`
          : `Log in (docker login ${host}), or give --creds USER:PASSWORD.`,
      };
    case 'ORIGIN_RATE_LIMITED': {
      const wait = retryAfter === undefined ? 'Wait a while' : `Wait ${String(Math.ceil(retryAfter / 1000))} s`;
      return { hint: `${wait}${hasLogin ? '' : ', or log in: most registries then allow more requests'}.` };
    }
    case 'ORIGIN_UNAVAILABLE':
      if (message.includes('TLS fails')) return { hint: 'If you trust the network, use --src-tls-verify=false.' };
      return { hint: `Check the name ${host} and the network, then try again: uploaded blobs are not sent again.` };
    case 'ORIGIN_LIMIT':
    case 'ORIGIN_PROTOCOL':
      return {
        hint: `The registry ${host}, or a proxy in front of it, does not follow the protocol. The image was not published.`,
      };
    case 'ORIGIN_POLICY':
      return {};
  }
}
