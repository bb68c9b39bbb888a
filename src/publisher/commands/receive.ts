import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError } from 'commander';
import { addBucketOptions, type BucketOptions, withBucket } from '../cli/bucket-options.ts';
import { type Environment, readEdge } from '../cli/environment.ts';
import { CommandError } from '../cli/errors.ts';
import type { PublishResult } from '../publish/publish.ts';
import type { OpenTarget } from '../stores/target.ts';

interface Listen {
  readonly host: string;
  readonly port: number;
}

interface Options extends BucketOptions {
  readonly listen: Listen;
  readonly username: string;
  readonly passwordStdin?: true;
  readonly allowDelete?: true;
  readonly recompress?: true;
  readonly maxBlob: number;
}

const GIB = 1024 ** 3;

/** Adds `gantry receive`. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  addBucketOptions(
    program
      .command('receive')
      .description('take pushes from docker, podman, skopeo and others, and publish what they push')
      .argument('[command...]', 'after --: a command to run while the endpoint listens'),
    'print JSON, one event a line',
  )
    .option('--listen <address:port>', 'where to listen; port 0: any free port', readListen, {
      host: '127.0.0.1',
      port: 5000,
    })
    .option('--username <name>', 'the user that clients log in as, with --password-stdin', 'gantry')
    .option('--password-stdin', 'read the password that clients log in with from standard input')
    .option('--allow-delete', 'let clients delete tags')
    .option('--recompress', 'make gzip copies of zstd layers for the derived forms')
    .option('--max-blob <GiB>', 'the largest blob that is taken', readGib, 64)
    .addHelpText(
      'after',
      `
The push of a tag is answered when the tag is published in every form, as by \`gantry publish\`. A push that is cut off
publishes nothing. Without a password the endpoint listens on loopback addresses only.

Examples:
  $ gantry receive
  $ docker push 127.0.0.1:5000/team/app:1
  $ gantry receive --to s3://bucket -- docker push 127.0.0.1:5000/team/app:1
  $ gantry receive --listen 0.0.0.0:5000 --password-stdin < password.txt

Exit code: 0 ended by Ctrl-C, or the exit code of the command after --; 1 failed, 2 wrong usage.`,
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
  const [
    { isLoopback, startReceiver },
    { pushContext },
    { openUploads },
    { loadOrMakeKey },
    { createSigner },
    { abortOnInterrupt },
  ] = await Promise.all([
    import('../receive/server.ts'),
    import('../receive/context.ts'),
    import('../receive/uploads.ts'),
    import('../publish/key-file.ts'),
    import('../../manifest/signing/jws.ts'),
    import('../cli/interrupt.ts'),
  ]);
  const { host, port } = options.listen;
  if (options.passwordStdin !== true && !isLoopback(host)) {
    throw new CommandError(`${host} can be reached from other machines, and there is no password`, {
      kind: 'usage',
      hint: 'Give a password with --password-stdin, or listen on 127.0.0.1.',
    });
  }
  const login = options.passwordStdin === true ? { user: options.username, password: await readPassword() } : null;
  const signal = abortOnInterrupt();
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const { key, made } = await loadOrMakeKey(environment.keyFile);
  if (made) say(`made a signing key: ${environment.keyFile}`);
  await withBucket({ ...options, create: true }, openTarget, environment, async ({ target, realms }) => {
    const uploads = await openUploads({ maxSize: options.maxBlob * GIB });
    try {
      const context = pushContext({
        store: target.store,
        realms,
        signer: createSigner(key),
        uploads,
        allowDelete: options.allowDelete === true,
        recompress: options.recompress === true ? 'zstd' : undefined,
        signal,
        onPublished: async (result) => {
          for (const warning of result.warnings) say(`warning: ${warning}`);
          if (edge !== undefined) {
            const { purgeEdge } = await import('../publish/purge.ts');
            const trouble = await purgeEdge(edge, [{ name: result.name, tag: result.tag }], signal);
            if (trouble !== undefined) say(`warning: ${trouble}`);
          }
          process.stdout.write(
            options.json === true ? `${JSON.stringify({ event: 'published', ...result })}\n` : publishedLine(result),
          );
        },
      });
      const server = await startReceiver(context, { host, port, login, onFailure: say });
      const address = `${host.includes(':') ? `[${host}]` : host}:${String(server.port)}`;
      try {
        if (options.json === true) process.stdout.write(`${JSON.stringify({ event: 'listening', address })}\n`);
        else say(`gantry receive listens on ${address} and publishes into the ${target.title}`);
        if (command.length > 0) process.exitCode = await runCommand(command, signal);
        else await aborted(signal);
      } finally {
        await server.close();
      }
    } finally {
      await uploads.close();
    }
  });
}

function publishedLine({ name, tag, change, forms }: PublishResult): string {
  return `${name}:${tag} ${change} (${String(forms.length)} manifests)\n`;
}

async function readPassword(): Promise<string> {
  const password = (await text(process.stdin)).replace(/\r?\n$/, '');
  if (password !== '') return password;
  throw new CommandError('standard input has no password', {
    kind: 'usage',
    hint: 'Write it there: gantry receive --password-stdin < password.txt',
  });
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

/** Runs a command and gives its exit code, as shells report it. Throws {@link CommandError} if it cannot be started. */
async function runCommand([program = '', ...args]: readonly string[], signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    // The terminal's Ctrl-C reaches the child by itself; a signal to this process alone is passed on.
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
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

function readListen(value: string): Listen {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) {
    throw new InvalidArgumentError('Write ADDRESS:PORT, such as 127.0.0.1:5000.');
  }
  return { host, port: Number(port) };
}

function readGib(value: string): number {
  const gib = Number(value);
  if (!Number.isSafeInteger(gib) || gib < 1 || gib > 1024) {
    throw new InvalidArgumentError('Give a number of GiB from 1 to 1024.');
  }
  return gib;
}
