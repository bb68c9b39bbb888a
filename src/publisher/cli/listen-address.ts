/** Addresses to listen on, on the command line. */
import { InvalidArgumentError } from 'commander';

/** An address and a port; port 0 is any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Parses `ADDRESS:PORT`. Throws InvalidArgumentError. */
export function parseListenAddress(value: string): ListenAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535)
    throw new InvalidArgumentError('Write ADDRESS:PORT, such as 127.0.0.1:5000.');
  return { host, port: Number(port) };
}

/** Where pushes are taken unless another address is given. */
export const DEFAULT_LISTEN: ListenAddress = { host: '127.0.0.1', port: 5000 };
