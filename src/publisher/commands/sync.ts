import { type Command, InvalidArgumentError } from 'commander';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { EXIT } from '../cli/errors.ts';
import type { Publisher, PublisherOptions } from '../publish/publish.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Options extends BucketOptions {
  readonly dryRun?: true;
  readonly full?: true;
  readonly jobs?: number;
}

/** Tags that one question to the edge names at most. */
const PURGED_AT_ONCE = 500;

/** Adds `gantry sync`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  addBucketOptions(
    program
      .command('sync')
      .description('bring many repositories up to date, from registries and from trees of Pulp 2')
      .argument('<file>', 'what to sync: YAML, see below'),
  )
    .option('--dry-run', 'say what would be written and pruned, and write nothing')
    .option('--full', 'publish every tag anew, also those that did not move')
    .option('--jobs <n>', 'blobs sent at once (default: 6)', readJobs)
    .addHelpText(
      'after',
      `
The file:
  defaults:                              # optional: any setting below, for all
    platforms: [linux/amd64, linux/arm64]
  repositories:
    - from: docker://docker.io/library/busybox
      to: mirror/busybox                 # default: its name there; * stands for that name
      tags:                              # default: all; a list of globs will do as well
        glob: ['1.*', '!*-musl']
        regex: '^[0-9.]+$'
        semver: '>=1.30 <2'
        newest: 5                        # highest versions of what is left
      prune: missing                     # none (default), missing, unselected
      recompress: zstd                   # gzip copies for old clients: zstd, all
      referrers: true                    # signatures and attestations, too
      schema1: true                      # ask for schema 1 beside what else there is
      tls-verify: true
    - from: pulp2:/var/lib/pulp/published/docker
      repositories: ['rhel7/*']          # of a whole tree: globs over names
      to: legacy/*

A tag that did not move costs one request (HEAD). Signatures that belong to an image by cosign's tags are looked for each time; referrers that
came later, and other settings, are seen by --full. Run it from cron; logins are those of docker and podman.

Examples:
  $ gantry sync sync.yaml --dry-run
  $ gantry sync sync.yaml --to s3://bucket --json

Exit code: 0 all is up to date, 1 something failed (it is listed; all else was done), 2 wrong usage, 130 interrupted.`,
    )
    .action((file: string, options: Options) => run(file, options, openTarget, environment));
}

async function run(file: string, options: Options, openTarget: OpenTarget, environment: Environment): Promise<void> {
  const edge = readEdge(environment.variables);
  const [{ readSyncConfig }, { openSyncSources }, { sync, hasFailures }, { syncLines }] = await Promise.all([
    import('../sync/config.ts'),
    import('../sync/sources.ts'),
    import('../sync/sync.ts'),
    import('../sync/report.ts'),
  ]);
  const entries = await readSyncConfig(file);
  const [{ showProgress }, { abortOnInterrupt }, { terminalWidth }] = await Promise.all([
    import('../cli/progress-bars.ts'),
    import('../cli/interrupt.ts'),
    import('../cli/terminal-text.ts'),
  ]);
  const stop = new AbortController();
  const signal = AbortSignal.any([abortOnInterrupt(), stop.signal]);
  const json = options.json === true;
  const dryRun = options.dryRun === true;
  const sources = openSyncSources({ env: environment.variables, signal });
  try {
    const opening = sources.jobs(entries);
    // Told when they are needed: the bucket is opened meanwhile.
    opening.catch(() => undefined);
    await withBucket(options, openTarget, environment, async ({ target, realms }) => {
      const display = showProgress({ json });
      const moved: { name: string; tag: string }[] = [];
      try {
        let publisher: Promise<Publisher> | undefined;
        const report = await sync(await opening, {
          store: target.store,
          publisher: () => {
            publisher ??= openPublisher({
              keyFile: environment.keyFile,
              store: target.store,
              realms,
              onEvent: display.onEvent,
              signal,
              ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
            });
            // Without one nothing can be written, whichever tag asked first.
            publisher.catch((error: unknown) => {
              stop.abort(error);
            });
            return publisher;
          },
          dryRun,
          full: options.full === true,
          onEvent: display.onEvent,
          onTag: ({ name, tag, what }) => {
            if (what === 'moved' || what === 'pruned' || what === 'new') moved.push({ name, tag });
            if (json) process.stdout.write(`${JSON.stringify({ event: 'tag', name, tag, what })}\n`);
          },
          signal,
        });
        display.clear();
        process.stdout.write(
          json
            ? `${JSON.stringify({ event: 'result', ...report })}\n`
            : `${[`sync · ${target.title}`, ...syncLines(report, terminalWidth())].join('\n')}\n`,
        );
        if (hasFailures(report)) process.exitCode = EXIT.failed;
      } finally {
        display.clear();
        // Also where the rest was cut off: what was written is to be seen.
        if (edge !== undefined && !dryRun) {
          const { purgeEdge } = await import('../publish/purge.ts');
          for (let at = 0; at < moved.length; at += PURGED_AT_ONCE) {
            const trouble = await purgeEdge(edge, moved.slice(at, at + PURGED_AT_ONCE));
            if (trouble !== undefined) display.onEvent({ event: 'warning', message: trouble });
          }
        }
      }
    });
  } finally {
    await sources.close();
  }
}

/** Reads the signing key, or makes it, and opens the publisher: loaded when there is something to write. */
async function openPublisher({
  keyFile,
  ...options
}: Pick<PublisherOptions, 'store' | 'realms' | 'jobs' | 'onEvent' | 'signal'> &
  Pick<Environment, 'keyFile'>): Promise<Publisher> {
  const [{ createPublisher }, { loadOrMakeKey }, { createSigner }] = await Promise.all([
    import('../publish/publish.ts'),
    import('../publish/key-file.ts'),
    import('../../manifest/signing/jws.ts'),
  ]);
  const { key, made } = await loadOrMakeKey(keyFile);
  if (made) process.stderr.write(`made a signing key: ${keyFile}\n`);
  return createPublisher({ ...options, signer: createSigner(key) });
}

function readJobs(text: string): number {
  const jobs = Number(text);
  if (!Number.isSafeInteger(jobs) || jobs < 1 || jobs > 64)
    throw new InvalidArgumentError('Give a number from 1 to 64.');
  return jobs;
}
