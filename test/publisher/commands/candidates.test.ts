/** What completion offers for commands with settings and patterns, without a shell. */
import { expect, it } from 'vitest';
import { readEnvironment } from '../../../src/publisher/cli/environment.ts';
import { candidatesFor } from '../../../src/publisher/completion/candidates.ts';
import { createProgram } from '../../../src/publisher/program.ts';

it.each([
  ['config ', ['list', 'get', 'set', 'unset']],
  ['config set ', ['immutable']],
  ['config set immutable v* --repository te', ['team/app', 'team/base']],
  ['config unset immutable --al', []],
  ['config set --al', ['--allow-force']],
  ['prune --older', ['--older-than']],
  ['prune --keep 1 --repository=team/a', ['--repository=team/app']],
  ['publish --no', ['--notify', '--no-referrers']],
])('completion offers for "gantry %s": %j', async (text, expected) => {
  const program = await createProgram(readEnvironment(['node', 'gantry', '--help'], {}));
  const candidates = await candidatesFor(program, text.split(' '), {
    repositories: () => Promise.resolve(['other', 'team/app', 'team/base']),
    tags: () => Promise.resolve([]),
    buckets: () => Promise.resolve([]),
  });
  const values = candidates.map(({ value }) => value).filter((value) => value !== '--name-as-given');
  expect(values.sort()).toEqual([...expected].sort());
});
