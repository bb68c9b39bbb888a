/** The command `gantry` (started by bin/gantry.js): runs, tells failures, and is the only one to end the process. */
import { CommanderError } from 'commander';
import { readEnvironment } from './cli/environment.ts';
import { EXIT } from './cli/errors.ts';
import { describeFailure, failureJson, failureLines } from './cli/failure.ts';
import { createProgram } from './program.ts';

// `gantry ls | head` closes our standard output early: that is nobody's fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  throw error;
});

const environment = readEnvironment(process.argv, process.env);
try {
  const program = await createProgram(environment);
  await program.parseAsync(environment.argv, { from: 'user' });
} catch (error) {
  process.exit(tell(error));
}

function tell(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has told it on standard error; help and version are no failures.
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
