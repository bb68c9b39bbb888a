/**
 * The part of `node:crypto` that signing and hashing use. Node and workerd (with `nodejs_compat`) both have it. This
 * zone sees no types of either runtime, so that nothing else of Node can be used here by mistake.
 */
declare module 'node:crypto' {
  type Jwk = Readonly<Record<string, unknown>>;
  interface JwkInput {
    readonly key: Jwk;
    readonly format: 'jwk';
  }

  interface PublicKeyObject {
    export(options: { readonly format: 'jwk' }): Jwk;
    export(options: { readonly type: 'spki'; readonly format: 'der' }): Uint8Array;
  }
  interface PrivateKeyObject {
    export(options: { readonly format: 'jwk' }): Jwk;
    export(options: { readonly type: 'sec1'; readonly format: 'pem' }): string;
  }

  export function createPublicKey(key: JwkInput): PublicKeyObject;
  export function createPrivateKey(key: string | JwkInput): PrivateKeyObject;
  export function createECDH(curve: string): { setPrivateKey(key: Uint8Array): void; getPublicKey(): Uint8Array };
  interface Hash {
    update(data: Uint8Array): void;
    digest(): Uint8Array;
    digest(encoding: 'hex'): string;
  }

  export function randomBytes(size: number): Uint8Array;
  export function createHash(algorithm: string): Hash;
  export function createHmac(algorithm: string, key: Uint8Array): Hash;
  export function hash(algorithm: string, data: Uint8Array, encoding: 'hex'): string;
  export function sign(algorithm: string, data: Uint8Array, key: JwkInput): Uint8Array;
  export function verify(
    algorithm: string,
    data: Uint8Array,
    key: JwkInput & { readonly dsaEncoding?: 'ieee-p1363' },
    signature: Uint8Array,
  ): boolean;
  export class X509Certificate {
    constructor(der: Uint8Array);
    readonly publicKey: PublicKeyObject;
  }
}
