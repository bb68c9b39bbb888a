/**
 * The web server in front of Pulp, configured as Pulp's documentation has it; and, on request, as Katello does: below a
 * path, for clients with a certificate.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, must } from '../programs.ts';
import { launch, processService, type Service } from './services.ts';

/** Where nginx listens, and what it wrote down. */
export interface Front {
  readonly service: Service;
  /** One line a request: port, method, path with query, status. */
  readonly log: string;
  readonly ports: FrontPorts;
}

/**
 * `api`: everything under one host. `open`: the API without tokens; it sends clients to `api` for blobs. `katello`:
 * TLS, a path prefix, a client certificate.
 */
export interface FrontPorts {
  readonly api: number;
  readonly open: number;
  readonly katello: number;
}

/** Files for a client that Katello lets in, and what it trusts. */
export interface KatelloFiles {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** Paths of the content app; the rest is the API's (pulpcore's and pulp_container's `webserver_snippets`). */
const CONTENT_PATHS = ['/pulp/content/', '/pulp/container/'];

/** Gives ports that nothing listens on yet. */
export async function freeFrontPorts(): Promise<FrontPorts> {
  return { api: await freePort(), open: await freePort(), katello: await freePort() };
}

/** Makes nginx's configuration and the certificates. `behind`: the ports of Pulp's programs. */
export async function makeFront(
  folder: string,
  ports: FrontPorts,
  behind: { readonly api: number; readonly open: number; readonly content: number },
): Promise<Front & { readonly katello: KatelloFiles }> {
  await mkdir(folder, { recursive: true });
  const katello = await makeCertificates(folder);
  const log = join(folder, 'access.log');
  const pass = (port: number, more = 'proxy_redirect off;'): string =>
    `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Host $http_host;
     ${more} proxy_pass http://127.0.0.1:${String(port)}`;
  const contents = CONTENT_PATHS.map((path) => `location ${path} { ${pass(behind.content)}; }`).join('\n');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(folder, kind)};`)
    .join(' ');
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; user root; worker_processes 1; pid ${join(folder, 'nginx.pid')}; error_log ${join(folder, 'error.log')};
events {}
http {
  ${temporary}
  log_format asked '$server_port $request_method $request_uri $status';
  access_log ${log} asked;
  client_max_body_size 0;
  server { listen 127.0.0.1:${String(ports.api)};
    ${contents}
    location / { ${pass(behind.api)}; } }
  server { listen 127.0.0.1:${String(ports.open)};
    location /prefix/ { ${pass(behind.open)}/; }
    location / { ${pass(behind.open)}; } }
  server { listen 127.0.0.1:${String(ports.katello)} ssl;
    ssl_certificate ${join(folder, 'server.pem')}; ssl_certificate_key ${join(folder, 'server.key')};
    ssl_client_certificate ${katello.authority}; ssl_verify_client optional;
    ${contents}
    location /pulpcore_registry/ {
      if ($ssl_client_verify != SUCCESS) { return 403; }
      ${pass(behind.open, `proxy_set_header Remote-User admin; proxy_redirect http://127.0.0.1:${String(ports.api)}/ https://127.0.0.1:${String(ports.katello)}/;`)}/; } }
}
`,
  );
  const service = processService(
    ports.api,
    () =>
      launch(join(folder, 'log'), 'nginx', [
        '-c',
        join(folder, 'nginx.conf'),
        '-p',
        folder,
        '-e',
        join(folder, 'error.log'),
      ]),
    async () => (await fetch(`http://127.0.0.1:${String(ports.api)}/`)).status > 0,
    'nginx',
  );
  return { service, log, ports, katello };
}

/** An authority, a certificate of it for 127.0.0.1, and one for a client. */
async function makeCertificates(folder: string): Promise<KatelloFiles> {
  const file = (name: string): string => join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await must('openssl', [
    'req',
    '-x509',
    ...key,
    '-subj',
    '/CN=test authority',
    '-keyout',
    file('authority.key'),
    '-out',
    file('authority.pem'),
  ]);
  for (const [name, subject, extension] of [
    ['server', '/CN=127.0.0.1', 'subjectAltName=IP:127.0.0.1'],
    ['client', '/CN=edge', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    const signer = ['-CA', file('authority.pem'), '-CAkey', file('authority.key')];
    await must('openssl', [
      ...[
        'req',
        '-x509',
        ...key,
        '-subj',
        subject,
        '-addext',
        extension,
        '-addext',
        'basicConstraints=CA:FALSE',
        ...signer,
      ],
      ...['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)],
    ]);
  }
  return { authority: file('authority.pem'), certificate: file('client.pem'), key: file('client.key') };
}
