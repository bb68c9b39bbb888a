import type { Signer } from '../../manifest/image.ts';
import { createSigner } from '../../manifest/signing/jws.ts';
import { KeyError, readPrivateKey } from '../../manifest/signing/key.ts';
import { ConfigError } from '../config.ts';

let last: { readonly text: string; readonly signer: Signer } | null = null;

/** The signer of derived schema 1 manifests, made once; null without a key. Throws {@link ConfigError}. */
export function signerOf(text: string | null): Signer | null {
  if (text === null) return null;
  if (last?.text === text) return last.signer;
  try {
    last = { text, signer: createSigner(readPrivateKey(text)) };
    return last.signer;
  } catch (cause) {
    if (!(cause instanceof KeyError)) throw cause;
    throw new ConfigError(`The secret SIGNING_KEY cannot be used: ${cause.message}. Make one with: gantry key create`, {
      cause,
    });
  }
}
