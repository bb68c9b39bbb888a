/** Checks whether old and new clients can open a TLS connection. */
import { connect, type TLSSocket } from 'node:tls';
import { messageOf } from './exchange.ts';
import type { Finding } from './findings/findings.ts';

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
} as const;

const WARN_DAYS = 14;

/** The negotiated protocol and cipher. */
export interface Handshake {
  readonly protocol: string;
  readonly cipher: string;
}

/** The TLS results for new and old clients. */
export interface TlsExamined {
  readonly modern: Handshake | null;
  readonly old: Handshake | null;
  /** The end of the certificate's validity, RFC 3339. */
  readonly validTo: string | undefined;
  readonly findings: readonly Finding[];
}

/** Opens connections as new and old clients do. `now`: milliseconds since 1970. */
export async function examineTls(
  url: URL,
  options: { readonly timeoutMs: number; readonly insecure: boolean; readonly now: number },
): Promise<TlsExamined> {
  const findings: Finding[] = [];
  const modern = await open(url, options.timeoutMs, {});
  if ('error' in modern)
    return {
      modern: null,
      old: null,
      validTo: undefined,
      findings: [{ id: 'unreachable', seen: `TLS: ${modern.error}` }],
    };
  if (modern.problem !== undefined && !options.insecure) findings.push({ id: 'tls-certificate', seen: modern.problem });
  const days = modern.validTo === undefined ? undefined : (modern.validTo.getTime() - options.now) / 86_400_000;
  if (days !== undefined && days >= 0 && days < WARN_DAYS)
    findings.push({ id: 'tls-expires', seen: `it is valid until ${modern.validTo?.toISOString() ?? ''}` });
  const old = await open(url, options.timeoutMs, OLD_ENGINE);
  if ('error' in old) findings.push({ id: 'tls-old-engines', seen: old.error });
  else if (!old.http1)
    findings.push({ id: 'http1-missing', seen: 'GET /v2/ without ALPN was not answered with HTTP/1.1' });
  return {
    modern: { protocol: modern.protocol, cipher: modern.cipher },
    old: 'error' in old ? null : { protocol: old.protocol, cipher: old.cipher },
    validTo: modern.validTo?.toISOString(),
    findings,
  };
}

interface Opened extends Handshake {
  readonly problem: string | undefined;
  readonly validTo: Date | undefined;
  readonly http1: boolean;
}

function open(
  url: URL,
  timeoutMs: number,
  client: Partial<typeof OLD_ENGINE>,
): Promise<Opened | { readonly error: string }> {
  return new Promise((resolve) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
    // A certificate fault is reported separately, so the connection is made nevertheless.
    const socket: TLSSocket = connect({
      host,
      port: Number(url.port === '' ? 443 : url.port),
      ...name,
      rejectUnauthorized: false,
      ...client,
    });
    let received = '';
    const end = (result: Opened | { readonly error: string }): void => {
      socket.destroy();
      resolve(result);
    };
    const opened = (): Opened => {
      const validTo = new Date(socket.getPeerCertificate().valid_to);
      return {
        protocol: socket.getProtocol() ?? '',
        cipher: socket.getCipher().name,
        problem: socket.authorized ? undefined : problemOf(socket),
        validTo: Number.isNaN(validTo.getTime()) ? undefined : validTo,
        http1: /^HTTP\/1\.[01] \d{3}/.test(received),
      };
    };
    socket.setTimeout(timeoutMs, () =>
      end(socket.getProtocol() === null ? { error: `no answer for ${String(timeoutMs / 1000)} s` } : opened()),
    );
    socket.on('secureConnect', () =>
      socket.write(
        `GET /v2/ HTTP/1.1\r\nHost: ${url.host}\r\nUser-Agent: docker/1.9.1 go/go1.4.3 os/linux arch/amd64\r\nConnection: close\r\n\r\n`,
      ),
    );
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      if (received.length >= 12) end(opened());
    });
    socket.on('end', () => end(opened()));
    socket.on('error', (error: Error) => end({ error: messageOf(error) }));
  });
}

function problemOf(socket: TLSSocket): string {
  // It has the type Error, but is a code.
  const code = String(socket.authorizationError);
  const chain = code.includes('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    ? ' (an intermediate certificate is missing, or the CA is not known here)'
    : '';
  return `${code}${chain}`;
}
