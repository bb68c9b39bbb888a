/** The command `gantry`, started by bin/gantry.js. It runs a command, reports a failure, and ends the process. */
import { CommanderError } from 'commander';
import { callersFolder, readEnvironment } from './cli/environment.ts';
import { EXIT } from './cli/errors.ts';
import { describeFailure, failureJson, failureLines } from './cli/failure.ts';
import { createProgram } from './program.ts';

// `gantry ls | head` closes standard output early, which is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  throw error;
});

const environment = readEnvironment(process.argv, process.env);
const folder = callersFolder(process.env);
if (folder !== undefined) process.chdir(folder);
void run();

/** Not at the top level, since the bundle is CommonJS. */
async function run(): Promise<void> {
  try {
    const program = await createProgram(environment);
    await program.parseAsync(environment.argv, { from: 'user' });
  } catch (error) {
    process.exit(report(error));
  }
}

/** Prints a failure; returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has printed it to standard error. Help and version are not failures.
    if (error.exitCode === 0) return EXIT.done;
    if (environment.json) {
      process.stdout.write(
        `${JSON.stringify({ error: { code: 'USAGE', message: error.message.replace(/^error: /, '') } })}\n`,
      );
    }
    return EXIT.usage;
  }
  const failure = describeFailure(error);
  if (environment.json) process.stdout.write(`${failureJson(failure)}\n`);
  process.stderr.write(`${failureLines(failure).join('\n')}\n`);
  return failure.exitCode;
}
