/** Runs a suite against an endpoint, and reads what came of each test. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../programs.ts';
import type { Content } from './content.ts';
import type { BuiltSuite, SuiteId } from './suites.ts';

/** A registry over HTTP. */
export interface Endpoint {
  /** What the tables call it. */
  readonly title: string;
  /** `http://127.0.0.1:5000`, without a slash at the end. */
  readonly url: string;
  readonly login?: { readonly username: string; readonly password: string };
}

/**
 * What the suite may do there. `push`: everything, in repositories below `repository`. `fill`: the same without
 * deletion, so that the content stays. `read`: it reads the content that is there.
 */
export type SuiteTask =
  | { readonly kind: 'push' | 'fill'; readonly repository: string }
  | { readonly kind: 'read'; readonly content: Content };

/** How a test ended. `disabled`: not run, as the task says; `skipped`: the suite found that it does not apply. */
export const OUTCOMES = ['passed', 'failed', 'skipped', 'disabled'] as const;

/** One of {@link OUTCOMES}. */
export type Outcome = (typeof OUTCOMES)[number];

/** One test. */
export interface TestResult {
  readonly name: string;
  readonly outcome: Outcome;
  /** Why it failed or was skipped, in the suite's words; empty where it gives no reason. */
  readonly message: string;
}

/** What came of a run. */
export interface SuiteResult {
  readonly suite: SuiteId;
  readonly endpoint: string;
  readonly task: SuiteTask['kind'];
  /** As the suite itself counts; HEAD counts some groups as well as their tests. */
  readonly counts: Readonly<Record<Outcome, number>>;
  readonly tests: readonly TestResult[];
  readonly seconds: number;
}

/** Tests of v1.1.1 that look for what the suite itself has pushed, so that no content makes them pass read-only. */
const NEEDS_PUSH = [
  'GET request to existing blob should yield 200$',
  'GET request to existing blob with filter should yield 200',
  'GET request to missing manifest should yield 200',
];

/** Runs it. `folder` takes the suite's own reports. Throws if the suite did not come to its end. */
export async function runSuite(
  suite: BuiltSuite,
  endpoint: Endpoint,
  task: SuiteTask,
  folder: string,
): Promise<SuiteResult> {
  const reports = await mkdtemp(join(folder, `${suite.id}-`));
  const began = performance.now();
  const read =
    suite.kind === 'ginkgo'
      ? await runGinkgo(suite, endpoint, task, reports)
      : await runProgram(suite, endpoint, task, reports);
  return {
    suite: suite.id,
    endpoint: endpoint.title,
    task: task.kind,
    ...read,
    seconds: (performance.now() - began) / 1000,
  };
}

type Read = Pick<SuiteResult, 'counts' | 'tests'>;

/** Variables of this process that would change what a suite does are not passed on. */
function environmentOf(variables: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('OCI_'));
  return { ...Object.fromEntries(others), ...variables };
}

async function runProgram(
  suite: BuiltSuite,
  { url, login }: Endpoint,
  task: SuiteTask,
  reports: string,
): Promise<Read> {
  const { protocol, host } = new URL(url);
  const noDeletion = { OCI_API_BLOBS_DELETE: 'false', OCI_API_MANIFESTS_DELETE: 'false', OCI_API_TAGS_DELETE: 'false' };
  const ofTask =
    task.kind === 'read'
      ? {
          ...noDeletion,
          OCI_REPO1: task.content.repository,
          OCI_API_PUSH: 'false',
          OCI_RO_DATA_TAGS: task.content.tags.join(' '),
          OCI_RO_DATA_MANIFESTS: task.content.manifests.join(' '),
          OCI_RO_DATA_BLOBS: task.content.blobs.join(' '),
          OCI_RO_DATA_REFERRERS: task.content.subjects.join(' '),
        }
      : {
          ...(task.kind === 'fill' && noDeletion),
          OCI_REPO1: `${task.repository}/one`,
          OCI_REPO2: `${task.repository}/two`,
        };
  const env = environmentOf({
    OCI_REGISTRY: host,
    OCI_TLS: protocol === 'http:' ? 'disabled' : 'enabled',
    OCI_RESULTS_DIR: reports,
    OCI_VERSION: '1.1',
    OCI_API_BLOBS_DIGEST_HEADER: 'true',
    // Read-only, the suite does not look at the headers of manifests: it would miss Docker-Content-Digest in each.
    ...(task.kind !== 'read' && { OCI_API_MANIFESTS_DIGEST_HEADER: 'true' }),
    ...(login !== undefined && { OCI_USERNAME: login.username, OCI_PASSWORD: login.password }),
    ...ofTask,
  });
  const { stdout, stderr } = await run(suite.program, [], { env, cwd: reports });
  return readProgramReport(stdout, stderr);
}

const OUTCOME_OF_STATUS: Readonly<Record<string, Outcome>> = {
  Pass: 'passed',
  FAIL: 'failed',
  Error: 'failed',
  Unknown: 'failed',
  Skip: 'skipped',
  Disabled: 'disabled',
};

/** Reads the report that HEAD prints: a tree of names and statuses with the errors below the leaves, then totals. */
export function readProgramReport(stdout: string, stderr: string): Read {
  const nodes: { readonly depth: number; readonly name: string; readonly outcome: Outcome; message: string }[] = [];
  const counts: Record<Outcome, number> = { passed: 0, failed: 0, skipped: 0, disabled: 0 };
  const [tree = '', rest] = stdout.split(/^Configuration:$/m);
  const totals = /^OCI Conformance Result: .*\n((?: {2}.*\n)+)/m.exec(rest ?? '')?.[1];
  if (totals === undefined) throw new Error(`The suite did not come to its end:\n${stderr.slice(-2000)}`);
  for (const [, word = '', count] of totals.matchAll(/^ {2}(\w+)\.+: +(\d+)$/gm)) {
    const outcome = OUTCOME_OF_STATUS[word];
    if (outcome !== undefined) counts[outcome] += Number(count);
  }
  for (const line of tree.split('\n').slice(1)) {
    const [, indent = '', name, status = ''] = /^( *)OCI Conformance Test\/(.*): (\w+)$/.exec(line) ?? [];
    const outcome = OUTCOME_OF_STATUS[status];
    const last = nodes.at(-1);
    if (name !== undefined && outcome !== undefined) nodes.push({ depth: indent.length, name, outcome, message: '' });
    else if (last !== undefined && line !== '') last.message += `${line.replace(/^ *- /, '')}\n`;
  }
  const tests = nodes
    .filter(({ depth }, index) => (nodes[index + 1]?.depth ?? 0) <= depth)
    .map(({ name, outcome, message }) => ({ name, outcome, message: message.trim() }));
  return { counts, tests };
}

async function runGinkgo(suite: BuiltSuite, { url, login }: Endpoint, task: SuiteTask, reports: string): Promise<Read> {
  const report = join(reports, 'report.json');
  const isRead = task.kind === 'read';
  const env = environmentOf({
    OCI_ROOT_URL: url,
    OCI_REPORT_DIR: reports,
    OCI_TEST_PULL: '1',
    OCI_TEST_CONTENT_DISCOVERY: '1',
    OCI_TEST_PUSH: isRead ? '0' : '1',
    OCI_TEST_CONTENT_MANAGEMENT: task.kind === 'push' ? '1' : '0',
    ...(login !== undefined && { OCI_USERNAME: login.username, OCI_PASSWORD: login.password }),
    ...(isRead
      ? {
          OCI_NAMESPACE: task.content.repository,
          OCI_TAG_NAME: task.content.image.tag,
          OCI_MANIFEST_DIGEST: task.content.image.manifest,
          OCI_BLOB_DIGEST: task.content.image.blob,
          OCI_TAG_LIST: task.content.tags.join(','),
        }
      : { OCI_NAMESPACE: `${task.repository}/one`, OCI_CROSSMOUNT_NAMESPACE: `${task.repository}/two` }),
  });
  const args = ['-test.run=TestConformance', `-ginkgo.json-report=${report}`, '-ginkgo.no-color'];
  if (isRead) args.push(`-ginkgo.skip=${NEEDS_PUSH.map((name) => `listing references.*${name}`).join('|')}`);
  const { stdout, stderr } = await run(suite.program, args, { env, cwd: reports });
  const text = await readFile(report, 'utf8').catch(() => '');
  if (text === '') throw new Error(`The suite did not come to its end:\n${(stdout + stderr).slice(-2000)}`);
  return readGinkgoReport(text);
}

/** Reads ginkgo's report in JSON. Workflows that the task leaves out are disabled, and so is what needs a push. */
export function readGinkgoReport(text: string): Read {
  const suites = JSON.parse(text) as readonly {
    readonly SpecReports: readonly {
      readonly ContainerHierarchyTexts: readonly string[] | null;
      readonly LeafNodeType: string;
      readonly LeafNodeText: string;
      readonly State: string;
      readonly Failure?: { readonly Message?: string };
    }[];
  }[];
  const tests = suites.flatMap(({ SpecReports }) =>
    SpecReports.filter(({ LeafNodeType }) => LeafNodeType === 'It').map((spec): TestResult => {
      const name = [...(spec.ContainerHierarchyTexts ?? []).slice(1), spec.LeafNodeText].join('/');
      const message = spec.Failure?.Message ?? '';
      if (spec.State === 'passed') return { name, outcome: 'passed', message: '' };
      if (spec.State !== 'skipped') return { name, outcome: 'failed', message };
      // "You have skipped this test": it is switched off. Without a message: left out by name.
      const outcome = message === '' || message.startsWith('you have skipped this test') ? 'disabled' : 'skipped';
      return { name, outcome, message: outcome === 'disabled' ? '' : message };
    }),
  );
  const count = (outcome: Outcome): number => tests.filter((test) => test.outcome === outcome).length;
  return {
    counts: {
      passed: count('passed'),
      failed: count('failed'),
      skipped: count('skipped'),
      disabled: count('disabled'),
    },
    tests,
  };
}
