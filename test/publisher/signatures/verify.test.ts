/** Which images pass `--verify-signature`: each row of the table is an attack, or what must go on working. */
import { titleOf } from '../../attacks.ts';
import { spawnSync } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSignaturePolicy } from '../../../src/publisher/signatures/policy.ts';
import { requireSignatures } from '../../../src/publisher/signatures/verify.ts';
import { writeDirImage } from '../dir-image.ts';
import { Bucket } from '../gc-bucket.ts';
import { runGantry } from '../commands/command-line.ts';
import { bundleOf, payloadOf, sha256, type Signature, signedImage, simpleSigning } from './signed-image.ts';

const ours = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const { digest } = signedImage({});
const OTHER = `sha256:${'0'.repeat(64)}`;

let folder: string;
let key: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-signatures-'));
  key = join(folder, 'ours.pub');
  await writeFile(key, ours.publicKey.export({ type: 'spki', format: 'pem' }));
  await writeFile(join(folder, 'rsa.pub'), rsa.publicKey.export({ type: 'spki', format: 'pem' }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const verify = async (places: Parameters<typeof signedImage>[0], policy = key): Promise<readonly string[]> =>
  requireSignatures(signedImage(places).source, await readSignaturePolicy(policy));
const reason = async (places: Parameters<typeof signedImage>[0], policy = key): Promise<string> => {
  const error: unknown = await verify(places, policy).catch((thrown: unknown) => thrown);
  if (!(error instanceof Error)) throw new TypeError('it was accepted');
  return error.message;
};
const good = (): Signature => simpleSigning(ours.privateKey, payloadOf(digest));

describe('with a key, an image is accepted that is signed', () => {
  test.each<[string, () => Parameters<typeof signedImage>[0]]>([
    ['in the tag sha256-….sig', () => ({ tag: [good()] })],
    ['in a referrer', () => ({ referrers: [good()] })],
    ['in a sigstore bundle', () => ({ referrers: [bundleOf(ours.privateKey, digest)] })],
    [
      'by others too',
      () => ({ tag: [simpleSigning(theirs.privateKey, payloadOf(digest)), good()], referrers: [good()] }),
    ],
  ])('%s', async (_, places) => {
    expect(await verify(places())).toEqual([key]);
  });

  test('with RSA', async () => {
    const signature = simpleSigning(rsa.privateKey, payloadOf(digest));
    expect(await verify({ tag: [signature] }, join(folder, 'rsa.pub'))).toHaveLength(1);
  });
});

describe('with a key, an image is refused', () => {
  test.each<[string, () => Parameters<typeof signedImage>[0], RegExp]>([
    ['that is not signed', () => ({}), /is not signed/],
    [
      'whose signature is of another key',
      () => ({ tag: [simpleSigning(theirs.privateKey, payloadOf(digest))] }),
      /signature verification failed/,
    ],
    [
      'whose signature is for another image',
      () => ({ tag: [simpleSigning(ours.privateKey, payloadOf(OTHER))] }),
      /the signature is for sha256:0000/,
    ],
    [
      'whose payload was changed after it was signed',
      () => ({ tag: [{ ...simpleSigning(ours.privateKey, payloadOf(OTHER)), blob: payloadOf(digest) }] }),
      /signature verification failed/,
    ],
    [
      'whose signed document is of another type',
      () => ({ tag: [simpleSigning(ours.privateKey, payloadOf(digest, 'atomic container signature'))] }),
      /is not an image/,
    ],
    ['whose signature is missing', () => ({ tag: [{ ...good(), annotations: {} }] }), /signature is missing/],
    ['whose bundle is of another key', () => ({ referrers: [bundleOf(theirs.privateKey, digest)] }), /failed/],
    [
      'that has only an attestation',
      () => ({ referrers: [bundleOf(ours.privateKey, digest, 'https://slsa.dev/provenance/v1')] }),
      /is an attestation/,
    ],
    [
      'whose bundle is damaged',
      () => ({ referrers: [{ ...bundleOf(ours.privateKey, digest), blob: Buffer.from('{"mediaType":1}') }] }),
      /no signature that the policy accepts/,
    ],
    [
      'whose bundle is not JSON',
      () => ({ referrers: [{ ...bundleOf(ours.privateKey, digest), blob: Buffer.from('{') }] }),
      /no signature that the policy accepts/,
    ],
  ])('%s', async (_, places, message) => {
    expect(await reason(places())).toMatch(message);
  });

  test('whose second form under the tag is not signed', async () => {
    const { source, manifest } = signedImage({ tag: [good()] });
    const roots = [
      { bytes: manifest },
      { bytes: Buffer.from(manifest.toString().replace('"layers":[]', '"layers": []')) },
    ];
    await expect(requireSignatures({ ...source, roots }, await readSignaturePolicy(key))).rejects.toThrow(
      /is not signed/,
    );
  });
});

test(titleOf('signature-missing'), async () => {
  const image = await writeDirImage(join(folder, 'unsigned'));
  const bucket = new Bucket();
  const run = await runGantry(bucket, ['publish', image.source, 'a/b:c', '--verify-signature', key], {
    GANTRY_KEY: join(folder, 'signing-key.pem'),
  });
  expect(run.code).toBe(1);
  expect(run.stderr).toMatch(/is not signed, so it is refused/);
  expect(bucket.keys()).toEqual([]);
});

describe('a policy', () => {
  const write = async (value: unknown): Promise<string> => {
    await writeFile(join(folder, 'policy.json'), JSON.stringify(value));
    return join(folder, 'policy.json');
  };

  test('accepts any of its keys', async () => {
    expect(await verify({ tag: [good()] }, await write({ keys: ['rsa.pub', 'ours.pub'] }))).toEqual(['ours.pub']);
  });

  test.each<[string, unknown, RegExp]>([
    ['names nobody', {}, /names no signer/],
    ['has a misspelt member', { key: ['ours.pub'] }, /"key" that is not known/],
    ['names a key that is not there', { keys: ['none.pub'] }, /there is no file/],
    ['names an identity without an issuer', { keyless: [{ identity: 'a', trustedRoot: 'b' }] }, /must have "issuer"/],
  ])('is refused if it %s', async (_, value, message) => {
    await expect(readSignaturePolicy(await write(value))).rejects.toThrow(message);
  });

  test('is not a private key', async () => {
    const path = join(folder, 'private.pem');
    await writeFile(path, ours.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await expect(readSignaturePolicy(path)).rejects.toThrow(/is a private key/);
  });
});

describe('keyless', () => {
  const IDENTITY = 'https://github.com/team/app/.github/workflows/release.yml@refs/heads/main';
  const ISSUER = 'https://token.actions.githubusercontent.com';
  const log = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const logKey = log.publicKey.export({ type: 'spki', format: 'der' });
  let certificate: string;
  let leaf: ReturnType<typeof createPublicKey>;

  /** A certificate as Fulcio issues it, of an authority of our own. */
  beforeAll(async () => {
    const openssl = (...args: readonly string[]): void => {
      const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
    };
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl('req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/O=test/CN=test', '-days', '2');
    openssl('req', ...curve, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/');
    await writeFile(
      join(folder, 'leaf.cnf'),
      `keyUsage=critical,digitalSignature
extendedKeyUsage=codeSigning
subjectAltName=critical,URI:${IDENTITY}
1.3.6.1.4.1.57264.1.1=DER:${Buffer.from(ISSUER).toString('hex')}
1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:${ISSUER}
`,
    );
    openssl(
      ...['x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', '7', '-days', '1'],
      ...['-extfile', 'leaf.cnf', '-out', 'leaf.pem'],
    );
    certificate = await readFile(join(folder, 'leaf.pem'), 'utf8');
    leaf = createPublicKey(certificate);
    const ca = (await readFile(join(folder, 'ca.pem'), 'utf8')).replace(/-----[^-]+-----|\s/g, '');
    const root = {
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      certificateAuthorities: [
        { certChain: { certificates: [{ rawBytes: ca }] }, validFor: { start: '2000-01-01T00:00:00Z' } },
      ],
      tlogs: [
        {
          baseUrl: 'https://rekor.example',
          hashAlgorithm: 'SHA2_256',
          publicKey: {
            rawBytes: logKey.toString('base64'),
            keyDetails: 'PKIX_ECDSA_P256_SHA_256',
            validFor: { start: '2000-01-01T00:00:00Z' },
          },
          logId: { keyId: createHash('sha256').update(logKey).digest('base64') },
        },
      ],
    };
    await writeFile(join(folder, 'trusted_root.json'), JSON.stringify(root));
  });

  const policy = async (change: object = {}): Promise<string> => {
    const path = join(folder, 'keyless.json');
    const signer = { issuer: ISSUER, identity: IDENTITY, trustedRoot: 'trusted_root.json', ...change };
    await writeFile(path, JSON.stringify({ keyless: [signer] }));
    return path;
  };

  /** A signature with its certificate and Rekor's entry (`hashedrekord`), whose promise is signed by `by`. */
  async function keyless(by = log.privateKey, integratedTime?: number): Promise<Signature> {
    const payload = payloadOf(digest);
    const signature = sign('sha256', payload, await readFile(join(folder, 'leaf.key'), 'utf8')).toString('base64');
    const body = Buffer.from(
      JSON.stringify({
        apiVersion: '0.0.1',
        kind: 'hashedrekord',
        spec: {
          data: { hash: { algorithm: 'sha256', value: sha256(payload) } },
          signature: { content: signature, publicKey: { content: Buffer.from(certificate).toString('base64') } },
        },
      }),
    ).toString('base64');
    const { stdout } = spawnSync('openssl', ['x509', '-in', 'leaf.pem', '-noout', '-startdate'], {
      cwd: folder,
      encoding: 'utf8',
    });
    const time = integratedTime ?? new Date(stdout.trim().replace('notBefore=', '')).getTime() / 1000 + 60;
    const entry = { body, integratedTime: time, logIndex: 1, logID: sha256(logKey) };
    // The canonical JSON of RFC 8785 has the members sorted.
    const signed = JSON.stringify({
      body: entry.body,
      integratedTime: entry.integratedTime,
      logID: entry.logID,
      logIndex: entry.logIndex,
    });
    return {
      ...simpleSigning(ours.privateKey, payload),
      annotations: {
        'dev.cosignproject.cosign/signature': signature,
        'dev.sigstore.cosign/certificate': certificate,
        'dev.sigstore.cosign/bundle': JSON.stringify({
          SignedEntryTimestamp: sign('sha256', Buffer.from(signed), by).toString('base64'),
          Payload: entry,
        }),
      },
    };
  }

  test('accepts the identity and the issuer of the policy', async () => {
    expect(leaf.asymmetricKeyType).toBe('ec');
    expect(await verify({ tag: [await keyless()] }, await policy())).toEqual([IDENTITY]);
  });

  test('refuses another identity, even one that a regular expression would match', async () => {
    const identity = IDENTITY.replace('github.com', 'github.co.');
    expect(await reason({ tag: [await keyless()] }, await policy({ identity }))).toMatch(/certificate identity error/);
    expect(await reason({ tag: [await keyless()] }, await policy({ identity: 'release.yml' }))).toMatch(
      /identity error/,
    );
  });

  test('refuses another issuer', async () => {
    const issuer = 'https://accounts.example.com';
    expect(await reason({ tag: [await keyless()] }, await policy({ issuer }))).toMatch(/certificate extension/);
  });

  test('refuses an entry that another log signed, and none at all', async () => {
    expect(await reason({ tag: [await keyless(theirs.privateKey)] }, await policy())).toMatch(/inclusion promise/);
    const signature = await keyless();
    const annotations = Object.fromEntries(
      Object.entries(signature.annotations ?? {}).filter(([name]) => name !== 'dev.sigstore.cosign/bundle'),
    );
    expect(await reason({ tag: [{ ...signature, annotations }] }, await policy())).toMatch(/expected 1 timestamps/);
  });

  test('refuses a time at which the certificate was not valid', async () => {
    expect(await reason({ tag: [await keyless(log.privateKey, 1_000_000_000)] }, await policy())).toMatch(/accept/);
  });

  test('refuses a signature with a key, and a key refuses one with a certificate', async () => {
    expect(await reason({ tag: [good()] }, await policy())).toMatch(/has no certificate/);
    expect(await reason({ tag: [await keyless()] })).toMatch(/signature verification failed/);
  });
});
