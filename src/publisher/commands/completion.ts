import { Argument, type Command } from 'commander';
import { SHELL_SCRIPTS } from '../completion/shell-scripts.ts';
import { plainText } from '../cli/terminal-text.ts';
import type { Environment } from '../cli/environment.ts';
import type { OpenTarget } from '../stores/target.ts';

/** Adds `gantry completion`, and the hidden command that the scripts call for each word. */
export function register(program: Command, openTarget: OpenTarget, environment: Environment): void {
  const completion = program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SHELL_SCRIPTS)))
    .addHelpText(
      'after',
      `
The scripts call gantry for the words to offer: commands, options, files, repositories, tags and buckets.

Examples:
  $ gantry completion bash > ~/.local/share/bash-completion/completions/gantry
  $ gantry completion zsh > "\${fpath[1]}/_gantry"
  $ gantry completion fish > ~/.config/fish/completions/gantry.fish`,
    )
    .action((shell: keyof typeof SHELL_SCRIPTS) => {
      process.stdout.write(SHELL_SCRIPTS[shell]);
    });
  completion
    .command('candidates', { hidden: true })
    .description('print the words to offer for the last of the words, one a line, each with its description')
    .argument('[words...]', 'after --: the arguments of gantry up to the cursor')
    .action(async (words: readonly string[]) => {
      const [{ candidatesFor }, { bucketData }] = await Promise.all([
        import('../completion/candidates.ts'),
        import('../completion/bucket-data.ts'),
      ]);
      const candidates = await candidatesFor(program, words, bucketData(openTarget, environment));
      // A line is a word, so words with control characters cannot be offered.
      for (const { value, description } of candidates)
        if (value === plainText(value)) process.stdout.write(`${value}\t${plainText(description)}\n`);
    });
}
