/** Which addresses the local Worker may connect to. workerd checks the address that a name resolves to. */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { scopeOf } from '../../origin/network.ts';

/** Limits of outgoing connections as workerd takes them; undefined: none. */
export type OutboundNetwork =
  | {
      readonly allow: string[];
      readonly tlsOptions: { readonly trustBrowserCas: true; readonly trustedCertificates: string[] };
    }
  | undefined;

/** Gives the addresses of a host name. */
export type Resolve = (host: string) => Promise<readonly { readonly address: string }[]>;

/**
 * The connections that the Worker needs: to public addresses only, unless an upstream of `ORIGINS` or a key set of
 * `ACCESS` is itself in this machine's network. Without this, a public name that resolves to a private address would
 * lead inside.
 */
export async function outboundNetwork(
  bindings: Readonly<Record<string, unknown>>,
  variables: Readonly<NodeJS.ProcessEnv>,
  resolve: Resolve = (host) => lookup(host, { all: true }),
): Promise<OutboundNetwork> {
  const inside = await Promise.all(urlsIn([bindings.ORIGINS, bindings.ACCESS]).map((url) => isInside(url, resolve)));
  if (inside.includes(true)) return undefined;
  return {
    allow: ['public'],
    tlsOptions: { trustBrowserCas: true, trustedCertificates: await trustedCertificates(variables) },
  };
}

/** The authorities of `NODE_EXTRA_CA_CERTS`. Miniflare trusts them in its default service, too. */
export async function trustedCertificates({ NODE_EXTRA_CA_CERTS }: Readonly<NodeJS.ProcessEnv>): Promise<string[]> {
  if (NODE_EXTRA_CA_CERTS === undefined || NODE_EXTRA_CA_CERTS === '') return [];
  return (await readFile(NODE_EXTRA_CA_CERTS, 'utf8').catch(() => '')).match(CERTIFICATE) ?? [];
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----/g;

/** All URLs in the tables, which may be JSON text. The Worker itself parses them strictly. */
function urlsIn(tables: readonly unknown[]): readonly URL[] {
  const texts = tables.map((table) => (typeof table === 'string' ? table : JSON.stringify(table ?? null)));
  return texts
    .flatMap((text) => text.match(/https?:\/\/[^\s"\\]+/g) ?? [])
    .flatMap((text) => (URL.canParse(text) ? [new URL(text)] : []));
}

async function isInside(url: URL, resolve: Resolve): Promise<boolean> {
  if (scopeOf(url) !== 'public') return true;
  // A name that does not resolve cannot be connected to.
  const addresses = await resolve(url.hostname.replace(/^\[|\]$/g, '')).catch(() => []);
  return addresses.some(
    ({ address }) => scopeOf(new URL(address.includes(':') ? `http://[${address}]` : `http://${address}`)) !== 'public',
  );
}
