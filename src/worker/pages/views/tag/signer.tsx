/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { SignerClaim } from '../../../../registry/descriptor.ts';
import { visible } from '../../visible-text.ts';

/** A signer, as the signature claims it. */
export function Signer({ signer: { subject, issuer } }: { readonly signer: SignerClaim }) {
  return (
    <>
      {subject === null ? 'a key that the signature does not name' : <b>{visible(subject, 300)}</b>}
      {issuer !== null && <> according to {visible(issuer, 300)}</>}
      <span class="quiet"> (claimed, not verified here)</span>
    </>
  );
}

/** All signers of a manifest, each in its line. */
export function Signers({ signers }: { readonly signers: readonly SignerClaim[] }) {
  return (
    <>
      {signers.map((signer) => (
        <div>
          <Signer signer={signer} />
        </div>
      ))}
    </>
  );
}
