/** One TLS connection, as one kind of client opens it. */
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { certificateOf, type ServerCertificate } from './certificate.ts';
import { messageOf } from './exchange.ts';

/** What a client offers; everything else as Node does. */
export type Offer = Pick<ConnectionOptions, 'maxVersion' | 'ciphers' | 'ecdhCurve'>;

/** The negotiated protocol and cipher. */
export interface Handshake {
  readonly protocol: string;
  readonly cipher: string;
}

/** A connection that was opened, and closed again. */
export interface Opened extends Handshake {
  /** What is wrong with the certificate. */
  readonly problem: string | undefined;
  readonly validTo: Date | undefined;
  readonly certificate: ServerCertificate;
  /** Whether GET /v2/ without ALPN was answered with HTTP/1. */
  readonly http1: boolean;
}

/** Opens a connection as such a client does, asks for /v2/, and closes it. */
export function openTls(url: URL, timeoutMs: number, offer: Offer): Promise<Opened | { readonly error: string }> {
  return new Promise((resolve) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
    // A certificate fault is reported separately, so the connection is made nevertheless.
    const socket: TLSSocket = connect({
      host,
      port: Number(url.port === '' ? 443 : url.port),
      ...name,
      rejectUnauthorized: false,
      ...offer,
    });
    let received = '';
    // A destroyed socket has no certificate any more.
    let handshake: Omit<Opened, 'http1'> | null = null;
    const end = (result: Opened | { readonly error: string }): void => {
      socket.destroy();
      resolve(result);
    };
    const endWith = (otherwise: string): void =>
      end(handshake === null ? { error: otherwise } : { ...handshake, http1: /^HTTP\/1\.[01] \d{3}/.test(received) });
    socket.setTimeout(timeoutMs, () => endWith(`no answer for ${String(timeoutMs / 1000)} s`));
    socket.on('secureConnect', () => {
      const peer = socket.getPeerCertificate(true);
      const validTo = new Date(peer.valid_to);
      handshake = {
        protocol: socket.getProtocol() ?? '',
        cipher: socket.getCipher().name,
        problem: socket.authorized ? undefined : problemOf(socket),
        validTo: Number.isNaN(validTo.getTime()) ? undefined : validTo,
        certificate: certificateOf(peer),
      };
      socket.write(
        `GET /v2/ HTTP/1.1\r\nHost: ${url.host}\r\nUser-Agent: docker/1.9.1 go/go1.4.3 os/linux arch/amd64\r\nConnection: close\r\n\r\n`,
      );
    });
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      if (received.length >= 12) endWith('');
    });
    socket.on('end', () => endWith('the server closed the connection'));
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
