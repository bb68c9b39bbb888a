import type { Command } from 'commander';
import type { Environment } from '../cli/environment.ts';
import { isFault } from '../doctor/deployed/checks.ts';
import { examineDeployed } from '../doctor/deployed/examine-deployed.ts';
import { checkLines, reportedChecks } from '../doctor/deployed/report.ts';
import { examine } from '../doctor/examine.ts';
import { diagnosisLines, groupFindings } from '../doctor/report.ts';
import { splitImage } from '../doctor/examine.ts';
import { EXIT, usageError } from '../cli/errors.ts';
import { readCreds, VISIBLE } from '../cli/stdin-credentials.ts';
import type { OpenTarget } from '../stores/target.ts';
import { printJson, printLines, progressLine, terminalWidth } from '../cli/terminal-text.ts';

interface Options {
  readonly image?: string;
  readonly creds?: string;
  readonly credsStdin?: true;
  readonly insecure?: true;
  readonly timeout: string;
  readonly deployed?: true;
  readonly json?: true;
}

/** Adds `gantry doctor`. */
export function register(program: Command, _openTarget: OpenTarget, environment: Environment): void {
  program
    .command('doctor')
    .description(
      'test a registry with the requests of each client family, old and new; report what each gets and what is wrong',
    )
    .argument('<url>', 'the registry: https://host, or host[:port]')
    .option('--image <name[:tag]>', 'the image to test with (default: the first in the catalogue)')
    .option('--creds-stdin', 'read USER:PASSWORD for the registry from standard input')
    .option('--creds <user:password>', `the same as an argument (${VISIBLE} --creds-stdin)`)
    .option('--insecure', 'accept any certificate')
    .option('--timeout <seconds>', 'timeout for each answer', '20')
    .option('--deployed', 'also check the assumptions about Cloudflare that only a deployment can confirm')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
--deployed needs only the right to pull. With PURGE_TOKEN in the environment it also tests the cache: it purges the
tested tag, which costs one request to the bucket.

Examples:
  $ gantry doctor 127.0.0.1:8787 --image demo/hello:latest
  $ gantry doctor https://registry.example.com --json
  $ PURGE_TOKEN=… gantry doctor https://registry.example.com --deployed --image library/busybox:latest

Exit codes: 0 every client can pull, 1 an error was found, 2 usage error.`,
    )
    .action((target: string, options: Options) => run(target, options, environment));
}

async function run(target: string, options: Options, { variables }: Environment): Promise<void> {
  const base = baseOf(target);
  if (options.image !== undefined && splitImage(options.image).name === undefined)
    throw usageError(`"${options.image}" is not a valid image name`, 'Write NAME or NAME:TAG.');
  const seconds = Number(options.timeout);
  if (!(seconds > 0)) throw usageError(`--timeout ${options.timeout} is not a number of seconds`);
  if (options.creds !== undefined && options.credsStdin === true)
    throw usageError('--creds and --creds-stdin are both given', 'Leave out --creds.');
  const creds = options.credsStdin === true ? await readCreds() : options.creds;
  const progress = progressLine();
  const how = {
    timeoutMs: seconds * 1000,
    insecure: options.insecure === true,
    now: Date.now(),
    onProgress: (what: string) => progress.show(`${what} …`),
    ...(options.image === undefined ? {} : { image: options.image }),
    ...(creds === undefined ? {} : { credentials: credentialsOf(creds) }),
  };
  const { PURGE_TOKEN } = variables;
  const deployed =
    options.deployed === true
      ? await examineDeployed(base, { ...how, ...(PURGE_TOKEN !== undefined && { purgeToken: PURGE_TOKEN }) })
      : null;
  const diagnosis = await examine(base, how);
  progress.clear();
  const findings = groupFindings(diagnosis.findings);
  if (options.json === true) {
    printJson({ ...diagnosis, findings, ...(deployed !== null && { deployed: reportedChecks(deployed) }) }, 2);
  } else {
    printLines(diagnosisLines(diagnosis, terminalWidth()));
    if (deployed !== null) printLines(['', ...checkLines(deployed, terminalWidth())]);
  }
  if (findings.some(({ severity }) => severity === 'error') || deployed?.some(isFault) === true) {
    process.exitCode = EXIT.failed;
  }
}

/** The registry's root URL. Without a scheme it is http for this machine, as for Docker, and https otherwise. */
export function baseOf(target: string): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(target)
    ? target
    : `${/^(?:localhost|127\.|\[::1\])/.test(target) ? 'http' : 'https'}://${target}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw usageError(`"${target}" is not a valid registry address`, 'Write https://host, or host:port.');
  }
  if (url.username !== '' || url.password !== '')
    throw usageError('credentials in the URL are not supported', 'Give them with --creds-stdin.');
  if (url.pathname !== '/' && url.pathname !== '/v2/' && url.pathname !== '/v2') {
    throw usageError(
      `the address of a registry has no path, but ${url.pathname} was given`,
      'Give the image with --image NAME:TAG.',
    );
  }
  return new URL('/', url);
}

function credentialsOf(text: string): { readonly username: string; readonly password: string } {
  const at = text.indexOf(':');
  if (at < 1) throw usageError('--creds needs USER:PASSWORD');
  return { username: text.slice(0, at), password: text.slice(at + 1) };
}
