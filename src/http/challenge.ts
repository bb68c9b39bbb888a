/** One challenge of a `WWW-Authenticate` (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** As written; compare without regard to case. */
  readonly scheme: string;
  /** Parameters by lower-case name, unquoted; the first of a repeated name. Empty for a challenge with a token68. */
  readonly params: ReadonlyMap<string, string>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const NEXT = new RegExp(
  `\\s*(?:,\\s*)*(${TOKEN})(?:\\s*=\\s*(?:"((?:\\\\.|[^"\\\\])*)"|(${TOKEN}))(?=\\s*(?:,|$)))?`,
  'y',
);
const TOKEN68 = /[ \t]+[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y;

/** Parses the challenges of a `WWW-Authenticate`; several headers are joined by commas. Stops at a syntax error. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; params: Map<string, string> }[] = [];
  for (let at = 0; at < header.length;) {
    NEXT.lastIndex = at;
    const match = NEXT.exec(header);
    if (match === null) break;
    at = NEXT.lastIndex;
    const [, token = '', quoted, bare] = match;
    if (quoted === undefined && bare === undefined) {
      // This is a parameter with an invalid value, not a scheme.
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
