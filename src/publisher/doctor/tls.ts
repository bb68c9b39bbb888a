/** Checks whether old and new clients can open a TLS connection. */
import { isKnownIn2015, type ServerCertificate } from './certificate.ts';
import type { Finding } from './findings/findings.ts';
import { type Handshake, type Offer, openTls } from './handshake.ts';

// The part of Go 1.4's offer that servers still enable: TLS 1.2, ECDHE, AES128 in GCM or CBC mode; SNI, but no ALPN.
const OLD_ENGINE = {
  maxVersion: 'TLSv1.2',
  ciphers: [
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES128-SHA',
    'ECDHE-RSA-AES128-SHA',
  ].join(':'),
  ecdhCurve: 'prime256v1:secp384r1:secp521r1',
} as const satisfies Offer;

const WARN_DAYS = 14;

/** The TLS results for new and old clients. */
export interface TlsExamined {
  readonly modern: Handshake | null;
  readonly old: Handshake | null;
  /** The end of the certificate's validity, RFC 3339. */
  readonly validTo: string | undefined;
  readonly certificate: ServerCertificate | null;
  readonly findings: readonly Finding[];
}

/** Opens connections as new and old clients do. `now`: milliseconds since 1970. */
export async function examineTls(
  url: URL,
  options: { readonly timeoutMs: number; readonly insecure: boolean; readonly now: number },
): Promise<TlsExamined> {
  const findings: Finding[] = [];
  const modern = await openTls(url, options.timeoutMs, {});
  if ('error' in modern)
    return {
      modern: null,
      old: null,
      validTo: undefined,
      certificate: null,
      findings: [{ id: 'unreachable', seen: `TLS: ${modern.error}` }],
    };
  if (modern.problem !== undefined && !options.insecure) findings.push({ id: 'tls-certificate', seen: modern.problem });
  const days = modern.validTo === undefined ? undefined : (modern.validTo.getTime() - options.now) / 86_400_000;
  if (days !== undefined && days >= 0 && days < WARN_DAYS)
    findings.push({ id: 'tls-expires', seen: `it is valid until ${modern.validTo?.toISOString() ?? ''}` });
  const old = await openTls(url, options.timeoutMs, OLD_ENGINE);
  if ('error' in old) findings.push({ id: 'tls-old-engines', seen: old.error });
  else if (!old.http1)
    findings.push({ id: 'http1-missing', seen: 'GET /v2/ without ALPN was not answered with HTTP/1.1' });
  if (isKnownIn2015(modern.certificate) === false) {
    const { issuer, roots } = modern.certificate;
    findings.push({ id: 'tls-old-roots', seen: `issued by ${issuer}, up to ${roots.join(', ')}` });
  }
  return {
    modern: { protocol: modern.protocol, cipher: modern.cipher },
    old: 'error' in old ? null : { protocol: old.protocol, cipher: old.cipher },
    validTo: modern.validTo?.toISOString(),
    certificate: modern.certificate,
    findings,
  };
}
