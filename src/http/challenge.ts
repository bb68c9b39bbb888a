/** One challenge of a `WWW-Authenticate` (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** As written; compare without regard to case. */
  readonly scheme: string;
  /** Parameters by name in lower case, values unquoted; the first of a repeated name. Empty where a token68 stands in their place. */
  readonly params: ReadonlyMap<string, string>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const NEXT = new RegExp(
  `\\s*(?:,\\s*)*(${TOKEN})(?:\\s*=\\s*(?:"((?:\\\\.|[^"\\\\])*)"|(${TOKEN}))(?=\\s*(?:,|$)))?`,
  'y',
);
const TOKEN68 = /[ \t]+[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y;

/** Reads the challenges of a `WWW-Authenticate`, several of them in one header or several headers joined by commas. Reading ends at what cannot be read. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; params: Map<string, string> }[] = [];
  for (let at = 0; at < header.length;) {
    NEXT.lastIndex = at;
    const match = NEXT.exec(header);
    if (match === null) break;
    at = NEXT.lastIndex;
    const [, token = '', quoted, bare] = match;
    if (quoted === undefined && bare === undefined) {
      // A parameter whose value cannot be read is no scheme.
      if (/^\s*=/.test(header.slice(at))) break;
      challenges.push({ scheme: token, params: new Map() });
      TOKEN68.lastIndex = at;
      if (TOKEN68.test(header) && !/^\s+[^\s=,]+\s*=\s*[^=\s,]/.test(header.slice(at))) at = TOKEN68.lastIndex;
      continue;
    }
    const last = challenges.at(-1);
    const name = token.toLowerCase();
    if (last !== undefined && !last.params.has(name))
      last.params.set(name, quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '');
  }
  return challenges;
}
