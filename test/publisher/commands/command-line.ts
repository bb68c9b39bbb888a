/** Runs command lines over a bucket in memory, without a process each. */
import { CommanderError } from 'commander';
import { vi } from 'vitest';
import { readEnvironment } from '../../../src/publisher/cli/environment.ts';
import { describeFailure, failureJson, failureLines } from '../../../src/publisher/cli/failure.ts';
import { createProgram } from '../../../src/publisher/program.ts';
import type { WriteStore } from '../../../src/registry/store.ts';

/** What a command left. */
export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Runs `gantry ARGS`, one at a time: what it writes to the standard streams is caught. */
export async function runGantry(
  store: WriteStore,
  args: readonly string[],
  variables: NodeJS.ProcessEnv = {},
): Promise<Ran> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((chunk) => {
      written[stream] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      return true;
    }),
  );
  const environment = readEnvironment(['node', 'gantry', ...args], variables);
  try {
    const program = await createProgram(environment, () =>
      Promise.resolve({ store, title: 'a bucket in memory', close: () => Promise.resolve() }),
    );
    await program.parseAsync(environment.argv, { from: 'user' });
    return { ...written, code: Number(process.exitCode ?? 0) };
  } catch (error) {
    if (error instanceof CommanderError) return { ...written, code: error.exitCode === 0 ? 0 : 2 };
    const failure = describeFailure(error);
    if (environment.json) written.stdout += `${failureJson(failure)}\n`;
    return {
      stdout: written.stdout,
      stderr: `${written.stderr}${failureLines(failure).join('\n')}\n`,
      code: failure.exitCode,
    };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
  }
}
