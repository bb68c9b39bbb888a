/**
 * The message that is sent after tags changed, and its signature, as the Standard Webhooks specification has them
 * (version 1.0.0, standardwebhooks.com): receivers verify it with libraries that exist for most languages. Pure.
 *
 * The signature is an HMAC with a shared secret. The key that signs schema 1 manifests is not used: it is for P-256 or
 * RSA, and beside HMAC the specification has only Ed25519.
 */
import { createHmac } from 'node:crypto';
import type { Digest } from '../../registry/digest.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';

/** A tag that was written or deleted. */
export interface TagChange {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly change: 'new' | 'moved' | 'deleted';
  /** What was published under it now; empty if it was deleted. */
  readonly digests: readonly Digest[];
}

/** The most tags of one message: the specification asks for less than 20 kB. */
export const TAGS_IN_MESSAGE = 100;

/** The body of a message. */
export function messageOf(changes: readonly TagChange[], time: Date): string {
  const tags = changes.map(({ name, tag, change, digests }) => ({ name, tag, change, digests }));
  return JSON.stringify({ type: 'tags.changed', timestamp: time.toISOString(), data: { tags } });
}

/** The bytes of a secret. */
export type Secret = Uint8Array;

/**
 * Reads secrets, separated by spaces: `whsec_` and the base64 of 24 to 64 bytes (specification, "Signature scheme").
 * Several are for the time in which the receiver changes its own. Null if one is not valid.
 */
export function parseSecrets(text: string): readonly Secret[] | null {
  const secrets = text
    .trim()
    .split(/\s+/)
    .map((one) => {
      const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(one)?.[1] ?? '';
      const bytes = Buffer.from(base64, 'base64');
      const isWhole = bytes.toString('base64').replace(/=+$/, '') === base64.replace(/=+$/, '');
      return isWhole && bytes.length >= 24 && bytes.length <= 64 ? bytes : null;
    });
  return secrets.includes(null) ? null : secrets.filter((secret) => secret !== null);
}

/** The headers of an attempt to send a message. `time`: of the attempt. */
export function headersOf(
  { id, body }: { readonly id: string; readonly body: string },
  secrets: readonly Secret[],
  time: Date,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(time.getTime() / 1000));
  const signatures = secrets.map(
    (secret) => `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  );
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
