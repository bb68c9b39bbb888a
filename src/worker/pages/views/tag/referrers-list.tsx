/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Digest } from '../../../../registry/digest.ts';
import { parseTag, type RepositoryName, type Tag } from '../../../../registry/name.ts';
import { COSIGN_SUFFIXES } from '../../../../bucket/image-source.ts';
import { manifestPath, tagPath } from '../../paths.ts';
import type { ReferrerView } from '../../content/read-referrers.ts';
import { formatBytes } from '../../../../registry/values/byte-size.ts';
import { visible } from '../../visible-text.ts';
import { Command, type Place } from '../layout.tsx';
import { DigestLink } from '../values.tsx';
import { Signer } from './signer.tsx';

/** Maximum number of referrers shown. */
const REFERRERS_MAX = 100;

/** What refers to a manifest, with the signers that signatures claim. */
export function ReferrersList({
  name,
  subject,
  referrers,
  place,
}: {
  readonly name: RepositoryName;
  readonly subject: Digest;
  readonly referrers: readonly ReferrerView[];
  readonly place: Place;
}) {
  const isSigned = referrers.some(({ kind }) => kind === 'Signature');
  return (
    <section>
      <p class="lead">
        What refers to <DigestLink digest={subject} href={manifestPath(name, subject)} />. Signers are shown as the
        signatures claim them. They are not verified here.
      </p>
      {referrers.length === 0 ? (
        <p class="empty">Nothing refers to this manifest: no signature, no SBOM and no attestation is stored for it.</p>
      ) : (
        <ul class="rows">
          {referrers.slice(0, REFERRERS_MAX).map((referrer) => (
            <Row name={name} referrer={referrer} />
          ))}
        </ul>
      )}
      {referrers.length > REFERRERS_MAX && <p class="quiet">and {referrers.length - REFERRERS_MAX} more</p>}
      <p class="quiet">
        Cosign before version 3 keeps signatures, attestations and SBOMs under tags. Look for{' '}
        {companionTags(subject).map((tag, index) => (
          <>
            {index > 0 && ', '}
            <a href={tagPath(name, tag)}>.{tag.slice(tag.indexOf('.') + 1)}</a>
          </>
        ))}
        .
      </p>
      {isSigned && (
        <>
          <h2>Verify</h2>
          <Command>{`cosign verify --key cosign.pub ${place.host}/${name}@${subject}`}</Command>
        </>
      )}
    </section>
  );
}

/** The tags that cosign names by the digest of an image. */
function companionTags(subject: Digest): readonly Tag[] {
  return COSIGN_SUFFIXES.flatMap((suffix) => parseTag(`${subject.replace(':', '-')}.${suffix}`) ?? []);
}

function Row({ name, referrer }: { readonly name: RepositoryName; readonly referrer: ReferrerView }) {
  const { kind, type, digest, size, created, signers } = referrer;
  return (
    <li>
      <p>
        <b>{kind}</b> <span class="quiet">{visible(type, 200)}</span>
      </p>
      {signers.map((signer) => (
        <p>
          signed by <Signer signer={signer} />
        </p>
      ))}
      {signers.length === 0 && kind === 'Signature' && <p class="quiet">Its page shows who signed.</p>}
      <p class="quiet">
        <DigestLink digest={digest} href={manifestPath(name, digest)} />
        {size !== null && ` · ${formatBytes(size)}`}
        {created !== null && ` · ${visible(created, 40)}`}
      </p>
    </li>
  );
}
