/** The pages of a tag: a platform, its signatures, a comparison; and the pages of manifests. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { blobKey, manifestKey, tagKey } from '../../../src/registry/keys.ts';
import { encodeOriginMark } from '../../../src/registry/origin-mark.ts';
import { PUBLIC_REALM } from '../../../src/registry/realms.ts';
import { watched } from '../buckets.ts';
import { directEdge } from '../edge.ts';
import {
  bytesOf,
  digestOf,
  hash,
  nameOf,
  seedBlob,
  seedManifest,
  seedReferrers,
  seedTag,
  seedTagList,
  tagOf,
} from '../seed.ts';
import { indexOf, layerDigest, schema1For, seedImage } from './images.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const HOSTILE = '</pre><script>alert(1)</script>"\'><img src=x onerror=alert(1)>\u202e\u0000';

// The first page imports the code of all that are below /r/.
beforeAll(async () => {
  await (await directEdge(bucket)('/r/none')).text();
}, 60_000);

async function textOf(path: string, over: R2Bucket = bucket): Promise<string> {
  return (await directEdge(over)(path)).text();
}

/** The text of a page without markup. */
function wordsOf(html: string): string {
  return html
    .replace(/<(style|script)>.*?<\/\1>/gs, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ');
}

/** The reads that a page costs. */
async function costOf(path: string): Promise<number> {
  const { bucket: counted, operations } = watched(bucket);
  await (await directEdge(counted)(path)).text();
  return operations.head + operations.get;
}

const AMD64 = { os: 'linux', architecture: 'amd64' };
const ARM64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };
const S390X = { os: 'linux', architecture: 's390x' };

/** A tag with three platforms: of one, schema 1 could not be made. */
async function seedSeveral(name: string) {
  const image = (platform: object, digit: string, size: number) =>
    seedImage(bucket, { ...platform, config: { Env: ['A=config'] }, history: [{ created_by: `made ${digit}` }] }, [
      { digit, size },
    ]);
  const amd64 = await image(AMD64, '1', 1_000);
  const arm64 = await image(ARM64, '2', 2_000);
  const s390x = await image(S390X, '3', 3_000);
  const attestation = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: layerDigest('e'),
    size: 5,
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': arm64.digest,
    },
  };
  const index = await indexOf(
    bucket,
    name,
    [
      { image: amd64, platform: AMD64 },
      { image: arm64, platform: ARM64 },
      { image: s390x, platform: S390X },
    ],
    [attestation],
  );
  const forArm = await schema1For(ARM64, [{ digit: '2', command: 'arm step' }], { Env: ['A=schema1'] });
  await seedTag(
    bucket,
    name,
    '1',
    [index, { ...amd64, platform: AMD64 }, forArm],
    [{ form: 'docker-schema1', reason: 'schema1-zstd-layers', platform: S390X }],
  );
  return { index, amd64, arm64, s390x };
}

describe('the page of a tag with several platforms', () => {
  it('shows the chosen one: commands, digest, size, layers and history, in two reads', async () => {
    const { index, amd64, arm64, s390x } = await seedSeveral('several/app');
    const whole = await textOf('/r/several/app:1');
    expect(whole).toContain('href="/r/several/app:1?platform=linux%2Farm64%2Fv8"');
    expect(whole).toContain(`docker pull registry.example/several/app@${index.digest}`);
    expect(whole).toContain('1.0 kB compressed for linux/amd64');
    expect(whole).toContain('made 1');
    const arm = await textOf('/r/several/app:1?platform=linux/arm64/v8');
    expect(arm).toContain('docker pull --platform linux/arm64/v8 registry.example/several/app:1');
    expect(arm).toContain('--override-os linux --override-arch arm64 --override-variant v8 copy');
    expect(arm).toContain('app:1.tar?platform=linux/arm64/v8&#39;');
    expect(arm).toContain(`docker pull registry.example/several/app@${arm64.digest}`);
    expect(arm).not.toContain(`docker pull registry.example/several/app@${amd64.digest}`);
    expect(arm).toContain('2.0 kB compressed');
    expect(arm).toContain(`/v2/several/app/blobs/${layerDigest('2')}`);
    expect(arm).toContain('arm step');
    expect(arm).toContain('A=schema1');
    // Without a schema 1, history is one link away.
    const other = await textOf('/r/several/app:1?platform=linux/s390x');
    expect(other).toContain(layerDigest('3'));
    expect(other).toContain(`History and configuration are on <a href="/r/several/app@${s390x.digest}">`);
    expect(await costOf('/r/several/app:1')).toBe(2);
    expect(await costOf('/r/several/app:1?platform=linux/arm64/v8')).toBe(2);
    expect(await costOf('/r/several/app:1?platform=linux/s390x')).toBe(2);
    const missing = await directEdge(bucket)('/r/several/app:1?platform=plan9/mips');
    expect(missing.status).toBe(404);
    expect(await missing.text()).toContain('linux/arm64/v8');
  });

  it('has one line of forms for each platform, with what is missing and why', async () => {
    await seedSeveral('lines/app');
    const text = await textOf('/r/lines/app:1');
    const lines = Array.from(text.matchAll(/<summary><span class="platform">(.*?)<\/summary>/g), ([, line = '']) =>
      wordsOf(line),
    );
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^any platform .*OCI index : published/);
    expect(lines[1]).toMatch(/^linux\/amd64 .*OCI : published/);
    expect(lines[2]).toMatch(/^linux\/arm64\/v8 .*Schema 1 : derived/);
    expect(lines[3]).toMatch(/^linux\/s390x .*Schema 1 : missing.*No schema 1: zstd layers/);
    expect(text).not.toContain('<details open');
  });

  it('puts no text of an image into a command', async () => {
    const platform = { os: 'linux', architecture: '$(reboot);`x`' };
    const image = await seedImage(bucket, { ...platform, history: [] });
    await seedTag(bucket, 'shell/app', '1', [
      await indexOf(bucket, 'shell/app', [
        { image, platform },
        { image, platform: AMD64 },
      ]),
    ]);
    const path = `/r/shell/app:1?platform=${encodeURIComponent(`linux/${platform.architecture}`)}`;
    const commands = Array.from(
      (await textOf(path)).matchAll(/<code class="command">(.*?)<\/code>/g),
      ([, text]) => text,
    );
    expect(commands[0]).toBe(`docker pull registry.example/shell/app@${image.digest}`);
    expect(commands.join('\n')).not.toMatch(/reboot|[$`;]/);
  });

  it('says where it came from: published, or fetched from an upstream', async () => {
    const image = await seedImage(bucket, { ...AMD64, history: [] });
    await seedTag(bucket, 'hub/app', '1', [image]);
    expect(wordsOf(await textOf('/r/hub/app:1'))).toContain('From published here');
    const key = tagKey(nameOf('hub/app'), tagOf('1'));
    const object = await bucket.get(key);
    const mark = { origin: 'hub', digest: image.digest, checked: Date.now() - 3_700_000, gone: null };
    await bucket.put(key, (await object?.arrayBuffer()) ?? null, {
      customMetadata: { ...object?.customMetadata, ...encodeOriginMark(mark) },
    });
    expect(wordsOf(await textOf('/r/hub/app:1'))).toMatch(/fetched from the upstream “hub”, compared 1 hour ago/);
    const ORIGINS = [{ name: 'hub', pattern: 'hub/*', upstream: 'https://mirror.example', remote: '*' }];
    const edge = directEdge(bucket, { vars: { ORIGINS } });
    expect(wordsOf(await (await edge('/r/hub/app:1')).text())).toMatch(/fetched from mirror\.example ?, compared/);
  });
});

describe('the signatures of a tag', () => {
  it('name type, size, digest and the signer as claimed, plainly not verified', async () => {
    const { index, arm64 } = await seedSeveral('signed/app');
    await seedReferrers(bucket, 'signed/app', index.digest, [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: digestOf(layerDigest('a')),
        size: 1_200,
        artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
        signers: [{ subject: 'builder@team.example', issuer: 'https://accounts.example' }],
      },
      { mediaType: 'x', digest: digestOf(layerDigest('b')), size: 7, artifactType: 'application/spdx+json' },
    ]);
    const text = await textOf('/r/signed/app:1?show=referrers');
    const words = wordsOf(text);
    expect(words).toMatch(/Signature application\/vnd\.dev\.sigstore\.bundle\.v0\.3\+json/);
    expect(words).toMatch(
      /builder@team\.example according to https:\/\/accounts\.example \(claimed, not verified here\)/,
    );
    expect(words).toMatch(/SBOM application\/spdx\+json/);
    expect(words).toContain('1.2 kB');
    expect(text).toContain(`href="/r/signed/app@${layerDigest('a')}"`);
    // Attestations of BuildKit are entries of the list.
    expect(text).toContain(layerDigest('e'));
    const arm = await textOf(`/r/signed/app:1?show=referrers&of=${arm64.digest}`);
    expect(arm).toContain(layerDigest('e'));
    expect(arm).not.toContain(layerDigest('a'));
    expect(await costOf('/r/signed/app:1?show=referrers')).toBe(2);
  });

  it('are tags of cosign before version 3: their page says who signed', async () => {
    const bytes = bytesOf(
      JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: layerDigest('4'), size: 2 },
        layers: [{ mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json', digest: layerDigest('5'), size: 1 }],
      }),
    );
    const image = await seedImage(bucket, { ...AMD64, history: [] });
    await seedTag(bucket, 'cosign/app', '1', [image]);
    const tag = `${image.digest.replace(':', '-')}.sig`;
    await seedTag(bucket, 'cosign/app', tag, [{ form: 'oci-manifest', bytes, digest: await hash(bytes) }]);
    expect(await textOf('/r/cosign/app:1?show=referrers')).toContain(`<a href="/r/cosign/app:${tag}">.sig</a>`);
    expect(wordsOf(await textOf(`/r/cosign/app:${tag}`))).toContain('Signed by a key that the signature does not name');
  });

  it('say that there are none, and let nothing become markup', async () => {
    const { index } = await seedSeveral('markup/app');
    expect(await textOf('/r/markup/app:1?show=referrers&of=sha256:x')).toContain(layerDigest('e'));
    await seedTag(bucket, 'none/app', '1', [await seedImage(bucket, { ...AMD64, history: [] })]);
    expect(await textOf('/r/none/app:1?show=referrers')).toContain('Nothing refers to this manifest');
    await seedReferrers(bucket, 'markup/app', index.digest, [
      {
        mediaType: HOSTILE,
        digest: digestOf(layerDigest('a')),
        size: 1,
        artifactType: HOSTILE,
        annotations: { 'org.opencontainers.image.created': HOSTILE },
        signers: [{ subject: HOSTILE, issuer: HOSTILE }],
      },
    ]);
    const text = await textOf('/r/markup/app:1?show=referrers');
    expect(text).toContain('&lt;script&gt;');
    expect(text).not.toMatch(/<script>alert|<img|[\u202e\u0000]/);
  });
});

describe('the comparison of two tags', () => {
  it('shows shared and new layers, size, environment and labels, in two reads for each tag', async () => {
    const image = (version: string, extra: string, size: number) =>
      seedImage(
        bucket,
        {
          ...AMD64,
          config: { Env: ['PATH=/bin', `VERSION=${version}`, `OF_${version}=x`], Labels: { version }, Cmd: ['/app'] },
          history: [],
        },
        [
          { digit: '1', size: 5_000 },
          { digit: extra, size },
        ],
      );
    await seedTag(bucket, 'compared/app', '1.26', [await image('a', '2', 300)]);
    await seedTag(bucket, 'compared/app', '1.27', [await image('b', '3', 700)]);
    await seedTagList(bucket, 'compared/app', ['1.26', '1.27']);
    const words = wordsOf(await textOf('/r/compared/app:1.27?compare=1.26'));
    expect(words).toContain('From 1.26 to 1.27');
    expect(words).toContain('1 shared, 1 new, 1 gone');
    expect(words).toContain('To pull with 1.26 at hand 700 B');
    expect(words).toContain('5.3 kB → 5.7 kB (+400 B)');
    expect(words).toMatch(/VERSION − before: a \+ now: b/);
    expect(words).toMatch(/OF_b \+ now: x OF_a − before: x/);
    expect(words).toMatch(/Configuration No difference\./);
    expect(words).toMatch(/Labels version − before: a \+ now: b/);
    // Two tags, each with its config: a comparison is two tag pages.
    expect(await costOf('/r/compared/app:1.27?compare=1.26')).toBe(4);
    expect(await costOf('/r/compared/app:1.27?show=compare')).toBe(1);
    const absent = await directEdge(bucket)('/r/compared/app:1.27?compare=9');
    expect(absent.status).toBe(200);
    expect(await absent.text()).toContain('The repository compared/app has no tag 9.');
    expect((await directEdge(bucket)('/r/compared/app:9?compare=1.26')).status).toBe(404);
  });

  it('lets nothing of an image become markup', async () => {
    const image = (text: string) =>
      seedImage(bucket, { ...AMD64, config: { Env: [`A${text}=${text}`], Labels: { [text]: text }, Cmd: [text] } });
    await seedTag(bucket, 'differ/app', '1', [await image('plain')]);
    await seedTag(bucket, 'differ/app', '2', [await image(HOSTILE)]);
    const text = await textOf(`/r/differ/app:2?compare=1`);
    expect(text).toContain('&lt;script&gt;');
    expect(text).not.toMatch(/<script>alert|<img|[\u202e\u0000]/);
    expect(await textOf(`/r/differ/app:2?compare=${encodeURIComponent(HOSTILE)}`)).not.toMatch(/<script>alert|<img/);
  });
});

describe('the page of a manifest', () => {
  it('shows a child of a list by its digest, with its history, in two reads', async () => {
    const { index, arm64 } = await seedSeveral('child/app');
    await seedManifest(bucket, 'child/app', index);
    const text = await textOf(`/r/child/app@${arm64.digest}`);
    expect(text).toContain(`docker pull registry.example/child/app@${arm64.digest}`);
    expect(text).toContain('made 2');
    expect(text).toContain('A=config');
    expect(await costOf(`/r/child/app@${arm64.digest}`)).toBe(2);
    const list = await textOf(`/r/child/app@${index.digest}`);
    expect(list).toContain(`href="/r/child/app@${arm64.digest}"`);
    expect(await costOf(`/r/child/app@${index.digest}`)).toBe(1);
    expect(await costOf(`/r/child/app@${arm64.digest}?show=referrers`)).toBe(2);
  });

  it('shows who signed, of a signature with a bundle, in two reads', async () => {
    const bundle = bytesOf(JSON.stringify({ verificationMaterial: { publicKey: { hint: 'x' } } }));
    const digest = await seedBlob(bucket, bundle);
    const subject = layerDigest('5');
    const bytes = bytesOf(
      JSON.stringify({
        schemaVersion: 2,
        artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
        config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: layerDigest('4'), size: 2 },
        layers: [{ mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json', digest, size: bundle.length }],
        subject: { mediaType: 'x', digest: subject, size: 1 },
      }),
    );
    const form = { form: 'oci-manifest' as const, bytes, digest: await hash(bytes) };
    await seedManifest(bucket, 'bundle/app', form);
    const text = await textOf(`/r/bundle/app@${form.digest}`);
    expect(wordsOf(text)).toContain('a key that the signature does not name (claimed, not verified here)');
    expect(text).toContain(`href="/r/bundle/app@${subject}"`);
    expect(await costOf(`/r/bundle/app@${form.digest}`)).toBe(2);
    await bucket.delete(blobKey(PUBLIC_REALM, digest));
    expect((await directEdge(bucket)(`/r/bundle/app@${form.digest}`)).status).toBe(200);
  });

  it('is a 404 that links its repository, if there is no such manifest', async () => {
    await seedTagList(bucket, 'gone/app', ['1']);
    const response = await directEdge(bucket)(`/r/gone/app@${layerDigest('9')}`);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('<a href="/r/gone/app">All tags of gone/app</a>');
    expect((await directEdge(bucket)(`/r/gone/none@${layerDigest('9')}`)).status).toBe(404);
    expect((await directEdge(bucket)('/r/gone/app@sha256:x')).status).toBe(404);
  });

  it('shows what is no manifest of a known kind', async () => {
    const bytes = bytesOf('no json');
    const digest = await hash(bytes);
    await bucket.put(manifestKey(nameOf('odd/manifest'), digest), bytes);
    expect((await directEdge(bucket)(`/r/odd/manifest@${digest}`)).status).toBe(200);
  });
});

describe('links in what an image says', () => {
  it('lead to the web alone, and give nothing to the other site', async () => {
    const Labels = {
      source: 'https://git.example/team/app',
      script: 'javascript:alert(1)',
      disguised: 'https://registry.example@evil.example/',
      more: 'https://a.example/" onclick="x',
      sentence: 'see https://a.example/',
    };
    await seedTag(bucket, 'links/app', '1', [await seedImage(bucket, { ...AMD64, config: { Labels }, history: [] })]);
    const text = await textOf('/r/links/app:1');
    const outside = Array.from(text.matchAll(/<a [^>]*href="(?!\/|#)([^"]*)"[^>]*>/g), ([link]) => link);
    expect(outside).toEqual(['<a href="https://git.example/team/app" rel="nofollow noopener noreferrer ugc">']);
    expect(text).not.toMatch(/href="javascript:/);
  });
});
