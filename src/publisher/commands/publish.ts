import { Command, InvalidArgumentError } from 'commander';
import { type Platform, formatPlatform, parsePlatform } from '../../registry/platform.ts';
import { addBucketOptions, type BucketOptions, JSON_EVENTS, parseJobs, withBucket } from '../cli/bucket-options.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { addNotifyOption, type NotifyOption, openNotifier } from '../cli/notify-option.ts';
import { publishedDigests } from '../../registry/records.ts';
import { parseTagged, refuseHost } from '../cli/image-name.ts';
import { usageError } from '../cli/errors.ts';
import { readCreds, VISIBLE } from '../cli/stdin-credentials.ts';
import { printJson, printLines, printMessage } from '../cli/terminal-text.ts';
import type { Recompress } from '../publish/layers.ts';
import { SOURCES } from '../sources/open.ts';
import type { ImageSource } from '../../bucket/image-source.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Options extends BucketOptions, NotifyOption {
  readonly dryRun?: true;
  readonly check?: true;
  readonly replace?: true;
  readonly force?: true;
  readonly platform?: readonly Platform[];
  readonly recompress?: Recompress;
  readonly rewriteOpaque?: true;
  readonly referrers: boolean;
  readonly jobs?: number;
  readonly compat?: true;
  readonly nameAsGiven?: true;
  readonly creds?: string;
  readonly credsStdin?: true;
  readonly srcTlsVerify?: boolean;
  readonly maxUnpacked?: number;
  readonly verifySignature?: string;
}

/** Adds `gantry publish`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  const command = program
    .command('publish')
    .description('publish an image to the bucket, in every form that a client can pull')
    .argument('<source>', 'the image to publish, in skopeo’s syntax')
    .argument('<name:tag>', 'the name and tag to publish it under, without a host');
  // `--recompress` means `--recompress=zstd`. An option with an optional value would otherwise consume the source after
  // it.
  command.parseOptions = (args) => Command.prototype.parseOptions.call(command, args.map(spellOut));
  addNotifyOption(addBucketOptions(command, JSON_EVENTS))
    .option('--dry-run', 'show what would be written, and write nothing')
    .option('--check', 'read and hash what the bucket already has, and send again what is damaged or unreadable')
    .option('--replace', 'replace the tag: keep no form that was published before')
    .option('--force', 'move an immutable tag, where the rule that makes it immutable allows that')
    .option(
      '--platform <os/arch[/variant]>',
      'publish only this platform of a list (repeat the option for several)',
      addPlatform,
    )
    .option(
      '--recompress [which]',
      'add gzip copies of zstd layers for the derived forms; =all adds them for uncompressed layers too',
      readRecompress,
    )
    .option(
      '--rewrite-opaque',
      'in schema 1, replace opaque whiteouts by whiteouts of single files, which Docker 1.6 to 1.8 reads',
    )
    .option('--no-referrers', 'leave out signatures, attestations and other referrers of the image')
    .option('--jobs <n>', 'blobs sent in parallel (default: 6)', parseJobs)
    .option('--compat', 'convert to schema 1 every image that docker/distribution converts, even an invalid one')
    .option('--name-as-given', 'publish under a name whose first part looks like the host of a registry')
    .option('--creds-stdin', 'read USER:PASSWORD for the source registry, or the download, from standard input')
    .option('--creds <user:password>', `the same as an argument (${VISIBLE} --creds-stdin)`)
    .option('--src-tls-verify <bool>', 'false: accept plain http and any certificate from the source', readBoolean)
    .option(
      '--verify-signature <file>',
      'publish only images with a valid cosign signature: a public key in PEM, or a policy in JSON (see below)',
    )
    .option(
      '--max-unpacked <bytes>',
      'the limit for the unpacked size of an archive, e.g. 20GiB (default: 64GiB, and 200 times its size)',
      readSize,
    )
    .addHelpText(
      'after',
      `
Sources:
${Object.values(SOURCES)
  .map(({ syntax, title }) => `  ${syntax.padEnd(33)} ${title}`)
  .join('\n')}

A policy lists the accepted signers. One of them must have signed. Paths are relative to the policy file:
  { "keys": ["cosign.pub"],
    "keyless": [{ "issuer": "https://token.actions.githubusercontent.com",
                  "identity": "https://github.com/team/app/.github/workflows/release.yml@refs/heads/main",
                  "trustedRoot": "trusted_root.json" }] }

Blobs that are in the bucket are not sent again. An interrupted run continues with the missing
layers, and with the missing parts of layers above 64 MiB.
If GANTRY_EDGE_URL and PURGE_TOKEN are set, the tag is purged from the cache of that edge.
For --to s3://BUCKET set AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name an AWS
profile with --profile.
All variables: docs/reference/environment.md.

Examples:
  $ skopeo copy --format v2s2 docker://docker.io/library/busybox:latest dir:busybox
  $ gantry publish dir:busybox library/busybox:latest
  $ gantry publish oci:build/layout:v1 team/app:v1 --to s3://bucket --dry-run
  $ gantry publish oci:build/layout:v1 team/app:v1 --recompress --platform linux/amd64 --platform linux/arm64

Exit codes: 0 published or unchanged, 1 failed, 2 usage error, 130 interrupted.
After a failure the tag is either unchanged or completely updated.`,
    )
    .action((source: string, image: string, options: Options) => run(source, image, options, openTarget, environment));
}

async function run(
  sourceText: string,
  imageText: string,
  options: Options,
  openTarget: OpenTarget,
  environment: Environment,
): Promise<void> {
  const { name, tag } = parseTagged(imageText);
  if (options.nameAsGiven !== true) refuseHost(name);
  const edge = readEdge(environment.variables);
  const warnings: string[] = [];
  const notifier = await openNotifier(options, environment.variables, (message) => warnings.push(message));
  const [
    { openSource },
    { createPublisher, DEFAULT_JOBS },
    { loadOrMakeKey },
    { createSigner },
    { showProgress },
    { abortOnInterrupt },
    { publishLines },
    { pullAddress },
  ] = await Promise.all([
    import('../sources/open.ts'),
    import('../publish/publish.ts'),
    import('../publish/key-file.ts'),
    import('../../manifest/signing/jws.ts'),
    import('../cli/progress-bars.ts'),
    import('../cli/interrupt.ts'),
    import('../publish/report.ts'),
    import('../cli/pull-address.ts'),
  ]);
  const signal = abortOnInterrupt();
  const { platform: platforms = [], srcTlsVerify, maxUnpacked } = options;
  const creds = await credsOf(sourceText, options);
  const json = options.json === true;
  const source = await openSource(sourceText, {
    env: environment.variables,
    platforms,
    signal,
    onMessage: printMessage,
    ...(creds === undefined ? {} : { creds }),
    ...(srcTlsVerify === undefined ? {} : { tlsVerify: srcTlsVerify }),
    ...(maxUnpacked === undefined ? {} : { maxUnpacked }),
  });
  try {
    if (options.verifySignature !== undefined) await verifySignature(options.verifySignature, source, signal);
    const { key, made } = await loadOrMakeKey(environment.keyFile);
    if (made) printMessage(`created a signing key: ${environment.keyFile}`);
    await withBucket({ ...options, create: true }, openTarget, environment, async ({ target, realms }) => {
      const display = showProgress({ json });
      try {
        const publisher = await createPublisher({
          store: target.store,
          realms,
          signer: createSigner(key),
          jobs: options.jobs ?? DEFAULT_JOBS,
          check: options.check === true,
          onEvent: display.onEvent,
          signal,
        });
        const result = await publisher.publish(source, {
          name,
          tag,
          platforms,
          replace: options.replace === true,
          force: options.force === true,
          recompress: options.recompress,
          rewriteOpaque: options.rewriteOpaque === true,
          referrers: options.referrers,
          dryRun: options.dryRun === true,
          mode: options.compat === true ? 'compat' : 'strict',
        });
        // An earlier run may have stopped between a tag and the lists.
        if (!result.dryRun) await publisher.reconcile(name);
        display.clear();
        for (const message of result.warnings) display.onEvent({ event: 'warning', message });
        if (edge !== undefined && !result.dryRun) {
          const { purgeEdge } = await import('../publish/purge.ts');
          const trouble = await purgeEdge(edge, [{ name, tag }], signal);
          if (trouble !== undefined) display.onEvent({ event: 'warning', message: trouble });
        }
        const { change } = result;
        if (!result.dryRun && change !== 'unchanged')
          await notifier?.send([{ name, tag, change, digests: publishedDigests(result) }]);
        for (const message of warnings) display.onEvent({ event: 'warning', message });
        const pull = result.dryRun ? null : await pullAddress(options, edge);
        if (json)
          printJson({ event: 'result', ...result, ...(pull !== null && { pull: `${pull.host}/${name}:${tag}` }) });
        else printLines(publishLines(result, target.title, pull));
      } finally {
        display.clear();
      }
    });
  } finally {
    await source.close();
  }
}

/** Throws {@link CommandError} unless the image is signed as the policy demands. */
async function verifySignature(policy: string, source: ImageSource, signal: AbortSignal): Promise<void> {
  const [{ readSignaturePolicy }, { requireSignatures }] = await Promise.all([
    import('../signatures/policy.ts'),
    import('../signatures/verify.ts'),
  ]);
  const signers = await requireSignatures(source, await readSignaturePolicy(policy), signal);
  printMessage(`signed by ${signers.join(', ')}`);
}

async function credsOf(source: string, { creds, credsStdin }: Options): Promise<string | undefined> {
  if (credsStdin !== true) return creds;
  if (creds !== undefined) throw usageError('--creds and --creds-stdin are both given', 'Leave out --creds.');
  if (!/^(?:docker|https?):\/\//.test(source))
    throw usageError(
      '--creds-stdin is only for a registry or a download',
      'Leave it out, or write docker://HOST/NAME:TAG.',
    );
  return readCreds();
}

function spellOut(argument: string): string {
  return argument === '--recompress' ? '--recompress=zstd' : argument;
}

function addPlatform(text: string, before: readonly Platform[] | undefined): readonly Platform[] {
  const platform = parsePlatform(text);
  if (platform === null || formatPlatform(platform) !== text)
    throw new InvalidArgumentError('Write os/architecture, e.g. linux/arm64 or linux/arm/v7.');
  return [...(before ?? []), platform];
}

function readRecompress(text: string): Recompress {
  if (text !== 'zstd' && text !== 'all') throw new InvalidArgumentError('Write --recompress or --recompress=all.');
  return text;
}

function readBoolean(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('Write true or false.');
  return text === 'true';
}

const UNITS = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;

function readSize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,15})(KiB|MiB|GiB|TiB|)$/.exec(text) ?? [];
  const size = digits === '' ? NaN : Number(digits) * UNITS[unit as keyof typeof UNITS];
  if (!Number.isSafeInteger(size) || size === 0)
    throw new InvalidArgumentError('Write a number of bytes, or one with KiB, MiB, GiB or TiB, e.g. 20GiB.');
  return size;
}
