/** The command line as a whole: which commands there are, and what is said where none fits. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { Environment } from './cli/environment.ts';
import { PROJECT } from './project.ts';
import type { OpenTarget } from './stores/target.ts';

/** Adds a command. What a command needs to work is loaded when it runs. */
type Register = (program: Command, openTarget: OpenTarget, environment: Environment) => void;

/** Verb → what adds it. Loaded one by one, so that a command does not pay for the others. */
const COMMANDS: Readonly<Record<string, () => Promise<{ readonly register: Register }>>> = {
  publish: () => import('./commands/publish.ts'),
  sync: () => import('./commands/sync.ts'),
  ls: () => import('./commands/ls.ts'),
  inspect: () => import('./commands/inspect.ts'),
  explain: () => import('./commands/explain.ts'),
  rm: () => import('./commands/rm.ts'),
  receive: () => import('./commands/receive.ts'),
  serve: () => import('./commands/serve.ts'),
  convert: () => import('./commands/convert.ts'),
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

/** What is answered without any command. */
const TELLS_OF_NONE: ReadonlySet<string> = new Set(['--version', '-V']);

/** Commands that tell of all others, so that all are loaded for them. */
const TELLS_OF_ALL: ReadonlySet<string> = new Set(['completion']);

const FIRST_STEPS = `Gantry puts container images into a bucket and serves them at the edge, in every form that a Docker or OCI client can pull.

  gantry serve                                     serve the local registry on http://127.0.0.1:8787, with a demo image
  skopeo copy --format v2s2 docker://busybox dir:busybox
  gantry publish dir:busybox library/busybox:latest
  docker run --rm 127.0.0.1:8787/library/busybox echo hello

\`gantry --help\` lists all commands, \`gantry COMMAND --help\` says more about one, with examples.
`;

const OPEN_TARGET: OpenTarget = async (options) => (await import('./stores/open.ts')).openTarget(options);

/** Makes the program. Only the command that is asked for is loaded, all of them where none is (`--help`). */
export async function createProgram(environment: Environment, openTarget: OpenTarget = OPEN_TARGET): Promise<Command> {
  const program = new Command('gantry')
    .description('Publish container images for the edge, in every form that a Docker or OCI client can pull.')
    .version(await versionOf(), '-V, --version')
    .exitOverride()
    .configureHelp({ showGlobalOptions: false })
    .showHelpAfterError('(`gantry --help` lists commands and options; `gantry COMMAND --help` says more about one)')
    .addHelpText(
      'after',
      `
Examples:
  $ gantry publish dir:busybox library/busybox:latest
  $ gantry inspect library/busybox:latest
  $ gantry explain library/busybox:latest --user-agent docker/1.9.1

Exit code: 0 done, 1 failed or something is wrong, 2 wrong usage, 130 interrupted.`,
    );
  const [verb = ''] = environment.argv;
  const needed = Object.hasOwn(COMMANDS, verb) && !TELLS_OF_ALL.has(verb) ? [COMMANDS[verb]] : Object.values(COMMANDS);
  const loaders = TELLS_OF_NONE.has(verb) ? [] : needed;
  for (const { register } of await Promise.all(
    loaders.map((load) => load?.() ?? Promise.reject(new Error('no command'))),
  )) {
    register(program, openTarget, environment);
  }
  program.action(() => {
    process.stdout.write(FIRST_STEPS);
  });
  // An unknown command would else be taken for an argument of the program itself.
  program.allowExcessArguments(false).argument('[command]').usage('COMMAND [options]');
  return program;
}

async function versionOf(): Promise<string> {
  const text = await readFile(`${PROJECT}package.json`, 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
