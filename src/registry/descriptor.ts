import type { Digest } from './digest.ts';
import type { Platform } from './platform.ts';

/** Who signed, as the signature claims it. Both are null for a key without a certificate. Nothing is verified. */
export interface SignerClaim {
  /** An email address, a URI or another name. */
  readonly subject: string | null;
  /** Who vouches for the subject: an OpenID Connect issuer, or the issuer of the certificate. */
  readonly issuer: string | null;
}

/** A reference to a blob or manifest (OCI image spec, descriptor.md). `size` in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  readonly platform?: Platform;
  /**
   * A member of Gantry's referrers records, so that a page can show signers without reading each signature. Clients
   * ignore members that they do not know (OCI image spec, "Extensibility").
   */
  readonly signers?: readonly SignerClaim[];
}
