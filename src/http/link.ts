/** One link of a `Link` header (RFC 8288). */
export interface Link {
  /** URI reference, as written between the angle brackets. */
  readonly target: string;
  /** Relation type in lower case, the first where several are given; empty where there is none. */
  readonly rel: string;
}

const LINK = /<([^<>]*)>((?:\s*;\s*[^\s=;,"]+(?:\s*=\s*(?:"(?:\\.|[^"\\])*"|[^\s;,"]*))?)*)/g;
const PARAMETER = /;\s*([^\s=;,"]+)(?:\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s;,"]*)))?/g;

/** Parses a `Link` header. Invalid links are ignored. */
export function parseLinks(header: string): Link[] {
  return [...header.matchAll(LINK)].map(([, target = '', parameters = '']) => {
    for (const [, name = '', quoted, bare] of parameters.matchAll(PARAMETER)) {
      if (name.toLowerCase() !== 'rel') continue;
      const [rel = ''] = (quoted ?? bare ?? '').trim().toLowerCase().split(/\s+/);
      // RFC 8288, section 3.3: only the first `rel` counts.
      return { target, rel };
    }
    return { target, rel: '' };
  });
}
