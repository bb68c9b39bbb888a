import { Command, InvalidArgumentError } from 'commander';
import { type Platform, formatPlatform, parsePlatform } from '../../registry/platform.ts';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { parseTagged } from '../cli/image-name.ts';
import type { Recompress } from '../publish/layers.ts';
import { SOURCES } from '../sources/open.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Options extends BucketOptions {
  readonly dryRun?: true;
  readonly replace?: true;
  readonly platform?: readonly Platform[];
  readonly recompress?: Recompress;
  readonly referrers: boolean;
  readonly jobs?: number;
  readonly compat?: true;
  readonly creds?: string;
  readonly srcTlsVerify?: boolean;
}

/** Adds `gantry publish`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  const command = program
    .command('publish')
    .description('put an image into the bucket, with every form that a client can pull')
    .argument('<source>', 'where the image is, as skopeo writes it')
    .argument('<name:tag>', 'what it is to be called, without a host');
  // As few words as possible for what is meant most often; an option with an optional value would else swallow the source that follows it.
  command.parseOptions = (args) => Command.prototype.parseOptions.call(command, args.map(spellOut));
  addBucketOptions(command)
    .option('--dry-run', 'say what would be written, and write nothing')
    .option('--replace', 'start the tag anew: no form stays that was published before')
    .option('--platform <os/arch[/variant]>', 'of a list, only this platform (several: once each)', addPlatform)
    .option(
      '--recompress [which]',
      'gzip copies of zstd layers for the derived forms; =all: of plain ones too',
      readRecompress,
    )
    .option('--no-referrers', 'leave out signatures, attestations and whatever else refers to the image')
    .option('--jobs <n>', 'blobs sent at once (default: 6)', readJobs)
    .option('--compat', 'convert to schema 1 whatever docker/distribution converts, broken images too')
    .option('--creds <user:password>', 'log in to the source registry with these')
    .option('--src-tls-verify <bool>', 'false: plain http and any certificate will do at the source', readBoolean)
    .addHelpText(
      'after',
      `
Sources:
${Object.values(SOURCES)
  .map(({ syntax, title }) => `  ${syntax.padEnd(30)} ${title}`)
  .join('\n')}

What is in the bucket is not sent again; a run that was cut off goes on with what is missing: whole layers, and parts of those above 64 MiB.
GANTRY_EDGE_URL and PURGE_TOKEN name an edge whose cache is told that the tag moved.

Examples:
  $ skopeo copy --format v2s2 docker://docker.io/library/busybox:latest dir:busybox
  $ gantry publish dir:busybox library/busybox:latest
  $ gantry publish oci:build/layout:v1 team/app:v1 --to s3://bucket --dry-run
  $ gantry publish oci:build/layout:v1 team/app:v1 --recompress --platform linux/amd64 --platform linux/arm64

Exit code: 0 published (or unchanged), 1 failed, 2 wrong usage, 130 interrupted. Whatever happens, the tag is as it was or as it was to be.`,
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
  const edge = readEdge(environment.variables);
  const [
    { openSource },
    { createPublisher, DEFAULT_JOBS },
    { loadOrMakeKey },
    { createSigner },
    { showProgress },
    { abortOnInterrupt },
    { publishLines },
  ] = await Promise.all([
    import('../sources/open.ts'),
    import('../publish/publish.ts'),
    import('../publish/key-file.ts'),
    import('../../manifest/signing/jws.ts'),
    import('../cli/progress-bars.ts'),
    import('../cli/interrupt.ts'),
    import('../publish/report.ts'),
  ]);
  const signal = abortOnInterrupt();
  const { platform: platforms = [], creds, srcTlsVerify } = options;
  const json = options.json === true;
  const source = await openSource(sourceText, {
    env: environment.variables,
    platforms,
    signal,
    onMessage: (message) => void process.stderr.write(`${message}\n`),
    ...(creds === undefined ? {} : { creds }),
    ...(srcTlsVerify === undefined ? {} : { tlsVerify: srcTlsVerify }),
  });
  try {
    const { key, made } = await loadOrMakeKey(environment.keyFile);
    if (made) process.stderr.write(`made a signing key: ${environment.keyFile}\n`);
    await withBucket(options, openTarget, environment, async ({ target, realms }) => {
      const display = showProgress({ json });
      try {
        const publisher = await createPublisher({
          store: target.store,
          realms,
          signer: createSigner(key),
          jobs: options.jobs ?? DEFAULT_JOBS,
          onEvent: display.onEvent,
          signal,
        });
        const result = await publisher.publish(source, {
          name,
          tag,
          platforms,
          replace: options.replace === true,
          recompress: options.recompress,
          referrers: options.referrers,
          dryRun: options.dryRun === true,
          mode: options.compat === true ? 'compat' : 'strict',
        });
        display.clear();
        for (const message of result.warnings) display.onEvent({ event: 'warning', message });
        if (edge !== undefined && !result.dryRun) {
          const { purgeEdge } = await import('../publish/purge.ts');
          const trouble = await purgeEdge(edge, [{ name, tag }], signal);
          if (trouble !== undefined) display.onEvent({ event: 'warning', message: trouble });
        }
        process.stdout.write(
          json
            ? `${JSON.stringify({ event: 'result', ...result })}\n`
            : `${publishLines(result, target.title).join('\n')}\n`,
        );
      } finally {
        display.clear();
      }
    });
  } finally {
    await source.close();
  }
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
  if (text !== 'zstd' && text !== 'all') throw new InvalidArgumentError('Write --recompress, or --recompress=all.');
  return text;
}

function readJobs(text: string): number {
  const jobs = Number(text);
  if (!Number.isSafeInteger(jobs) || jobs < 1 || jobs > 64)
    throw new InvalidArgumentError('Give a number from 1 to 64.');
  return jobs;
}

function readBoolean(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('Write true or false.');
  return text === 'true';
}
