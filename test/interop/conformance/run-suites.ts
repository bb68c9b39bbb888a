/** Which suite runs against which endpoint, and with what content. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gantry } from '../programs.ts';
import { type Content, readContent } from './content.ts';
import { gantryEnvironment, type StartedEndpoint } from './endpoints.ts';
import { type Endpoint, runSuite, type SuiteResult, type SuiteTask } from './run-suite.ts';
import type { BuiltSuite } from './suites.ts';

/** What the runs share. */
export interface SuiteRun {
  readonly suites: readonly BuiltSuite[];
  /** For reports and configuration files. */
  readonly folder: string;
  readonly tell: (message: string) => void;
}

/** The results, and how much content the read-only runs had. */
export interface SuiteRunResult {
  readonly results: readonly SuiteResult[];
  readonly content: Content | null;
}

/** The repository whose content the read-only runs read. */
const FILLED = 'conformance/content';

/**
 * Runs every suite read-only over what HEAD has pushed into docker-registry and `gantry sync` has copied to Gantry;
 * against both, so that both answer the same questions. `whole`: docker-registry also gets everything else.
 */
export async function runReadOnly(
  run: SuiteRun,
  { peer, serve, whole }: { readonly peer: StartedEndpoint; readonly serve: StartedEndpoint; readonly whole: boolean },
): Promise<SuiteRunResult> {
  const results: SuiteResult[] = [];
  const head = run.suites.find(({ id }) => id === 'HEAD');
  if (whole) results.push(...(await runOver(run, peer, pushTask('conformance/peer'))));
  if (head === undefined) {
    run.tell('skipped, the read-only runs: their content comes from the suite HEAD, which is not there');
    return { results, content: null };
  }
  run.tell(`HEAD pushes into ${peer.title}`);
  await runSuite(head, peer, { kind: 'fill', repository: FILLED }, run.folder);
  const content = await readContent(peer, `${FILLED}/one`);
  await syncContent(run.folder, peer, serve, content.repository);
  results.push(...(await runOver(run, peer, () => ({ kind: 'read', content }))));
  results.push(...(await runOver(run, serve, () => ({ kind: 'read', content }))));
  return { results, content };
}

/** Runs every suite with push, content discovery and content management, each in repositories of its own. */
export async function runPush(run: SuiteRun, endpoint: Endpoint, repository: string): Promise<readonly SuiteResult[]> {
  return runOver(run, endpoint, pushTask(repository));
}

/** Runs every suite read-only over what a repository has. */
export async function runRead(run: SuiteRun, endpoint: Endpoint, repository: string): Promise<SuiteRunResult> {
  const content = await readContent(endpoint, repository);
  return { results: await runOver(run, endpoint, () => ({ kind: 'read', content })), content };
}

function pushTask(repository: string): (suite: BuiltSuite) => SuiteTask {
  return ({ id }) => ({ kind: 'push', repository: `${repository}/${id.toLowerCase()}` });
}

async function runOver(
  { suites, folder, tell }: SuiteRun,
  endpoint: Endpoint,
  taskOf: (suite: BuiltSuite) => SuiteTask,
): Promise<SuiteResult[]> {
  const results: SuiteResult[] = [];
  for (const suite of suites) {
    const task = taskOf(suite);
    const result = await runSuite(suite, endpoint, task, folder);
    const { passed, failed, skipped } = result.counts;
    const counts = `${String(passed)} passed, ${String(failed)} failed, ${String(skipped)} skipped`;
    tell(`${suite.id}, ${endpoint.title} (${task.kind}): ${counts} in ${result.seconds.toFixed(1)} s`);
    results.push(result);
  }
  return results;
}

async function syncContent(
  folder: string,
  peer: StartedEndpoint,
  { state = '' }: StartedEndpoint,
  repository: string,
): Promise<void> {
  const config = join(folder, 'sync.yaml');
  const from = `docker://${new URL(peer.url).host}/${repository}`;
  await writeFile(config, `repositories:\n  - from: ${from}\n    to: ${repository}\n    tls-verify: false\n`);
  const { code, stdout, stderr } = await gantry(['sync', config, '--state', state], { env: gantryEnvironment(folder) });
  if (code !== 0) throw new Error(`gantry sync ended with ${String(code)}:\n${stderr}\n${stdout}`);
}
