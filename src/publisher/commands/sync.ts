import { type Command, InvalidArgumentError, Option } from 'commander';
import { addBucketOptions, JSON_EVENTS, type BucketOptions, parseJobs, withBucket } from '../cli/bucket-options.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { addNotifyOption, type NotifyOption, openNotifier } from '../cli/notify-option.ts';
import { EXIT } from '../cli/errors.ts';
import { printJson, printLines, printMessage, terminalWidth } from '../cli/terminal-text.ts';
import type { TagChange } from '../notify/webhook.ts';
import type { Publisher, PublisherOptions } from '../publish/publish.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Options extends BucketOptions, NotifyOption {
  readonly dryRun?: true;
  readonly full?: true;
  readonly jobs?: number;
  readonly credsStdin?: true;
  readonly pruneLimit: number;
}

/** The default limit of the share of a repository's tags that is pruned. */
const PRUNE_LIMIT = 0.25;

/** What happened to tags that edges may have cached in another state. */
const PURGED: ReadonlySet<string> = new Set(['new', 'moved', 'referrers', 'pruned']);

/** Adds `gantry sync`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  const command = addBucketOptions(
    program
      .command('sync')
      .description('update many repositories from registries, from a Pulp 3, and from Pulp 2 trees')
      .argument('<file>', 'the configuration in YAML, see below'),
    JSON_EVENTS,
  );
  addNotifyOption(command)
    .option('--dry-run', 'show what would be written and pruned, and write nothing')
    .option('--full', 'publish every tag again, even unchanged ones')
    .addOption(
      new Option(
        '--prune-limit <percent>',
        'prune no repository that would lose a greater share of its tags; one tag may always be pruned',
      )
        .argParser(parseShare)
        .default(PRUNE_LIMIT, `${String(PRUNE_LIMIT * 100)}%`),
    )
    .option('--jobs <n>', 'blobs sent in parallel (default: 6)', parseJobs)
    .option('--creds-stdin', 'read credentials for registries from standard input, in lines HOST USER:PASSWORD')
    .addHelpText(
      'after',
      `
The file:
  defaults:                              # optional: any setting below, for all repositories
    platforms: [linux/amd64, linux/arm64]
  repositories:
    - from: docker://docker.io/library/busybox
      to: mirror/busybox                 # default: the source's name; * stands for it
      tags:                              # default: all; a list of globs is also accepted
        glob: ['1.*', '!*-musl']
        regex: '^[0-9.]+$'
        semver: '>=1.30 <2'
        newest: 5                        # the highest versions that remain
      prune: missing                     # none (default), missing, unselected
      retention:                         # or none (default): what goes of tags that are not synced any more
        tags: ['pr-*']                   # globs; default: all of them
        keep: 10                         # those that moved last stay
        older-than: 90d                  # those that moved since stay
      recompress: zstd                   # gzip copies for old clients: zstd, all
      referrers: true                    # also signatures and attestations
      schema1: true                      # also request schema 1
      tls-verify: true
      missing: registry                  # or any: a 404 of a plain web server also means a tag is gone
      verify-signature: cosign.pub       # or a policy, see gantry publish --help; none by default
    - from: pulp2:/var/lib/pulp/published/docker
      repositories: ['rhel7/*']          # for a whole tree: globs over names
      to: legacy/*
    - from: pulp3+https://pulp.example.com
      credentials: PULP_CREDENTIALS      # the variable with USER:PASSWORD; default: the login for the host
      repositories: ['apps/*']           # globs over the names that Pulp distributes; default: all
      private-realm: staff               # the realm that private ones must be in; default: any but public
      prune: missing                     # also repositories that Pulp deleted or renamed

An unchanged tag costs one HEAD request. If the registry has the referrers API, each of its manifests costs one more
request, which finds signatures that were added later. Cosign's tags are checked each time.
A repository of Pulp 3 costs one request if its version is that of the last sync.
Changed settings of an unchanged tag need --full.
Run it from cron; it uses the logins of docker and podman where --creds-stdin has none for the registry.

Examples:
  $ gantry sync sync.yaml --dry-run
  $ gantry sync sync.yaml --to s3://bucket --json

Exit codes: 0 everything is up to date, 1 some tags failed (they are listed, the others were synced),
2 usage error, 130 interrupted.`,
    )
    .action((file: string, options: Options) => run(file, options, openTarget, environment));
}

async function run(file: string, options: Options, openTarget: OpenTarget, environment: Environment): Promise<void> {
  const edge = readEdge(environment.variables);
  const warnings: string[] = [];
  const notifier = await openNotifier(options, environment.variables, (message) => warnings.push(message));
  const [{ readSyncConfig }, { openSyncSources }, { sync }, { hasFailures }, { syncLines }] = await Promise.all([
    import('../sync/config.ts'),
    import('../sync/sources.ts'),
    import('../sync/sync.ts'),
    import('../sync/outcome.ts'),
    import('../sync/report.ts'),
  ]);
  const entries = await readSyncConfig(file);
  const [{ showProgress }, { abortOnInterrupt }] = await Promise.all([
    import('../cli/progress-bars.ts'),
    import('../cli/interrupt.ts'),
  ]);
  const stop = new AbortController();
  const signal = AbortSignal.any([abortOnInterrupt(), stop.signal]);
  const json = options.json === true;
  const dryRun = options.dryRun === true;
  const credsByHost =
    options.credsStdin === true ? await (await import('../cli/stdin-credentials.ts')).readCredsByHost() : undefined;
  const sources = openSyncSources({
    env: environment.variables,
    signal,
    ...(credsByHost === undefined ? {} : { credsByHost }),
  });
  try {
    const opening = sources.jobs(entries);
    // An error is thrown when the sources are used; meanwhile the bucket is opened.
    opening.catch(() => undefined);
    await withBucket({ ...options, create: true }, openTarget, environment, async ({ target, realms }) => {
      const display = showProgress({ json });
      const moved: { name: string; tag: string }[] = [];
      const changes: TagChange[] = [];
      try {
        let publisher: Promise<Publisher> | undefined;
        const report = await sync(await opening, {
          store: target.store,
          realms,
          publisher: () => {
            publisher ??= openPublisher({
              keyFile: environment.keyFile,
              store: target.store,
              realms,
              onEvent: display.onEvent,
              signal,
              ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
            });
            // Without a publisher nothing can be written, so everything stops.
            publisher.catch((error: unknown) => {
              stop.abort(error);
            });
            return publisher;
          },
          dryRun,
          full: options.full === true,
          pruneLimit: options.pruneLimit,
          onEvent: display.onEvent,
          onTag: ({ name, tag, what, digests = [] }) => {
            if (PURGED.has(what)) moved.push({ name, tag });
            if (what === 'new' || what === 'moved') changes.push({ name, tag, change: what, digests });
            if (what === 'pruned') changes.push({ name, tag, change: 'deleted', digests });
            if (json) printJson({ event: 'tag', name, tag, what });
          },
          signal,
        });
        display.clear();
        if (json) printJson({ event: 'result', ...report });
        else printLines([`sync · ${target.title}`, ...syncLines(report, terminalWidth())]);
        if (hasFailures(report)) process.exitCode = EXIT.failed;
      } finally {
        display.clear();
        // Tags that were written are purged and announced even if the run failed.
        if (edge !== undefined && !dryRun) {
          const { purgeInParts } = await import('../publish/purge.ts');
          for (const message of await purgeInParts(edge, moved)) display.onEvent({ event: 'warning', message });
        }
        if (!dryRun) await notifier?.send(changes);
        for (const message of warnings) display.onEvent({ event: 'warning', message });
      }
    });
  } finally {
    await sources.close();
  }
}

/** A percentage as a share: `25%` or `25` is 0.25. */
function parseShare(text: string): number {
  const percent = /^\d{1,3}(?:\.\d+)?(?=%?$)/.exec(text);
  if (percent === null || Number(percent[0]) > 100)
    throw new InvalidArgumentError('Give a percentage from 0 to 100, such as 25%.');
  return Number(percent[0]) / 100;
}

/** Reads or creates the signing key, and creates the publisher. It runs only if there is something to write. */
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
  if (made) printMessage(`created a signing key: ${keyFile}`);
  return createPublisher({ ...options, signer: createSigner(key) });
}
