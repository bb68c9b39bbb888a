/** Client certificates of the local Worker: services that stand for the mTLS certificate bindings of a deployed one. */
import { CommandError } from '../cli/errors.ts';
import { readTextFile } from '../cli/text-file.ts';
import { type OutboundNetwork, trustedCertificates } from './network.ts';

/** The files of a client certificate, in PEM: the certificate with its chain, and its private key. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Files by the name of the binding. */
export type CertificateTable = Readonly<Record<string, CertificateFiles>>;

/** A service that connects with a client certificate, as workerd takes it. */
export interface CertificateService {
  readonly network: {
    readonly allow: string[];
    readonly tlsOptions: {
      readonly trustBrowserCas: true;
      readonly trustedCertificates: string[];
      readonly keypair: { readonly certificateChain: string; readonly privateKey: string };
    };
  };
}

/** What Miniflare's own service for outgoing connections allows. */
const ANY_ADDRESS = ['public', 'private', '240.0.0.0/4'];

/** Reads the files. `network`: what the Worker may connect to without a certificate. Throws {@link CommandError}. */
export async function certificateServices(
  table: CertificateTable,
  network: OutboundNetwork,
  variables: Readonly<NodeJS.ProcessEnv>,
): Promise<Readonly<Record<string, CertificateService>>> {
  const trusted = await trustedCertificates(variables);
  const services = Object.entries(table).map(async ([binding, files]): Promise<[string, CertificateService]> => {
    const keypair = { certificateChain: await readPem(files.certificate), privateKey: await readPem(files.key) };
    const tlsOptions = { trustBrowserCas: true, trustedCertificates: trusted, keypair } as const;
    return [binding, { network: { allow: network?.allow ?? ANY_ADDRESS, tlsOptions } }];
  });
  return Object.fromEntries(await Promise.all(services));
}

async function readPem(file: string): Promise<string> {
  const hint = 'Give files in PEM: --certificate BINDING=CERTIFICATE,KEY.';
  const text = await readTextFile(file, hint);
  if (!text.includes('-----BEGIN ')) throw new CommandError(`${file} is not in PEM`, { hint });
  return text;
}

/** Parses `BINDING=CERTIFICATE,KEY`; null if it is none. */
export function parseCertificateOption(text: string): readonly [string, CertificateFiles] | null {
  const [, binding, certificate, key] = /^([A-Za-z_]\w*)=([^,]+),([^,]+)$/.exec(text) ?? [];
  return binding === undefined || certificate === undefined || key === undefined
    ? null
    : [binding, { certificate, key }];
}
