/** Completion, asked of the shells themselves. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERBS } from '../../../src/publisher/program.ts';
import { gantry, missingPrograms, must, run, titleWith } from '../../interop/programs.ts';
import { writeDirImage } from '../dir-image.ts';
import { Bucket } from '../gc-bucket.ts';
import { runGantry } from './command-line.ts';

const PROJECT = new URL('../../../', import.meta.url).pathname;

let folder: string;
let state: string;
let env: NodeJS.ProcessEnv;
let storage: Server;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-completion-'));
  state = join(folder, 'state');
  await mkdir(join(folder, 'bin'));
  await mkdir(join(folder, 'images', 'inner'), { recursive: true });
  const wrapper = join(folder, 'bin', 'gantry');
  await writeFile(wrapper, `#!/bin/sh\nexec '${process.execPath}' '${PROJECT}bin/gantry.js' "$@"\n`);
  await chmod(wrapper, 0o755);
  // ListBuckets as the S3 API documents its answer.
  storage = createServer((_request, response) => {
    response
      .setHeader('content-type', 'application/xml')
      .end(
        '<?xml version="1.0"?><ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Buckets>' +
          '<Bucket><Name>images</Name></Bucket><Bucket><Name>other</Name></Bucket></Buckets></ListAllMyBucketsResult>',
      );
  });
  await new Promise<void>((resolve) => storage.listen(0, '127.0.0.1', resolve));
  env = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}`,
    HOME: folder,
    TERM: 'dumb',
    GANTRY_COMPLETION_TIMEOUT: '60',
    GANTRY_KEY: join(folder, 'key.pem'),
    AWS_ENDPOINT_URL: `http://127.0.0.1:${String((storage.address() as AddressInfo).port)}`,
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: 'secret',
  };
  const { source } = await writeDirImage(join(folder, 'image'));
  for (const name of ['team/app:1.0', 'team/app:1.1', 'team/base:1'])
    expect(
      await gantry(['publish', source, name, '--state', state], { env: { ...process.env, ...env } }),
    ).toMatchObject({
      code: 0,
    });
  for (const shell of ['bash', 'zsh', 'fish'])
    await writeFile(join(folder, `gantry.${shell}`), (await runGantry(new Bucket(), ['completion', shell])).stdout);
}, 60_000);
afterAll(async () => {
  storage.close();
  await rm(folder, { recursive: true, force: true });
});

/** Asks a shell what it offers at the end of a command line. */
type Ask = (line: string) => Promise<readonly string[]>;

const lines = (text: string): readonly string[] => text.split(/\r?\n/).filter((line) => line !== '');

const SHELLS: Readonly<Record<string, Ask>> = {
  // Words that readline would put in the place of what follows the last break.
  bash: async (line) => {
    const program = 'source "$1"; COMP_LINE=$2; COMP_POINT=${#2}; _gantry; printf "%s\\n" "${COMPREPLY[@]}"';
    return lines(await must('bash', ['-c', program, 'bash', join(folder, 'gantry.bash'), line], { env, cwd: folder }));
  },
  // The words that zsh would insert, each caught where the completion system adds it. The line is typed once the
  // line editor runs: before that, the terminal itself would take the keys.
  zsh: async (line) => {
    const program = `
      zmodload zsh/zpty
      zpty z zsh -f -i
      wait_for() { local out all=; while zpty -r z out; do all+=$out; [[ $all == *"$1"* ]] && break; done; print -r -- "$all"; }
      zpty -w z "PS1=; unsetopt prompt_sp zle_bracketed_paste 2>/dev/null; autoload -Uz compinit; compinit -u -d $1/zdump; source $1/gantry.zsh"
      zpty -w z 'compadd() {
        local -a hits; builtin compadd -A hits "$@" 2>/dev/null; (( \${#hits} )) && print -rl -- HIT:\${^hits} >> '$1/zhits'; builtin compadd "$@" }'
      zpty -w z 'asked() { zle complete-word; print "ASKED\${:-}:" }; zle -N asked; bindkey "^I" asked'
      zpty -w z 'zle-line-init() { print "EDITS\${:-}:" }; zle -N zle-line-init'
      wait_for EDITS: >/dev/null
      : > $1/zhits
      zpty -n -w z "$2"$'\\t'
      wait_for ASKED: >/dev/null
      zpty -d z
      sed -n 's/^HIT://p' $1/zhits`;
    return [...new Set(lines(await must('zsh', ['-f', '-c', program, 'zsh', folder, line], { env, cwd: folder })))];
  },
  fish: async (line) => {
    const program = 'source $argv[1]; complete -C $argv[2]';
    const out = await must('fish', ['--no-config', '-c', program, join(folder, 'gantry.fish'), line], {
      env,
      cwd: folder,
    });
    return lines(out).map((one) => one.split('\t')[0] ?? '');
  },
};

/** Shells that few machines have are no part of what must be installed. */
function missingShell(name: string): readonly string[] {
  try {
    return missingPrograms(name);
  } catch {
    return [name];
  }
}

describe.each(Object.entries(SHELLS))('gantry completion %s', (shell, ask) => {
  const missing = missingShell(shell);
  /** What stands before a colon is not replaced by bash, so it does not offer it. */
  const cut = (word: string): string =>
    shell === 'bash' ? word.slice(Math.max(word.lastIndexOf(':'), word.lastIndexOf('=')) + 1) : word;

  it.skipIf(missing.length > 0).each([
    ['gantry expl', ['explain']],
    ['gantry key s', ['show']],
    ['gantry publish --re', ['--replace', '--recompress', '--region', '--rewrite-opaque']],
    ['gantry publish --replace --no-', ['--no-referrers']],
    ['gantry ls key --js', ['--json']],
    ['gantry completion ', ['bash', 'fish', 'zsh']],
    ['gantry ls --to ', ['local', 's3://']],
    ['gantry ls --to lo', ['local']],
    ['gantry publish doc', ['docker://', 'docker-archive:', 'docker-daemon:']],
  ])(titleWith('offers for %j: %j', missing), async (line, expected) => {
    const offered = await ask(line);
    expect([...offered].sort()).toEqual([...expected].sort());
  });

  it.skipIf(missing.length > 0)(titleWith('offers files behind dir:', missing), async () => {
    expect(await ask('gantry publish dir:im')).toEqual(['dir:image/', 'dir:images/'].map(cut));
    expect(await ask('gantry publish dir:images/')).toEqual(['dir:images/inner/'].map(cut));
  });

  it.skipIf(missing.length > 0)(titleWith('offers repositories, and tags behind the colon', missing), async () => {
    expect(await ask(`gantry ls --state ${state} te`)).toEqual(['team/app', 'team/base']);
    expect(await ask(`gantry inspect --state ${state} team/app:`)).toEqual(['team/app:1.0', 'team/app:1.1'].map(cut));
  });

  it.skipIf(missing.length > 0)(titleWith('offers the buckets of the account', missing), async () => {
    expect(await ask('gantry ls --to s3://')).toEqual(
      ['s3://images', 's3://other'].map((word) => (shell === 'bash' ? word.slice(3) : word)),
    );
  });
});

describe('gantry completion', () => {
  it('offers every command', async () => {
    const { stdout } = await run('gantry', ['completion', 'candidates', '--', ''], { env });
    expect(lines(stdout).map((line) => line.split('\t')[0])).toEqual([...VERBS]);
  });

  it('refuses other shells', async () => {
    expect((await runGantry(new Bucket(), ['completion', 'tcsh'])).code).toBe(2);
  });
});
