import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { examine, type Diagnosis } from '../../src/publisher/doctor/examine.ts';
import { diagnosisLines } from '../../src/publisher/doctor/report.ts';
import { FINDINGS, type FindingId } from '../../src/publisher/doctor/findings/findings.ts';
import { IMAGE, startEdge, type Fault } from './doctor-edge.ts';

type Options = Partial<Parameters<typeof examine>[1]>;

async function diagnose(fault: Fault | null, options: Options = {}): Promise<Diagnosis> {
  const edge = await startEdge(fault);
  try {
    return await examine(new URL(edge.url), {
      timeoutMs: 5_000,
      insecure: false,
      now: Date.UTC(2026, 0, 1),
      ...options,
    });
  } finally {
    await edge.close();
  }
}

function idsOf({ findings }: Diagnosis): FindingId[] {
  return [...new Set(findings.map(({ id }) => id))].sort();
}

function outcomes({ clients }: Diagnosis): Record<string, string> {
  return Object.fromEntries(clients.map(({ id, outcome, form }) => [id, `${outcome} ${form ?? '-'}`]));
}

it('finds nothing wrong with an edge that does everything right, and says what each client gets', async () => {
  const diagnosis = await diagnose(null);
  expect(diagnosis.findings).toEqual([]);
  expect(diagnosis.image).toBe(`${IMAGE}:latest`);
  expect(outcomes(diagnosis)).toEqual({
    ...Object.fromEntries(['1.6', '1.7', '1.8', '1.9'].map((id) => [`docker-${id}`, 'pulls docker-schema1'])),
    ...Object.fromEntries(
      ['1.10', '18', '19.03.0', '19', '20', '23', '28'].map((id) => [`docker-${id}`, 'pulls docker-schema2']),
    ),
    ...Object.fromEntries(['1.4', '1.6', '2'].map((id) => [`containerd-${id}`, 'pulls docker-schema2'])),
    'podman-5.6': 'pulls docker-schema2',
    podman: 'pulls docker-schema2',
    crane: 'pulls docker-schema2',
    oras: 'pulls docker-schema2',
    'docker-cli': 'pulls docker-schema2',
    systemd: 'pulls oci-manifest',
    'pulp-2': 'pulls docker-schema2',
    'pulp-2-schema1': 'pulls docker-schema1',
    'pulp-3': 'pulls docker-schema2',
    curl: 'pulls docker-schema2',
  });
});

describe('finds each fault that an edge commits, and that one only', () => {
  const TABLE: readonly (readonly [Fault, readonly FindingId[]])[] = [
    ['no-api-version', ['api-version-missing']],
    ['ping-redirects', ['ping-status']],
    ['basic-401', ['login-needed']],
    ['bearer', []],
    ['bearer-without-token', ['token-missing']],
    ['401-without-challenge', ['challenge-missing']],
    ['schema2-to-all', ['wrong-form']],
    ['schema1-to-all', ['wrong-form']],
    ['cache-ignores-vary', ['vary-ignored']],
    ['no-vary', ['vary-missing']],
    ['json-content-type', ['content-type-wrong']],
    ['no-digest-header', ['digest-missing']],
    ['digest-of-signed', ['digest-wrong']],
    ['body-altered', ['digest-mismatch', 'digest-wrong']],
    ['signature-broken', ['schema1-signature']],
    ['digest-unknown', ['digest-not-pullable', 'printed-digest']],
    ['schema1-digest-unknown', ['printed-digest']],
    ['condition-first', ['condition-other-form']],
    ['first-type-wins', ['schema1-to-new', 'wrong-form']],
    ['head-without-length', ['head-length-missing']],
    ['head-other-etag', ['head-differs']],
    ['blob-without-length', ['head-length-missing', 'length-missing']],
    ['manifest-chunked', ['head-length-missing', 'manifest-chunked']],
    ['manifest-gzip', ['manifest-compressed']],
    ['blob-brotli', ['blob-compressed']],
    ['etag-weak', ['etag-weak']],
    ['etag-random', ['etag-unstable', 'head-differs']],
    ['ignores-if-none-match', ['condition-ignored']],
    ['ignores-range', ['range-ignored']],
    ['wrong-range', ['range-wrong']],
    ['blob-damaged', ['blob-mismatch']],
    ['layer-missing', ['blob-missing']],
    ['blob-308', ['redirect-308']],
    ['blob-307', []],
    ['blob-307-userinfo', ['redirect-userinfo']],
    ['blob-307-nowhere', ['redirect-broken']],
    ['blob-307-refuses-authorization', ['redirect-credentials']],
    ['miss-200', ['missing-not-404', 'v1-answers']],
    ['miss-cached', ['missing-cached']],
    ['miss-html', ['error-body']],
    ['miss-500', ['bad-digest-5xx', 'server-error', 'v1-answers']],
    ['bad-digest-500', ['bad-digest-5xx']],
    ['tag-immutable', ['tag-cached-long']],
    ['digest-no-store', ['digest-uncached']],
    ['v1-html', ['v1-answers']],
    ['tags-unsorted', ['tags-unsorted']],
    ['ignores-n', ['tags-unpaged']],
    ['no-referrers', ['referrers-missing']],
    ['no-schema1', ['schema1-none']],
    ['no-schema1-hidden', ['message-hidden', 'schema1-none']],
    ['schema1-nameless', ['schema1-nameless']],
    ['zstd-to-all', ['layers-refused', 'wrong-form']],
    ['body-cut', ['body-cut']],
  ];

  it.each(TABLE)('%s → %j', async (fault, expected) => {
    expect(idsOf(await diagnose(fault, { image: IMAGE }))).toEqual([...expected].sort());
  });

  it('has a test for every fault that needs no TLS', () => {
    const tested = new Set<string>(TABLE.flatMap(([, ids]) => ids));
    const elsewhere = [
      'unreachable',
      'tls-certificate',
      'tls-expires',
      'tls-old-engines',
      'http1-missing',
      'image-missing',
      'redirect-insecure',
      'name-refused',
      'tls-old-roots',
      'challenged',
    ];
    expect(Object.keys(FINDINGS).filter((id) => !tested.has(id) && !elsewhere.includes(id))).toEqual([]);
  });
});

describe('what it needs to begin', () => {
  it('says that nobody listens', async () => {
    const edge = await startEdge(null);
    await edge.close();
    expect(idsOf(await examine(new URL(edge.url), { timeoutMs: 5_000, insecure: false, now: 0 }))).toEqual([
      'unreachable',
    ]);
  });

  it('says that clients are challenged, as by Bot Fight Mode', async () => {
    const diagnosis = await diagnose('challenge');
    expect(idsOf(diagnosis)).toEqual(['challenged']);
    expect(diagnosis.findings[0]?.seen).toBe('GET /v2/: 403, cf-mitigated: challenge');
  });

  it('says that the image is not there', async () => {
    const diagnosis = await diagnose(null, { image: 'demo/hello:nope' });
    expect(idsOf(diagnosis)).toEqual(['image-missing']);
    expect(new Set(Object.values(outcomes(diagnosis)))).toEqual(new Set(['told-no -']));
  });

  it('says which engines refuse the name of the repository', async () => {
    const edge = await startEdge(null, undefined, 'demo/of/hello');
    try {
      const diagnosis = await examine(new URL(edge.url), { timeoutMs: 5_000, insecure: false, now: 0 });
      expect(idsOf(diagnosis)).toEqual(['name-refused']);
      expect(diagnosis.findings.map(({ client }) => client)).toEqual(['Docker 1.6', 'Docker 1.7']);
      expect(outcomes(diagnosis)).toMatchObject({
        'docker-1.7': 'fails docker-schema1',
        'docker-1.8': 'pulls docker-schema1',
      });
    } finally {
      await edge.close();
    }
  });

  it('logs in with Basic, and with the token that a service gives', async () => {
    expect(idsOf(await diagnose('basic-401', { credentials: { username: 'me', password: 'secret' } }))).toEqual([]);
    expect((await diagnose('bearer')).image).toBe('demo/hello:latest');
  });

  it('never sends credentials to another host', async () => {
    const diagnosis = await diagnose('blob-307-userinfo', { credentials: { username: 'me', password: 'secret' } });
    expect(JSON.stringify(diagnosis)).not.toContain('secret');
  });
});

describe('TLS', () => {
  // A certificate of its own for localhost, made for these tests; valid until 2126.
  const certificate = {
    key: readFileSync(new URL('../fixtures/doctor/key.pem', import.meta.url)),
    cert: readFileSync(new URL('../fixtures/doctor/cert.pem', import.meta.url)),
  };

  async function diagnoseTls(tls: object, options: Options = {}): Promise<Diagnosis> {
    const edge = await startEdge(null, { ...certificate, ...tls });
    try {
      return await examine(new URL(edge.url), {
        timeoutMs: 5_000,
        insecure: true,
        now: Date.UTC(2026, 0, 1),
        ...options,
      });
    } finally {
      await edge.close();
    }
  }

  it('is content with TLS 1.2 and AES128 in GCM or CBC mode beside whatever else', async () => {
    const both = await diagnoseTls({});
    expect(both.findings).toEqual([]);
    expect(both.tls?.old?.protocol).toBe('TLSv1.2');
    const cbc = await diagnoseTls({ ciphers: 'ECDHE-ECDSA-AES128-SHA', maxVersion: 'TLSv1.2' });
    expect(cbc.findings).toEqual([]);
    expect(cbc.tls?.old?.cipher).toBe('ECDHE-ECDSA-AES128-SHA');
  });

  it('says that engines before 1.10 are shut out by TLS 1.3 alone, or by other ciphers', async () => {
    expect(idsOf(await diagnoseTls({ minVersion: 'TLSv1.3' }))).toEqual(['tls-old-engines']);
    expect(idsOf(await diagnoseTls({ ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305', maxVersion: 'TLSv1.2' }))).toEqual([
      'tls-old-engines',
    ]);
  });

  it('says that a certificate is not accepted, and that it ends soon', async () => {
    expect(idsOf(await diagnoseTls({}, { insecure: false }))).toEqual(['tls-certificate']);
    const ends = Date.parse(new X509Certificate(certificate.cert).validTo);
    expect(idsOf(await diagnoseTls({}, { now: ends - 5 * 86_400_000 }))).toEqual(['tls-expires']);
  });

  it.each([
    ['google', 'Google Trust Services WE1', ['GTS Root R4', 'GlobalSign Root CA'], []],
    ['letsencrypt', "Let's Encrypt E7", ['ISRG Root X1'], ['tls-old-roots']],
  ] as const)(
    'tells key type and issuer, and whether a host of 2015 knows the root: %s',
    async (name, issuer, roots, findings) => {
      // Chains with the names of the real ones, made for these tests; valid until 2126.
      const [key, cert] = ['key', 'chain'].map((part) =>
        readFileSync(new URL(`../fixtures/doctor/${name}-${part}.pem`, import.meta.url)),
      );
      const diagnosis = await diagnoseTls({ key, cert });
      expect(diagnosis.tls?.certificate).toEqual({ keyType: 'ecdsa', issuer, roots });
      expect(idsOf(diagnosis)).toEqual(findings);
      expect(diagnosisLines(diagnosis, 200).join('\n')).toContain(`ECDSA, by ${issuer}, up to ${roots.join(', ')}`);
    },
  );

  it('says that HTTP/1.1 is not spoken without ALPN', async () => {
    // What an HTTP/2 server says first: an empty SETTINGS frame.
    const server = createServer(certificate, (socket) => socket.end(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0))).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const diagnosis = await examine(new URL(`https://localhost:${String(port)}`), {
      timeoutMs: 2_000,
      insecure: true,
      now: 0,
    });
    server.close();
    expect(idsOf(diagnosis)).toEqual(['http1-missing']);
  });
});
