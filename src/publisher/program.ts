/** The command line: the table of commands, and the help where none matches. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { DEFAULT_STATE, type Environment } from './cli/environment.ts';
import { type CommandError, usageError } from './cli/errors.ts';
import { PROJECT } from './project.ts';
import { type OpenTarget } from './stores/target.ts';

/** Adds a command. The modules that it needs are loaded when it runs. */
type Register = (program: Command, openTarget: OpenTarget, environment: Environment) => void;

/** Verb → its module. Each is loaded by itself, so that a command does not pay for the others. */
const COMMANDS: Readonly<Record<string, () => Promise<{ readonly register: Register }>>> = {
  publish: () => import('./commands/publish.ts'),
  sync: () => import('./commands/sync.ts'),
  ls: () => import('./commands/ls.ts'),
  inspect: () => import('./commands/inspect.ts'),
  explain: () => import('./commands/explain.ts'),
  stats: () => import('./commands/stats.ts'),
  rm: () => import('./commands/rm.ts'),
  prune: () => import('./commands/prune.ts'),
  receive: () => import('./commands/receive.ts'),
  serve: () => import('./commands/serve.ts'),
  convert: () => import('./commands/convert.ts'),
  config: () => import('./commands/config.ts'),
  gc: () => import('./commands/gc.ts'),
  verify: () => import('./commands/verify.ts'),
  doctor: () => import('./commands/doctor.ts'),
  key: () => import('./commands/key.ts'),
  token: () => import('./commands/token.ts'),
  deploy: () => import('./commands/deploy.ts'),
  completion: () => import('./commands/completion.ts'),
};

/** All verbs, in the order of the help. */
export const VERBS: readonly string[] = Object.keys(COMMANDS);

/** Options that need no command. */
const WITHOUT_COMMANDS: ReadonlySet<string> = new Set(['--version', '-V']);

/** Commands that list all others, so that all are loaded for them. */
const LISTS_COMMANDS: ReadonlySet<string> = new Set(['completion']);

const FIRST_STEPS = `Gantry publishes container images to a bucket and serves them at the edge,
in every form that a Docker or OCI client can pull.

  gantry serve                                     serve the local registry at http://127.0.0.1:8787, with a demo image
  skopeo copy --format v2s2 docker://busybox dir:busybox
  gantry publish dir:busybox library/busybox:latest
  docker run --rm 127.0.0.1:8787/library/busybox echo hello

\`gantry --help\` lists all commands; \`gantry COMMAND --help\` describes one, with examples.
`;

/** Opens the bucket that `--to` names. Stores are loaded when they are used. */
const openTargetOf: OpenTarget = async ({ to, state = DEFAULT_STATE, mustExist = false, env, s3 }) => {
  if (to === 'local') return (await import('./local/open-local.ts')).openLocal(state, { mustExist });
  if (to.startsWith('s3://')) return (await import('./stores/s3-target.ts')).openS3(to, env, s3);
  throw usageError(`--to ${to} is not a valid target`, 'Write --to local, or --to s3://BUCKET.');
};

/** Creates the program. Loads only the command that is run, or all of them if there is none (`--help`). */
export async function createProgram(environment: Environment, openTarget = openTargetOf): Promise<Command> {
  const program = new Command('gantry')
    .description('Publish container images for the edge, in every form that a Docker or OCI client can pull.')
    .version(await versionOf(), '-V, --version')
    .exitOverride()
    .configureHelp({ showGlobalOptions: false })
    .showHelpAfterError('(`gantry --help` lists commands and options; `gantry COMMAND --help` describes one)')
    .addHelpText(
      'after',
      `
Examples:
  $ gantry publish dir:busybox library/busybox:latest
  $ gantry inspect library/busybox:latest
  $ gantry explain library/busybox:latest --user-agent docker/1.9.1

With --json a command prints JSON as docs/reference/json-output.schema.json describes it.
Exit codes: 0 success, 1 failure or faults found, 2 usage error, 130 interrupted.`,
    );
  const [verb = ''] = environment.argv;
  // Commander would first complain about the options of the command.
  if (verb !== '' && verb !== 'help' && !verb.startsWith('-') && !Object.hasOwn(COMMANDS, verb))
    throw unknownCommand(verb);
  const needed =
    Object.hasOwn(COMMANDS, verb) && !LISTS_COMMANDS.has(verb) ? [COMMANDS[verb]] : Object.values(COMMANDS);
  const loaders = WITHOUT_COMMANDS.has(verb) ? [] : needed;
  for (const { register } of await Promise.all(
    loaders.map((load) => load?.() ?? Promise.reject(new Error('no command'))),
  )) {
    register(program, openTarget, environment);
  }
  program.action(() => {
    process.stdout.write(FIRST_STEPS);
  });
  // Otherwise an unknown command would be taken as an argument of the program itself.
  program.allowExcessArguments(false).argument('[command]').usage('COMMAND [options]');
  return program;
}

/** Other names that people try. */
const ALIASES: Readonly<Record<string, string>> = {
  list: 'ls',
  images: 'ls',
  tags: 'ls',
  push: 'publish',
  copy: 'publish',
  add: 'publish',
  delete: 'rm',
  remove: 'rm',
  show: 'inspect',
  check: 'verify',
  start: 'serve',
  login: 'token',
};

/** The error for an unknown command, with the command that was probably meant. */
function unknownCommand(command: string): CommandError {
  const nearest = VERBS.map((verb) => ({ verb, distance: editDistance(command, verb) })).sort(
    (a, b) => a.distance - b.distance,
  )[0];
  const meant = ALIASES[command] ?? (nearest !== undefined && nearest.distance <= 2 ? nearest.verb : undefined);
  return usageError(
    `${JSON.stringify(command)} is not a command`,
    meant === undefined ? '`gantry --help` lists all commands.' : `Did you mean \`gantry ${meant}\`?`,
  );
}

/** Levenshtein's distance: how many characters have to be inserted, removed or replaced. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of Array.from(a).entries()) {
    const next = [i + 1];
    for (const [j, other] of Array.from(b).entries()) {
      next.push(Math.min((row[j] ?? 0) + (letter === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

async function versionOf(): Promise<string> {
  const text = await readFile(`${PROJECT}package.json`, 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
