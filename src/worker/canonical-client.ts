import { parseAccept } from '../http/accept.ts';
import { foldAccept, foldUserAgent } from '../manifest/negotiate.ts';

/** What negotiation looks at of a client, in canonical form: a handful of values stand for all clients there are. */
export interface CanonicalClient {
  readonly accept: string | null;
  readonly userAgent: string | null;
}

/** Longest header that is remembered, and how many: clients of one kind send the same one again and again. */
const REMEMBERED_LENGTH = 1_024;
const REMEMBERED_COUNT = 512;

/** Reduces a client's headers. */
export function canonicalClient(headers: Headers): CanonicalClient {
  return { accept: folded.accept(headers.get('accept')), userAgent: folded.userAgent(headers.get('user-agent')) };
}

const folded = {
  accept: remembering((header) => foldAccept(parseAccept(header))),
  userAgent: remembering(foldUserAgent),
};

function remembering(fold: (header: string | null) => string | null): (header: string | null) => string | null {
  const known = new Map<string | null, string | null>();
  return (header) => {
    const before = known.get(header);
    if (before !== undefined) return before;
    const result = fold(header);
    if (known.size >= REMEMBERED_COUNT) known.clear();
    if ((header?.length ?? 0) <= REMEMBERED_LENGTH) known.set(header, result);
    return result;
  };
}
