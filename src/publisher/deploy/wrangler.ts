/** Wrangler as a program: what it knows of the account, and deploying. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { CommandError } from '../cli/errors.ts';
import type { AccountFacts, DeployConfig } from './preflight.ts';

/** How Wrangler is run. */
export interface Wrangler {
  /** Runs it to its end and takes what it prints. */
  ask(
    args: readonly string[],
  ): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
  /** Runs it with this process's own output; gives its exit code. */
  run(args: readonly string[]): Promise<number | null>;
}

/** The installed Wrangler, over a wrangler.toml. Throws {@link CommandError} if there is none. */
export async function openWrangler(config: string, variables: Readonly<NodeJS.ProcessEnv>): Promise<Wrangler> {
  const program = await findWrangler();
  const env = { ...variables, WRANGLER_SEND_METRICS: 'false' };
  const start = (args: readonly string[], stdio: 'inherit' | 'pipe'): ReturnType<typeof spawn> =>
    spawn(process.execPath, [program, ...args, '--config', config], {
      env,
      stdio: stdio === 'pipe' ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    });
  return {
    async ask(args) {
      const child = start(args, 'pipe');
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
    },
    async run(args) {
      const [code] = (await once(start(args, 'inherit'), 'close')) as [number | null];
      return code;
    },
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

/** Asks Cloudflare what there is; null if nobody is logged in. */
export async function askAccount(
  wrangler: Wrangler,
  config: DeployConfig,
  chosenAccount: string | undefined,
): Promise<AccountFacts | null> {
  const who = parseJson((await wrangler.ask(['whoami', '--json'])).stdout) as {
    loggedIn?: unknown;
    accounts?: unknown;
  } | null;
  if (who?.loggedIn !== true) return null;
  const accounts = (Array.isArray(who.accounts) ? (who.accounts as unknown[]) : []).flatMap((one) => {
    const { id, name } = one as { id?: unknown; name?: unknown };
    return typeof id === 'string' ? [{ id, name: typeof name === 'string' ? name : id }] : [];
  });
  // Wrangler would ask a person which one is meant.
  const isClear = accounts.length === 1 || chosenAccount !== undefined || config.accountId !== null;
  if (!isClear) return { accounts, hasBucket: null, secrets: null };
  const [hasBucket, secrets] = await Promise.all([
    config.bucket === null
      ? Promise.resolve(null)
      : wrangler.ask(['r2', 'bucket', 'info', config.bucket, '--json', ...jurisdictionOf(config)]).then(readBucket),
    wrangler.ask(['secret', 'list', '--format', 'json', '--name', config.name]).then(readSecrets),
  ]);
  return { accounts, hasBucket, secrets };
}

// Without it, R2 looks only among buckets without a jurisdiction.
function jurisdictionOf({ jurisdiction }: DeployConfig): readonly string[] {
  return jurisdiction === null ? [] : ['--jurisdiction', jurisdiction];
}

type Asked = Awaited<ReturnType<Wrangler['ask']>>;

/** Whether `wrangler r2 bucket info` found the bucket; null if it says something else. */
export function readBucket({ code, stdout, stderr }: Asked): boolean | null {
  if (code === 0) return true;
  // R2's error 10006: "The specified bucket does not exist."
  return /10006|does not exist/.test(stdout + stderr) ? false : null;
}

/** The names that `wrangler secret list` gives; none for a Worker that does not exist yet; null if it says something else. */
export function readSecrets({ code, stdout, stderr }: Asked): readonly string[] | null {
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
