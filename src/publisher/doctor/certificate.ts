/** The server's certificate, and whether hosts from the time of old engines know its root. */
import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate } from 'node:tls';

/** A certificate that a server shows. */
export interface ServerCertificate {
  /** `ecdsa`, `rsa`, or Node's name of another kind. */
  readonly keyType: string;
  /** Organisation and common name of the issuer. */
  readonly issuer: string;
  /** Common names of all issuers above that one that the server's chain names: one of them must be known. */
  readonly roots: readonly string[];
}

/**
 * Roots of the certificates that Cloudflare issues, and whether the certificate store of a host of 2015 has them. ISRG
 * Root X1 came into Debian's in November 2016 (ca-certificates 20141019+deb8u2), X2 later; those of Google Trust
 * Services began in June 2016. GlobalSign's of 1998 signs Google's across ("Certificate authorities", Cloudflare's
 * documentation).
 */
const ROOTS: Readonly<Record<string, boolean>> = {
  'ISRG Root X1': false,
  'ISRG Root X2': false,
  'GTS Root R1': false,
  'GTS Root R2': false,
  'GTS Root R3': false,
  'GTS Root R4': false,
  'GlobalSign Root CA': true,
};

/** Longest chain that is followed. */
const DEPTH_MAX = 8;

/** What matters here of a certificate as Node gives it, with its issuers. */
export function certificateOf(peer: DetailedPeerCertificate): ServerCertificate {
  const { asymmetricKeyType: type = 'unknown' } = new X509Certificate(peer.raw).publicKey;
  const issuers: string[] = [];
  // Of the last certificate, Node may know no issuer, although its types say so.
  let at: Partial<DetailedPeerCertificate> | undefined = peer;
  for (let depth = 0; at !== undefined && depth < DEPTH_MAX; depth += 1) {
    const { issuer, issuerCertificate: above, fingerprint256 }: Partial<DetailedPeerCertificate> = at;
    const name = textOf(issuer?.CN) ?? textOf(issuer?.O);
    if (name !== undefined) issuers.push(name);
    at = above?.fingerprint256 === fingerprint256 ? undefined : above;
  }
  const { issuer } = peer;
  return {
    keyType: type === 'ec' ? 'ecdsa' : type,
    issuer: [textOf(issuer.O), textOf(issuer.CN)].filter((part) => part !== undefined).join(' '),
    roots: [...new Set(issuers.length > 1 ? issuers.slice(1) : issuers)],
  };
}

/** Whether a host of 2015 knows one of the roots; null if this program does not know about them. */
export function isKnownIn2015({ roots }: Pick<ServerCertificate, 'roots'>): boolean | null {
  const known = roots.map((root) => ROOTS[root]);
  if (known.includes(true)) return true;
  return known.includes(false) ? false : null;
}

// Node's types promise one text; a name may have several of a kind, or none.
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : Array.isArray(value) ? String(value[0]) : undefined;
}
