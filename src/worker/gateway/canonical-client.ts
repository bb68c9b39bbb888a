import { parseAccept } from '../../http/accept.ts';
import { foldAccept, foldUserAgent } from '../../manifest/negotiate.ts';
import { remembering } from '../storage/memoize.ts';

/** What negotiation looks at of a client, in canonical form: a handful of values stand for all clients there are. */
export interface CanonicalClient {
  readonly accept: string | null;
  readonly userAgent: string | null;
}

/** Reduces a client's headers. */
export function canonicalClient(headers: Headers): CanonicalClient {
  return { accept: folded.accept(headers.get('accept')), userAgent: folded.userAgent(headers.get('user-agent')) };
}

const folded = {
  accept: remembering((header) => foldAccept(parseAccept(header))),
  userAgent: remembering(foldUserAgent),
};
