/** What is wrong before the first manifest: address, TLS, `/v2/`, login, and the image's name. */
import { CDN_HEADERS, type FindingRow } from './finding-row.ts';

/** Id → fault. */
export const CONNECTION_FINDINGS = {
  unreachable: {
    severity: 'error',
    title: 'The registry cannot be reached',
    todo: 'Check the name, the port and the firewall.',
  },
  'tls-certificate': {
    severity: 'error',
    title: 'The certificate is not accepted',
    todo: 'Install a certificate for this host, with all intermediate certificates. For a private CA set NODE_EXTRA_CA_CERTS here and /etc/docker/certs.d/HOST/ca.crt on Docker hosts.',
  },
  'tls-expires': { severity: 'warning', title: 'The certificate expires soon', todo: 'Renew it.' },
  'tls-old-engines': {
    severity: 'error',
    title: 'Docker before 1.10 cannot open a TLS connection',
    todo: 'Allow TLS 1.2 with ECDHE and AES128 in GCM or CBC mode (SHA-1 MAC), and an RSA or ECDSA certificate. On Cloudflare: minimum TLS version 1.2 and not the "modern" cipher list.',
  },
  'tls-old-roots': {
    severity: 'warning',
    title: 'A host of 2015 does not know the root of the certificate',
    todo: 'Look on that host: `openssl s_client -connect HOST:443 -tls1_2 -CApath /etc/ssl/certs < /dev/null`. If it says "unable to get local issuer certificate", put the root into /etc/docker/certs.d/HOST/ca.crt there. ISRG Root X1 is at letsencrypt.org/certificates, GTS Root R4 at pki.goog/repository. The choice of another issuer needs Advanced Certificate Manager.',
  },
  'http1-missing': {
    severity: 'error',
    title: 'HTTP/1.1 without ALPN is not answered',
    todo: 'Docker before 1.10 knows neither HTTP/2 nor ALPN: where a client offers no protocol, speak HTTP/1.1.',
  },
  'ping-status': {
    severity: 'error',
    title: '/v2/ answers neither 200 nor 401',
    todo: 'Send all of /v2/ to the registry, without redirects: clients ask there first.',
  },
  challenged: {
    severity: 'error',
    title: 'The edge challenges clients instead of answering',
    todo: 'No registry client can answer a challenge. Switch off Bot Fight Mode: no rule can skip it on the Free plan (Cloudflare: Security → Settings → Bot traffic). Let rules of your own skip this host.',
  },
  'api-version-missing': {
    severity: 'error',
    title: '/v2/ lacks Docker-Distribution-Api-Version: registry/2.0',
    todo: `Docker before 1.10 takes such a host for a v1 registry, on 200 and on 401. ${CDN_HEADERS}`,
  },
  'challenge-missing': {
    severity: 'error',
    title: '401 without a WWW-Authenticate that clients understand',
    todo: 'Answer 401 with `WWW-Authenticate: Bearer realm="…",service="…"` or `Basic realm="…"` on /v2/: engines before 1.10 look only there.',
  },
  'token-missing': {
    severity: 'error',
    title: 'The token service returns no `token`',
    todo: 'Give the token as `token` (and `access_token`): Docker before 1.10 reads only the first.',
  },
  'login-needed': {
    severity: 'error',
    title: 'Credentials are needed',
    todo: 'Give them with --creds USER:PASSWORD to test as a logged-in client.',
  },
  'image-missing': {
    severity: 'error',
    title: 'The image cannot be found',
    todo: 'Name one that exists with --image NAME:TAG.',
  },
} as const satisfies Record<string, FindingRow>;
