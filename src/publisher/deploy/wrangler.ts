/** Wrangler as a program: what it knows of the account, and deploying. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { parseFormat } from '../../bucket/format.ts';
import { FORMAT_KEY } from '../../registry/keys.ts';
import { StorageError } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';
import { type ApiError, readApiErrors } from './api-errors.ts';
import type { AccountFacts, DeployConfig } from './preflight.ts';

/** What a run of Wrangler left. `stdout` is empty where it went to the terminal. */
export interface WranglerResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How Wrangler is run. */
export interface Wrangler {
  /** Runs it to its end and keeps what it prints from the terminal. */
  capture(args: readonly string[]): Promise<WranglerResult>;
  /** Runs it with this process's own input and output. Its errors are shown and returned. */
  run(args: readonly string[]): Promise<WranglerResult>;
  /**
   * The same for one account. Without it, Wrangler uses the account that it used last in this folder, which another
   * login may have.
   */
  forAccount(id: string): Wrangler;
}

/** The installed Wrangler, over a wrangler.toml. Throws {@link CommandError} if there is none. */
export async function openWrangler(config: string, variables: Readonly<NodeJS.ProcessEnv>): Promise<Wrangler> {
  return wranglerOf(await findWrangler(), config, { ...variables, WRANGLER_SEND_METRICS: 'false' });
}

function wranglerOf(program: string, config: string, env: Readonly<NodeJS.ProcessEnv>): Wrangler {
  const start = async (args: readonly string[], shown: boolean): Promise<WranglerResult> => {
    // Wrangler asks questions where its input and output are a terminal; errors alone may be piped.
    const child = spawn(process.execPath, [program, ...args, '--config', config], {
      env,
      stdio: shown ? ['inherit', 'inherit', 'pipe'] : ['ignore', 'pipe', 'pipe'],
    });
    if (shown) child.stderr?.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    const textOf = (stream: Readable | null): Promise<string> | string => (stream === null ? '' : readText(stream));
    const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'close')]);
    return { code: child.exitCode, stdout, stderr };
  };
  return {
    capture: (args) => start(args, false),
    run: (args) => start(args, true),
    forAccount: (id) => wranglerOf(program, config, { ...env, CLOUDFLARE_ACCOUNT_ID: id }),
  };
}

async function findWrangler(): Promise<string> {
  try {
    const manifest = createRequire(import.meta.url).resolve('wrangler/package.json');
    const { bin } = JSON.parse(await readFile(manifest, 'utf8')) as { bin: Readonly<Record<string, string>> };
    return join(dirname(manifest), bin.wrangler ?? 'bin/wrangler.js');
  } catch (cause) {
    throw new CommandError('deploying needs Wrangler, which is not installed', {
      hint: 'Install it with `npm install -g gantry-registry --include=optional`.',
      cause,
    });
  }
}

/** Reads what there is at Cloudflare; null if nobody is logged in. */
export async function readAccount(
  wrangler: Wrangler,
  config: DeployConfig,
  chosenAccount: string | undefined,
): Promise<AccountFacts | null> {
  const answer = await wrangler.capture(['whoami', '--json']);
  const who = parseJson(answer.stdout) as { loggedIn?: unknown; accounts?: unknown } | null;
  // A token that is refused, or that may not list accounts, is not the same as no login.
  const login = who?.loggedIn === true ? undefined : errorOf(answer);
  if (who?.loggedIn !== true && login === undefined) return null;
  const accounts = (Array.isArray(who?.accounts) ? (who.accounts as unknown[]) : []).flatMap((one) => {
    const { id, name } = one as { id?: unknown; name?: unknown };
    return typeof id === 'string' ? [{ id, name: typeof name === 'string' ? name : id }] : [];
  });
  const id = accountIdOf(accounts, config, chosenAccount);
  // Wrangler would ask a person which one is meant.
  if (id === null) return { accounts, hasBucket: null, secrets: null, bucketRealms: null, errors: { login } };
  const own = wrangler.forAccount(id);
  const [bucket, secrets, format] = await Promise.all([
    config.bucket === null
      ? null
      : own.capture(['r2', 'bucket', 'info', config.bucket, '--json', ...jurisdictionOf(config)]),
    own.capture(['secret', 'list', '--format', 'json', '--name', config.name]),
    config.bucket === null || config.realms.length > 0
      ? null
      : own.capture([
          'r2',
          'object',
          'get',
          `${config.bucket}/${FORMAT_KEY}`,
          '--pipe',
          '--remote',
          ...jurisdictionOf(config),
        ]),
  ]);
  const hasBucket = bucket === null ? null : readBucket(bucket);
  const names = readSecrets(secrets);
  const errors = {
    login,
    bucket: bucket === null || hasBucket !== null ? undefined : errorOf(bucket),
    secrets: names === null ? errorOf(secrets) : undefined,
  };
  const bucketRealms = format === null ? null : readBucketRealms(format);
  return { accounts, hasBucket, secrets: names, bucketRealms, errors };
}

/**
 * The account to use: the one of wrangler.toml, which Wrangler prefers; `CLOUDFLARE_ACCOUNT_ID`; or the only one that
 * the login has. Null if that is not clear.
 */
export function accountIdOf(
  accounts: AccountFacts['accounts'],
  config: DeployConfig,
  chosen: string | undefined,
): string | null {
  const [only, ...others] = accounts;
  return config.accountId ?? chosen ?? (others.length === 0 ? (only?.id ?? null) : null);
}

function errorOf({ stdout, stderr }: WranglerResult): ApiError | undefined {
  return readApiErrors(stdout + stderr)[0];
}

// Without it, R2 looks only among buckets without a jurisdiction.
function jurisdictionOf({ jurisdiction }: DeployConfig): readonly string[] {
  return jurisdiction === null ? [] : ['--jurisdiction', jurisdiction];
}

/** Whether `wrangler r2 bucket info` found the bucket; null if it says something else. */
export function readBucket({ code, stdout, stderr }: WranglerResult): boolean | null {
  if (code === 0) return true;
  // R2's error 10006: "The specified bucket does not exist."
  return /10006|does not exist/.test(stdout + stderr) ? false : null;
}

/** The realms in the format object that `wrangler r2 object get` prints; null if it prints none. */
export function readBucketRealms({ code, stdout }: WranglerResult): readonly string[] | null {
  if (code !== 0) return null;
  try {
    return parseFormat(stdout.slice(Math.max(0, stdout.indexOf('{')))).realms ?? [];
  } catch (error) {
    if (error instanceof StorageError) return null;
    throw error;
  }
}

/**
 * The names that `wrangler secret list` gives; none for a Worker that does not exist yet; null if it says something
 * else.
 */
export function readSecrets({ code, stdout, stderr }: WranglerResult): readonly string[] | null {
  if (code !== 0) return /10007|not found|does not exist/i.test(stdout + stderr) ? [] : null;
  const list = parseJson(stdout);
  if (!Array.isArray(list)) return null;
  return list.flatMap((one: unknown) => {
    const { name } = one as { name?: unknown };
    return typeof name === 'string' ? [name] : [];
  });
}

/** Wrangler may print notices before its JSON. */
function parseJson(text: string): unknown {
  const at = text.search(/^[[{]/m);
  try {
    return at < 0 ? null : JSON.parse(text.slice(at));
  } catch {
    return null;
  }
}
