/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** Values of images: digests, addresses, names with texts. All of them may say anything. */
import type { Child } from 'hono/jsx';
import type { Digest } from '../../../registry/digest.ts';
import { visible, webAddress } from '../visible-text.ts';

/** A digest as a link. `short`: only its first 12 digits, where there are many. */
export function DigestLink({
  digest,
  href,
  short = false,
}: {
  readonly digest: Digest;
  readonly href: string;
  readonly short?: boolean;
}) {
  return (
    <a class="mono digest" href={href} title={short ? digest : undefined}>
      {short ? shortDigest(digest) : digest}
    </a>
  );
}

/** The algorithm and the first 12 digits of a digest. */
export function shortDigest(digest: Digest): string {
  return digest.slice(0, digest.indexOf(':') + 13);
}

/** Text of an image. An address of the web is a link that gives the other site nothing: no referrer, no opener. */
export function ImageText({ text, limit }: { readonly text: string; readonly limit: number }) {
  const address = webAddress(text);
  if (address === null) return <>{visible(text, limit)}</>;
  return (
    <a href={address} rel="nofollow noopener noreferrer ugc">
      {visible(text, limit)}
    </a>
  );
}

/** Titles with values. */
export function Facts({ facts }: { readonly facts: readonly (readonly [string, Child] | null)[] }) {
  return (
    <dl class="facts-list card">
      {facts.map((fact) =>
        fact === null ? null : (
          <>
            <dt>{fact[0]}</dt>
            <dd>{fact[1]}</dd>
          </>
        ),
      )}
    </dl>
  );
}

/** Maximum number of pairs shown. */
const PAIRS_MAX = 200;

/** Names and values of an image. */
export function Pairs({ pairs }: { readonly pairs: readonly (readonly [string, string])[] }) {
  return (
    <>
      <dl class="facts-list card">
        {pairs.slice(0, PAIRS_MAX).map(([name, value]) => (
          <>
            <dt>{visible(name, 200)}</dt>
            <dd>{value === '' ? '(empty)' : <ImageText text={value} limit={1_000} />}</dd>
          </>
        ))}
      </dl>
      {pairs.length > PAIRS_MAX && <p class="quiet">and {pairs.length - PAIRS_MAX} more</p>}
    </>
  );
}
