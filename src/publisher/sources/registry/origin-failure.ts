/** What a person is told when another registry does not give what is wanted. */
import { OriginError } from '../../../origin/errors.ts';
import { CommandError } from '../../cli/errors.ts';

/** What was known when it failed. */
export interface Asking {
  /** As in image names. */
  readonly host: string;
  /** Whether credentials were at hand. */
  readonly hasLogin: () => boolean;
}

/** Says what happened and what to do; what is no {@link OriginError} comes back as it is. */
export function originFailure(error: unknown, { host, hasLogin }: Asking): unknown {
  return error instanceof OriginError
    ? new CommandError(error.message, { ...hintOf(error, host, hasLogin()), cause: error })
    : error;
}

function hintOf({ code, message, retryAfter }: OriginError, host: string, hasLogin: boolean): { hint?: string } {
  switch (code) {
    case 'ORIGIN_UNAUTHORIZED':
      return {
        hint: hasLogin
          ? `The login for ${host} is wrong or expired: log in again (docker login ${host}), or give --creds USER:PASSWORD.`
          : `Log in (docker login ${host}), or give --creds USER:PASSWORD. Many registries answer so where there is no such repository, too.`,
      };
    case 'ORIGIN_DENIED':
      return {
        hint: hasLogin
          ? `The login for ${host} may not read this.`
          : `Log in (docker login ${host}), or give --creds USER:PASSWORD.`,
      };
    case 'ORIGIN_RATE_LIMITED': {
      const wait = retryAfter === undefined ? 'Wait a while' : `Wait ${String(Math.ceil(retryAfter / 1000))} s`;
      return { hint: `${wait}${hasLogin ? '' : ', or log in: most registries allow more then'}.` };
    }
    case 'ORIGIN_UNAVAILABLE':
      if (message.includes('TLS fails')) return { hint: 'If you trust the way there: --src-tls-verify=false.' };
      return { hint: `Check the name ${host} and the network, then try again: what arrived is not sent again.` };
    case 'ORIGIN_PROTOCOL':
      return {
        hint: `Something between here and ${host}, or the registry itself, is broken; nothing of it was published.`,
      };
    case 'ORIGIN_POLICY':
      return {};
  }
}
