/** `/-/purge` of a deployed Worker, which PURGE_TOKEN opens. */
import { type ExchangeOptions, sendRequest } from '../exchange.ts';
import { objectOf, parseJson } from '../../../registry/values/json.ts';

/** What is purged; nothing if all are left out. */
export interface PurgeRequest {
  readonly tags?: readonly string[];
  readonly everything?: readonly string[];
}

/** What the Worker answered, or why it did not. */
export type PurgeAnswer =
  | { readonly kind: 'answered'; readonly cache: 'present' | 'absent'; readonly version: string | null }
  | { readonly kind: 'failed'; readonly why: string };

/** Purges, or with an empty request asks for the cache and the version alone. */
export type PurgeCall = (request: PurgeRequest) => Promise<PurgeAnswer>;

/**
 * Makes the call; a text that says why if there is none. The secret goes over TLS, or to this machine, and nowhere
 * else.
 */
export function purgeCallOf(base: URL, token: string | undefined, options: ExchangeOptions): PurgeCall | string {
  if (token === undefined || token === '') return 'PURGE_TOKEN is not set';
  const isHere = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(base.hostname);
  if (base.protocol !== 'https:' && !isHere) return 'PURGE_TOKEN is sent over https only';
  return async ({ tags = [], everything = [] }) => {
    const answer = await sendRequest(
      {
        method: 'POST',
        url: new URL('/-/purge', base),
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ repositories: [], tags, everything }),
      },
      options,
    );
    if (answer.kind === 'failure') return { kind: 'failed', why: `POST /-/purge: ${answer.message}` };
    if (answer.status !== 200) return { kind: 'failed', why: `POST /-/purge: ${String(answer.status)}` };
    const { cache, version } = objectOf(parseJson(answer.body));
    if (cache !== 'present' && cache !== 'absent')
      return { kind: 'failed', why: 'POST /-/purge: not an answer of Gantry' };
    return { kind: 'answered', cache, version: typeof version === 'string' ? version : null };
  };
}
