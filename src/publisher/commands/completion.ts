import { Argument, type Command } from 'commander';

/** Adds `gantry completion`. It completes all commands that are registered when it runs. */
export function register(program: Command): void {
  program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SHELLS)))
    .addHelpText(
      'after',
      `
Examples:
  $ gantry completion bash > ~/.local/share/bash-completion/completions/gantry
  $ gantry completion zsh > "\${fpath[1]}/_gantry"
  $ gantry completion fish > ~/.config/fish/completions/gantry.fish`,
    )
    .action((shell: keyof typeof SHELLS) => {
      process.stdout.write(`${SHELLS[shell](verbsOf(program)).join('\n')}\n`);
    });
}

/** A command as completion sees it. `verbs`: commands below it (`gantry key show`). */
interface Verb {
  readonly name: string;
  readonly description: string;
  readonly options: readonly { readonly long: string; readonly description: string; readonly takesValue: boolean }[];
  readonly verbs: readonly Verb[];
  /** Whether its arguments are, or may contain, file names (`dir:…`). */
  readonly takesFiles: boolean;
}

function verbsOf(command: Command): readonly Verb[] {
  return command.commands.map((one) => ({
    name: one.name(),
    description: one.description(),
    options: [
      ...one.options.flatMap(({ long, description, required }) =>
        long == null ? [] : [{ long, description, takesValue: required }],
      ),
      { long: '--help', description: 'show help for the command', takesValue: false },
    ],
    verbs: verbsOf(one),
    takesFiles: one.registeredArguments.some((argument) => /file|source|config/.test(argument.name())),
  }));
}

const SHELLS = { bash: bashLines, zsh: zshLines, fish: fishLines } as const satisfies Record<
  string,
  (verbs: readonly Verb[]) => readonly string[]
>;

/** Every path of verbs: `key`, `key show`. */
function pathsOf(
  verbs: readonly Verb[],
  before: readonly string[] = [],
): readonly { readonly path: readonly string[]; readonly verb: Verb }[] {
  return verbs.flatMap((verb) => {
    const path = [...before, verb.name];
    return [{ path, verb }, ...pathsOf(verb.verbs, path)];
  });
}

function bashLines(verbs: readonly Verb[]): readonly string[] {
  const names = (some: readonly { readonly name: string }[]): string => some.map(({ name }) => name).join(' ');
  const cases = pathsOf(verbs).map(
    ({ path, verb }) =>
      `    ${quote(path.join(' '))}) words=${quote([names(verb.verbs), ...verb.options.map(({ long }) => long)].join(' ').trim())} ;;`,
  );
  const withFiles = pathsOf(verbs).flatMap(({ path, verb }) => (verb.takesFiles ? [quote(path.join(' '))] : []));
  const known = pathsOf(verbs).map(({ path }) => quote(path.join(' ')));
  return [
    '_gantry() {',
    '  local current=${COMP_WORDS[COMP_CWORD]} path= next word words',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    next=${path:+$path }$word',
    `    case $next in ${known.join('|')}) path=$next ;; esac`,
    '  done',
    '  case $path in',
    `    '') words=${quote(`${names(verbs)} --help --version`)} ;;`,
    ...cases,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    ...(withFiles.length === 0
      ? []
      : [
          `  case $path in ${withFiles.join('|')}) [[ $current == -* ]] || COMPREPLY+=($(compgen -f -- "$current")) ;; esac`,
        ]),
    '}',
    'complete -o default -F _gantry gantry',
  ];
}

function zshLines(verbs: readonly Verb[]): readonly string[] {
  const described = (some: readonly Verb[]): string =>
    some.map(({ name, description }) => quote(`${name}:${description}`)).join(' ');
  const cases = pathsOf(verbs).flatMap(({ path, verb }) => {
    const options = verb.options.map(({ long, description, takesValue }) =>
      quote(`${long}${takesValue ? '=' : ''}[${description.replace(/[[\]:]/g, ' ')}]`),
    );
    return [
      `    ${quote(path.join(' '))})`,
      ...(verb.verbs.length === 0 ? [] : [`      verbs=(${described(verb.verbs)}); _describe command verbs`]),
      `      _arguments ${[...options, quote('*:argument:_files')].join(' ')} ;;`,
    ];
  });
  return [
    '#compdef gantry',
    '_gantry() {',
    '  local path= next word',
    '  local -a verbs',
    '  for word in ${words[2,CURRENT-1]}; do',
    '    next=${path:+$path }$word',
    `    case $next in ${pathsOf(verbs)
      .map(({ path }) => quote(path.join(' ')))
      .join('|')}) path=$next ;; esac`,
    '  done',
    '  case $path in',
    `    '') verbs=(${described(verbs)}); _describe command verbs ;;`,
    ...cases,
    '  esac',
    '}',
    // If sourced, it registers itself; if autoloaded from $fpath, it is called at once.
    'if [ "$funcstack[1]" = _gantry ]; then _gantry "$@"; else compdef _gantry gantry; fi',
  ];
}

function fishLines(verbs: readonly Verb[]): readonly string[] {
  const names = verbs.map(({ name }) => name).join(' ');
  return [
    `complete -c gantry -n ${quote(`not __fish_seen_subcommand_from ${names}`)} -f`,
    ...verbs.map(
      ({ name, description }) =>
        `complete -c gantry -n ${quote(`not __fish_seen_subcommand_from ${names}`)} -a ${quote(name)} -d ${quote(description)}`,
    ),
    ...pathsOf(verbs).flatMap(({ path, verb }) => {
      const condition = quote(path.map((name) => `__fish_seen_subcommand_from ${name}`).join('; and '));
      return [
        ...verb.verbs.map(
          ({ name, description }) => `complete -c gantry -n ${condition} -a ${quote(name)} -d ${quote(description)}`,
        ),
        ...verb.options.map(
          ({ long, description, takesValue }) =>
            `complete -c gantry -n ${condition} -l ${long.slice(2)}${takesValue ? ' -r' : ''} -d ${quote(description)}`,
        ),
      ];
    }),
  ];
}

/** Quotes one word for all three shells. Only fish reads a backslash between single quotes. */
function quote(text: string): string {
  return `'${text.replaceAll('\\', '/').replaceAll("'", '’')}'`;
}
