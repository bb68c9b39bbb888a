/** Runs the steps of a composite action as GitHub's runner does: expressions, variables, bash, and outputs by a file. */
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../docs/blocks.ts';
import { run } from '../interop/programs.ts';

/** The parts of `action.yml` that are used ("Metadata syntax for GitHub Actions"). */
export interface Action {
  readonly inputs: Readonly<Record<string, { readonly required?: boolean; readonly default?: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly ActionStep[] };
}

/** One step: it runs a script, or uses another action. */
interface ActionStep {
  readonly id?: string;
  readonly name: string;
  readonly uses?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly shell?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The action of this project. */
export async function readAction(): Promise<Action> {
  return parse(await readFile(join(ROOT, 'action.yml'), 'utf8')) as Action;
}

/** What a run left. */
export interface ActionRun {
  /** Of the step that failed, else 0. */
  readonly code: number | null;
  /** Everything that was printed. */
  readonly log: string;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
}

/** Runs the action with these inputs. `env`: what the job has. */
export async function runAction(
  action: Action,
  inputs: Readonly<Record<string, string>>,
  { folder, env }: { readonly folder: string; readonly env: NodeJS.ProcessEnv },
): Promise<ActionRun> {
  for (const name of Object.keys(inputs)) if (!(name in action.inputs)) throw new Error(`there is no input ${name}`);
  for (const [name, { required }] of Object.entries(action.inputs))
    if (required === true && inputs[name] === undefined) throw new Error(`the input ${name} is required`);
  const temp = await mkdtemp(join(folder, 'runner-'));
  await mkdir(join(temp, 'temp'));
  const values = new Map<string, string>(
    Object.entries(action.inputs).map(([name, { default: byDefault = '' }]) => [
      `inputs.${name}`,
      inputs[name] ?? byDefault,
    ]),
  );
  const summaryFile = join(temp, 'summary');
  await writeFile(summaryFile, '');
  let log = '';
  for (const [at, step] of action.runs.steps.entries()) {
    // The only other action installs Node, which runs this test.
    if (step.uses !== undefined) {
      if (!step.uses.startsWith('actions/setup-node@')) throw new Error(`${step.uses} is not known here`);
      continue;
    }
    if (step.shell !== 'bash' || step.run === undefined) throw new Error(`${step.name} has no script for bash`);
    const [script, outputFile] = [join(temp, `${String(at)}.sh`), join(temp, `${String(at)}.output`)];
    await Promise.all([writeFile(script, expand(step.run, values)), writeFile(outputFile, '')]);
    const own = Object.entries(step.env ?? {}).map(([name, value]) => [name, expand(value, values)] as const);
    const { code, stdout, stderr } = await run('bash', ['--noprofile', '--norc', '-eo', 'pipefail', script], {
      cwd: folder,
      env: {
        ...env,
        ...Object.fromEntries(own),
        GITHUB_ACTION_PATH: ROOT.replace(/\/$/, ''),
        GITHUB_OUTPUT: outputFile,
        GITHUB_STEP_SUMMARY: summaryFile,
        RUNNER_TEMP: join(temp, 'temp'),
      },
    });
    log += stdout + stderr;
    for (const [, name = '', value = ''] of (await readFile(outputFile, 'utf8')).matchAll(/^([\w-]+)=(.*)$/gm))
      values.set(`steps.${step.id ?? ''}.outputs.${name}`, value);
    if (code !== 0) return { code, log, outputs: {}, summary: '' };
  }
  const outputs = Object.entries(action.outputs).map(([name, { value }]) => [name, expand(value, values)] as const);
  return { code: 0, log, outputs: Object.fromEntries(outputs), summary: await readFile(summaryFile, 'utf8') };
}

/** Puts the values of expressions in; one without a value is empty, as in GitHub's runner. */
function expand(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(/\$\{\{\s*([\w.-]+)\s*\}\}/g, (_, name: string) => values.get(name) ?? '');
}
