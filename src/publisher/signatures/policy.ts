/**
 * Whose signatures an image must have: a public key in PEM, or a policy in JSON. The policy is satisfied by one
 * signature of one of its signers:
 *
 * ```
 * { "keys": ["cosign.pub"],
 *   "keyless": [{ "issuer": "https://accounts.example.com", "identity": "release@example.com",
 *                 "trustedRoot": "trusted_root.json" }] }
 * ```
 * Paths are relative to the policy. A trusted root is sigstore's `TrustedRoot` in JSON (`cosign trusted-root create`).
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { isObject, type JsonObject, objectOf } from '../../registry/values/json.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { readSmallFile } from '../sources/files.ts';

/** One signer that is trusted. `title` is for messages. */
export type TrustedSigner =
  | { readonly kind: 'key'; readonly title: string; readonly key: KeyObject }
  | {
      readonly kind: 'keyless';
      readonly title: string;
      /** The OIDC issuer in the certificate, and its subject alternative name: both are compared exactly. */
      readonly issuer: string;
      readonly identity: string;
      readonly root: TrustedRoot;
    };

/** The signers of a policy: one of them must have signed. */
export type SignaturePolicy = readonly TrustedSigner[];

/** Reads a key or a policy. Throws {@link CommandError}. */
export async function readSignaturePolicy(path: string): Promise<SignaturePolicy> {
  const text = await readText(path);
  if (!text.trimStart().startsWith('{')) return [keyOf(text, path)];
  const { keys = [], keyless = [], ...others } = readObject(text, path);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw invalid(path, `has a member "${unknown}" that is not known`);
  if (!Array.isArray(keys) || !Array.isArray(keyless)) throw invalid(path, '"keys" and "keyless" must be lists');
  const beside = (other: string): string => resolve(dirname(path), other);
  const signers: TrustedSigner[] = [];
  for (const key of keys as unknown[]) {
    if (typeof key !== 'string') throw invalid(path, '"keys" must contain paths');
    signers.push(keyOf(await readText(beside(key)), key));
  }
  for (const entry of keyless as unknown[]) {
    const { issuer, identity, trustedRoot, ...rest } = objectOf(entry);
    if (!isText(issuer) || !isText(identity) || !isText(trustedRoot) || Object.keys(rest).length > 0)
      throw invalid(path, 'each of "keyless" must have "issuer", "identity" and "trustedRoot", and nothing else');
    signers.push({ kind: 'keyless', title: identity, issuer, identity, root: await readRoot(beside(trustedRoot)) });
  }
  if (signers.length === 0) throw invalid(path, 'it names no signer');
  return signers;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

async function readText(path: string): Promise<string> {
  const bytes = await readSmallFile(path);
  if (bytes === null) throw usageError(`there is no file ${path}`, 'Give a public key in PEM, or a policy in JSON.');
  return new TextDecoder().decode(bytes);
}

function keyOf(pem: string, title: string): TrustedSigner {
  // A private key would be accepted too, and nobody should have it where images are checked.
  if (pem.includes('PRIVATE KEY')) throw usageError(`${title} is a private key`, 'Give the public one: cosign.pub.');
  try {
    return { kind: 'key', title, key: createPublicKey(pem) };
  } catch (cause) {
    throw new CommandError(`${title} is not a public key in PEM`, {
      kind: 'usage',
      hint: 'Write it with: cosign public-key --key cosign.key',
      cause,
    });
  }
}

async function readRoot(path: string): Promise<TrustedRoot> {
  const value = readObject(await readText(path), path);
  let root: TrustedRoot;
  try {
    root = TrustedRoot.fromJSON(value);
  } catch (cause) {
    throw new CommandError(`${path} is not a trusted root of sigstore`, { kind: 'usage', cause });
  }
  if (root.certificateAuthorities.length === 0) throw invalid(path, 'it has no certificate authority');
  // A certificate is valid for minutes: without a trusted time, its signatures cannot be verified.
  if (root.tlogs.length === 0 && root.timestampAuthorities.length === 0)
    throw invalid(path, 'it has neither a transparency log nor a timestamp authority');
  return root;
}

function readObject(text: string, path: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CommandError(`${path} is not JSON`, { kind: 'usage', cause });
  }
  if (!isObject(value)) throw invalid(path, 'it is not an object');
  return value;
}

function invalid(path: string, why: string): CommandError {
  return usageError(`${path} is not valid: ${why}`, '`gantry publish --help` describes it.');
}
