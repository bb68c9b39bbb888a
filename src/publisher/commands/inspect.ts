import type { Command } from 'commander';
import type { Digest } from '../../registry/digest.ts';
import { reasonRow } from '../../registry/errors.ts';
import { referrersKey } from '../../registry/keys.ts';
import { type Form, FORM_TITLE, isListForm } from '../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { formatPlatform } from '../../registry/platform.ts';
import { realmOf } from '../../registry/realms.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import { decodeReferrers } from '../../registry/referrers.ts';
import { addBucketOptions, type BucketOptions, type OpenBucket, withBucket } from '../cli/bucket-options.ts';
import type { Environment } from '../cli/environment.ts';
import { formOfContent, type ManifestLinks, readLinks } from '../../manifest/links.ts';
import { readObject } from '../../bucket/read-object.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { type ImageName, parseImageName } from '../cli/image-name.ts';
import { shortDigest } from '../publish/report.ts';
import { requireManifest, readStoredTag, readTagList } from './stored.ts';
import type { OpenTarget } from '../stores/target.ts';
import { formatBytes } from '../../registry/values/byte-size.ts';
import { formatCount, paint, printJson, printLines, tableLines } from '../cli/terminal-text.ts';

/** Adds `gantry inspect`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  addBucketOptions(
    program
      .command('inspect')
      .description(
        'show a tag with its forms, digests, platforms and reasons for missing forms; a manifest; or a repository',
      )
      .argument('<name[:tag|@digest]>', 'the tag, manifest or repository'),
  )
    .option('--raw', 'print the exact bytes of the manifest; for a tag, those of its first published form')
    .addHelpText(
      'after',
      `
Examples:
  $ gantry inspect library/busybox:latest
  $ gantry inspect library/busybox:latest --json | jq -r '.forms[] | select(.form == "docker-schema1").digest'
  $ gantry inspect library/busybox@sha256:… --raw

Exit codes: 0 shown, 1 not found or damaged, 2 usage error.`,
    )
    .action((text: string, options: BucketOptions & { readonly raw?: true }) => {
      const image = parseImageName(text);
      return withBucket(options, openTarget, environment, async (bucket) => {
        if (options.raw === true) {
          process.stdout.write(await readRaw(bucket, image));
          return;
        }
        const shown =
          image.kind === 'tag'
            ? await showTag(bucket, image.name, image.tag)
            : image.kind === 'digest'
              ? await showManifest(bucket, image.name, image.digest)
              : await showRepository(bucket, image.name);
        if (options.json === true) printJson(shown.data);
        else printLines(shown.lines);
      });
    });
}

/** The bytes for `--raw`. Throws {@link CommandError}: a repository has no manifest of its own. */
async function readRaw({ target: { store } }: OpenBucket, image: ImageName): Promise<Uint8Array> {
  if (image.kind === 'digest') return (await requireManifest(store, image.name, image.digest)).bytes;
  if (image.kind === 'repository') throw usageError('--raw needs a tag or a digest', `Write ${image.name}:TAG.`);
  const { record, manifests } = await readStoredTag(store, image.name, image.tag);
  const bytes =
    manifests[
      Math.max(
        0,
        record.forms.findIndex(({ source }) => source.kind === 'published'),
      )
    ];
  if (bytes === undefined) throw new CommandError(`${image.name}:${image.tag} has no manifest`);
  return bytes;
}

/** The output, as JSON and as text. */
interface Shown {
  readonly data: object;
  readonly lines: readonly string[];
}

async function showTag({ target, realms }: OpenBucket, name: RepositoryName, tag: Tag): Promise<Shown> {
  const { record, manifests } = await readStoredTag(target.store, name, tag);
  const realm = realmOf(realms, name);
  const forms = record.forms.map(({ form, mediaType, digest, length, source, platform, zstd }, index) => ({
    form,
    mediaType,
    digest,
    size: length,
    source: source.kind,
    ...(source.kind === 'derived' ? { from: source.from } : {}),
    ...(platform === undefined ? {} : { platform: formatPlatform(platform) }),
    ...(zstd && { zstd }),
    ...contentsOf(form, readLinks(manifests[index] ?? new Uint8Array())),
  }));
  const missing = record.missing.map(({ form, reason, platform }) => ({
    form,
    reason,
    message: reasonRow(reason).message,
    ...(platform === undefined ? {} : { platform: formatPlatform(platform) }),
  }));
  const referrers: Descriptor[] = [];
  for (const { digest } of forms) referrers.push(...(await readReferrers(target.store, name, digest)));
  const rows = [
    ...forms.map((one) => [
      one.source === 'published' ? paint('good', 'published') : 'derived',
      one.zstd === true ? `${titleOf(one)}, zstd` : titleOf(one),
      formatBytes(one.size),
      one.from !== undefined ? `${one.digest} from ${shortDigest(one.from)}` : one.digest,
    ]),
    ...missing.map((one) => [paint('doubtful', 'missing'), titleOf(one), '', `${one.message} (${one.reason})`]),
  ];
  // Schema 1 repeats layers and has no sizes, so another form is preferred.
  const described = forms.find(({ layers, form }) => layers !== undefined && form !== 'docker-schema1') ?? forms[0];
  return {
    data: { name, tag, realm, updated: record.updated, forms, missing, referrers },
    lines: [
      `${paint('strong', `${name}:${tag}`)}  moved ${record.updated} · realm ${realm} · ${target.title}`,
      ...tableLines(rows),
      ...(described === undefined ? [] : contentLines(described)),
      ...referrerLines(referrers),
    ],
  };
}

async function showManifest({ target }: OpenBucket, name: RepositoryName, digest: Digest): Promise<Shown> {
  const { bytes, mediaType } = await requireManifest(target.store, name, digest);
  const links = readLinks(bytes);
  const form = formOfContent(bytes);
  const contents = form === null ? {} : contentsOf(form, links);
  const referrers = await readReferrers(target.store, name, digest);
  const subject = links?.subject;
  const data = {
    name,
    digest,
    form,
    mediaType,
    size: bytes.length,
    ...(links?.artifactType === undefined ? {} : { artifactType: links.artifactType }),
    ...(subject === undefined ? {} : { subject }),
    ...contents,
    referrers,
  };
  return {
    data,
    lines: [
      `${paint('strong', `${name}@${digest}`)}  ${target.title}`,
      ...tableLines([
        ['form', form === null ? 'unknown' : FORM_TITLE[form]],
        ['media type', mediaType ?? 'unknown'],
        ['size', formatBytes(bytes.length)],
        ...(subject === undefined ? [] : [['subject', subject]]),
      ]),
      ...contentLines(contents),
      ...referrerLines(referrers),
    ],
  };
}

async function showRepository({ target, realms }: OpenBucket, name: RepositoryName): Promise<Shown> {
  const tags = await readTagList(target.store, name);
  const realm = realmOf(realms, name);
  const rows = tags.map(({ tag, summary }) => [tag, summary?.updated ?? '', summary?.platforms.join(', ') ?? '']);
  return {
    data: { name, realm, tags: tags.map(({ tag, summary }) => ({ tag, ...summary })) },
    lines: [
      `${paint('strong', name)}  ${formatCount(tags.length, 'tag')} · realm ${realm} · ${target.title}`,
      ...tableLines(rows),
    ],
  };
}

/** The contents of a manifest: layers (base first in schema 2, newest first in schema 1) or other manifests. */
interface Contents {
  readonly config?: Digest;
  readonly layers?: readonly { readonly digest: Digest; readonly size: number | undefined }[];
  readonly manifests?: readonly { readonly digest: Digest; readonly platform: string | undefined }[];
}

function contentsOf(form: Form, links: ManifestLinks | null): Contents {
  if (links === null) return {};
  const { children, config, layers } = links;
  if (isListForm(form)) {
    return {
      manifests: children.map(({ digest, platform }) => ({
        digest,
        platform: platform === undefined ? undefined : formatPlatform(platform),
      })),
    };
  }
  return {
    ...(config === undefined ? {} : { config: config.digest }),
    layers: layers.map(({ digest, size }) => ({ digest, size })),
  };
}

function contentLines({ config, layers = [], manifests = [] }: Contents): string[] {
  const rows = [
    ...(config === undefined ? [] : [['config', '', config]]),
    ...layers.map(({ digest, size }) => ['layer', size === undefined ? '' : formatBytes(size), digest]),
    ...manifests.map(({ digest, platform }) => ['image', platform ?? '', digest]),
  ];
  return rows.length === 0 ? [] : ['', ...tableLines(rows)];
}

function referrerLines(referrers: readonly Descriptor[]): string[] {
  const rows = referrers.map(({ digest, artifactType, mediaType, size }) => [
    'referrer',
    artifactType ?? mediaType,
    formatBytes(size),
    digest,
  ]);
  return rows.length === 0 ? [] : ['', ...tableLines(rows)];
}

async function readReferrers(
  store: OpenBucket['target']['store'],
  name: RepositoryName,
  digest: Digest,
): Promise<readonly Descriptor[]> {
  const object = await readObject(store, referrersKey(name, digest));
  return object === null ? [] : decodeReferrers(object.bytes);
}

function titleOf({ form, platform }: { readonly form: Form; readonly platform?: string }): string {
  return platform === undefined ? FORM_TITLE[form] : `${FORM_TITLE[form]} ${platform}`;
}
