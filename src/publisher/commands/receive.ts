import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { addNotifyOption, type NotifyOption, openNotifier } from '../cli/notify-option.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { DEFAULT_LISTEN, type ListenAddress, parseListenAddress } from '../cli/listen-address.ts';
import { formatCount, printJson, printLines, printMessage } from '../cli/terminal-text.ts';
import type { PublishResult } from '../publish/request.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Options extends BucketOptions, NotifyOption {
  readonly listen: ListenAddress;
  readonly username: string;
  readonly passwordStdin?: true;
  readonly allowDelete?: true;
  readonly recompress?: true;
  readonly maxBlob: number;
}

/** Adds `gantry receive`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  const command = addBucketOptions(
    program
      .command('receive')
      .description('accept pushes from docker, podman, skopeo and others, and publish the pushed images')
      .argument('[command...]', 'after --: a command to run while the endpoint listens'),
    'print JSON, one event a line',
  );
  addNotifyOption(command)
    .addOption(
      new Option('--listen <address:port>', 'where to listen; port 0: any free port')
        .argParser(parseListenAddress)
        .default(DEFAULT_LISTEN, `${DEFAULT_LISTEN.host}:${String(DEFAULT_LISTEN.port)}`),
    )
    .option('--username <name>', 'the user name for clients, with --password-stdin', 'gantry')
    .option('--password-stdin', 'read the password for clients from standard input')
    .option('--allow-delete', 'let clients delete tags')
    .option('--recompress', 'make gzip copies of zstd layers for the derived forms')
    .option('--max-blob <GiB>', 'the largest blob that is accepted', readGib, 64)
    .addHelpText(
      'after',
      `
The push of a tag is answered when the tag is published in every form, as by \`gantry publish\`. An interrupted push
publishes nothing. Without a password the endpoint listens on loopback addresses only. The command after -- finds the
address in the variable GANTRY_PUSH.

Examples:
  $ gantry receive
  $ docker push 127.0.0.1:5000/team/app:1
  $ gantry receive --to s3://bucket -- docker push 127.0.0.1:5000/team/app:1
  $ gantry receive --listen 127.0.0.1:0 -- sh -c 'docker push $GANTRY_PUSH/team/app:1'
  $ gantry receive --listen 0.0.0.0:5000 --password-stdin < password.txt

Exit code: 0 ended by Ctrl-C, or the exit code of the command after --; 1 failed, 2 usage error.`,
    )
    .action((command: string[], options: Options) => run(command, options, openTarget, environment));
}

async function run(
  command: readonly string[],
  options: Options,
  openTarget: OpenTarget,
  environment: Environment,
): Promise<void> {
  const edge = readEdge(environment.variables);
  const notifier = await openNotifier(options, environment.variables, (message) => printMessage(`warning: ${message}`));
  const [{ openPushEndpoint, refuseOpenAddress }, { abortOnInterrupt }] = await Promise.all([
    import('../receive/open.ts'),
    import('../cli/interrupt.ts'),
  ]);
  const { json = false } = options;
  refuseOpenAddress(options.listen.host, options.passwordStdin === true);
  const login = options.passwordStdin === true ? { user: options.username, password: await readPassword() } : null;
  const signal = abortOnInterrupt();
  await withBucket({ ...options, create: true }, openTarget, environment, async ({ target, realms }) => {
    const endpoint = await openPushEndpoint({
      store: target.store,
      realms,
      keyFile: environment.keyFile,
      edge,
      notifier,
      ...options.listen,
      login,
      allowDelete: options.allowDelete === true,
      recompress: options.recompress === true ? 'zstd' : undefined,
      maxBlob: options.maxBlob,
      signal,
      onMessage: printMessage,
      onPublished: (result) => {
        if (json) printJson({ event: 'published', ...result });
        else printLines([publishedLine(result)]);
      },
    });
    const { address } = endpoint;
    try {
      if (json) printJson({ event: 'listening', address });
      else printMessage(`gantry receive listens on ${address} and publishes into the ${target.title}`);
      if (command.length > 0) process.exitCode = await runCommand(command, address, signal);
      else await aborted(signal);
    } finally {
      await endpoint.close();
    }
  });
}

/** The line for a tag that was pushed. */
export function publishedLine({ name, tag, change, forms }: PublishResult): string {
  return `${name}:${tag} ${change} (${formatCount(forms.length, 'manifest')})`;
}

async function readPassword(): Promise<string> {
  const password = (await text(process.stdin)).replace(/\r?\n$/, '');
  if (password !== '') return password;
  throw usageError('standard input has no password', 'Write it there: gantry receive --password-stdin < password.txt');
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener(
      'abort',
      () => {
        resolve();
      },
      { once: true },
    );
  });
}

/** Runs a command, with the endpoint's address in `GANTRY_PUSH`, and gives its exit code, as shells report it. Throws {@link CommandError} if it cannot be started. */
async function runCommand(
  [program = '', ...args]: readonly string[],
  address: string,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    // The terminal's Ctrl-C reaches the child by itself; a signal to this process alone is passed on.
    const env = { ...process.env, GANTRY_PUSH: address };
    const child = spawn(program, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    const stop = (): void => void child.kill('SIGTERM');
    signal.addEventListener('abort', stop, { once: true });
    child.once('error', (cause) => {
      reject(new CommandError(`${program} cannot be run`, { cause, hint: 'Is it installed, and on the PATH?' }));
    });
    child.once('exit', (code, name) => {
      signal.removeEventListener('abort', stop);
      resolve(code ?? 128 + (name === null ? 0 : constants.signals[name]));
    });
  });
}

function readGib(value: string): number {
  const gib = Number(value);
  if (!Number.isSafeInteger(gib) || gib < 1 || gib > 1024) {
    throw new InvalidArgumentError('Give a number of GiB from 1 to 1024.');
  }
  return gib;
}
