/**
 * `npm run conformance`: the official OCI conformance suites against Gantry and docker-registry, and both compared byte
 * for byte.
 *
 * - `--quick`: what fits into a minute and a half: fewer images and clients, pushes through the Worker's
 *   push endpoint alone.
 * - `--proof`: writes the result to `docs/results`. `--json FILE`: writes everything in JSON. `--docs`: writes `docs/reference/conformance.md`.
 * - `--target URL`: runs the suites against that registry alone; `--push`: with push and deletion, in repositories
 *   below
 *   `--repository NAME`, instead of read-only over NAME. Login: `OCI_USERNAME` and `OCI_PASSWORD`.
 * - `--suite ID`: only this suite (several: once each). `--part suites|comparison`: only this part.
 * - `--source ID=FOLDER`: a suite from a checkout instead of the Go module proxy.
 *
 * Exit code: 0 nothing failed, 1 something did, 2 usage error.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ImageKind, IMAGES, NONSTANDARD } from '../matrix/images.ts';
import { missingPrograms, must } from '../programs.ts';
import { countFigure, writeProof } from '../../proof/result.ts';
import { casesOf } from './comparison/cases.ts';
import { compare } from './comparison/compare.ts';
import { type ComparedImage, placeImage } from './comparison/images.ts';
import { explainDifferences } from './comparison/known-differences.ts';
import { ENDPOINTS, peerVersion, type StartedEndpoint, startPeer, startReceive, startServe } from './endpoints.ts';
import { type Options, readOptions } from './options.ts';
import { failuresOf, type Findings, jsonOf, pageOf, summaryOf } from './report.ts';
import type { Endpoint } from './run-suite.ts';
import { runPush, runRead, runReadOnly, type SuiteRun } from './run-suites.ts';
import { countBy } from './table.ts';
import { startSplit } from './split-endpoint.ts';
import { type BuiltSuite, buildSuite, SUITES, SuiteUnavailable } from './suites.ts';

/** Its schema 1 names copies of layers that are made at publish time, which docker-registry does not do. */
const NOT_COMPARED = [...NONSTANDARD, 'rewritten'] as const satisfies readonly ImageKind[];

const PAGE = new URL('../../../docs/reference/conformance.md', import.meta.url);
/** Kinds of the matrix that add time and no other response. */
const LEFT_OUT_QUICKLY: readonly ImageKind[] = ['large', 'many', 'odd'];

const tell = (message: string): void => void process.stderr.write(`${message}\n`);

// A reader that stops early (`| head`) ends no run.
process.stdout.on('error', () => undefined);
const options = readOptions(process.argv.slice(2));
if (options === null) process.exit(2);
const folder = await mkdtemp(join(tmpdir(), 'gantry-conformance-'));
const started: StartedEndpoint[] = [];
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
try {
  const findings = await find(options);
  const failures = [...failuresOf(findings)];
  // A page of a part would say that the rest does not exist.
  if (options.docs && findings.skipped.length > 0) failures.push('--docs wrote nothing, because a part was skipped');
  else if (options.docs) await writeFile(PAGE, pageOf(findings));
  if (options.json !== undefined) await writeFile(options.json, jsonOf(findings, failures));
  if (options.proof) prove(options, findings, failures);
  process.stdout.write(`${summaryOf(findings)}\n`);
  for (const [failure, count] of countBy(failures, (text) => text))
    process.stdout.write(`failed: ${failure}${count === 1 ? '' : ` (${String(count)} times)`}\n`);
  tell(
    `${String(findings.results.length)} runs of suites, ${String(findings.comparison?.requests ?? 0)} requests compared, ` +
      `${String(failures.length)} failures, ${String(findings.skipped.length)} skipped`,
  );
  process.exitCode = failures.length === 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof Error)) throw error;
  tell(`error: ${error.message}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}

/** Writes the result for docs/proof.md. */
function prove(
  { parts, suites }: Options,
  { isWhole, results, comparison, skipped }: Findings,
  failures: readonly string[],
): void {
  const own = results.filter(({ endpoint }) => endpoint !== ENDPOINTS.peer);
  const passed = own.reduce((all, { counts }) => all + counts.passed, 0);
  const isAll = isWhole && parts.size === 2 && suites.length === Object.keys(SUITES).length && skipped.length === 0;
  writeProof('conformance', {
    extent: isAll ? 'whole' : 'bounded',
    leftOut: skipped,
    figures: [
      countFigure('runs of the official suites', own.length),
      countFigure('tests of them that passed', passed),
      countFigure('results that are not explained', failures.length, 0),
      ...(comparison === null
        ? []
        : [
            countFigure('requests compared with docker-registry', comparison.requests),
            countFigure(
              'unexplained differences from docker-registry',
              explainDifferences(comparison.differences).unknown.length,
              0,
            ),
          ]),
    ],
  });
}

async function cleanUp(): Promise<void> {
  await Promise.all(started.splice(0).map((endpoint) => endpoint.close()));
  await rm(folder, { recursive: true, force: true });
}

async function find(chosen: Options): Promise<Findings> {
  const skipped: string[] = [];
  const skip = (text: string): void => {
    skipped.push(text);
    tell(`skipped, ${text}`);
  };
  const suites = chosen.parts.has('suites') ? await buildSuites(chosen, skip) : [];
  const run: SuiteRun = { suites, folder, tell };
  const versions = await versionsOf(suites);
  const common = { isWhole: !chosen.quick, skipped, comparison: null };
  if (chosen.target !== null) {
    const { target, push, repository } = chosen;
    const endpoint: Endpoint = { title: target, url: target, ...(chosen.login !== null && { login: chosen.login }) };
    await fetch(`${target}/v2/`).catch((cause: unknown) => {
      throw new Error(`Nothing answers at ${target}/v2/. Start the registry, or correct --target.`, { cause });
    });
    if (!push) return { ...common, versions, ...(await runRead(run, endpoint, repository)) };
    return { ...common, versions, results: await runPush(run, endpoint, repository), content: null };
  }
  const noPeer = missingPrograms('docker-registry');
  if (noPeer.length > 0) {
    skip('the read-only runs and the comparison: docker-registry is not installed');
    return { ...common, versions, results: await pushed(run, chosen, null), content: null };
  }
  const [peer, serve] = [await start(startPeer), await start(startServe)];
  // Two processors: the push endpoint is tested while the others are read.
  const [{ results, content }, ofPushes] = await Promise.all([
    suites.length === 0 ? { results: [], content: null } : runReadOnly(run, { peer, serve, whole: !chosen.quick }),
    pushed(run, chosen, serve),
  ]);
  return {
    ...common,
    versions: { ...versions, peer: await peerVersion() },
    results: [...results, ...ofPushes],
    content,
    comparison: chosen.parts.has('comparison') ? await compareImages(chosen, peer, serve, skip) : null,
  };
}

async function start(starter: (folder: string) => Promise<StartedEndpoint>): Promise<StartedEndpoint> {
  const endpoint = await starter(folder);
  started.push(endpoint);
  return endpoint;
}

/** What pushes: the push endpoint by itself (in a whole run), and the Worker reading what it takes. */
async function pushed(run: SuiteRun, { quick }: Options, serve: StartedEndpoint | null): ReturnType<typeof runPush> {
  if (run.suites.length === 0) return [];
  const results = [];
  if (serve !== null) {
    const receive = await start(() => startReceive(folder, serve.state));
    const split = await start(() => startSplit(serve, receive));
    results.push(...(await runPush(run, split, 'conformance/split')));
  }
  if (!quick) results.push(...(await runPush(run, await start(startReceive), 'conformance')));
  return results;
}

async function buildSuites(chosen: Options, skip: (text: string) => void): Promise<readonly BuiltSuite[]> {
  const built: BuiltSuite[] = [];
  const noGo = missingPrograms('go');
  for (const id of chosen.suites) {
    if (noGo.length > 0) {
      skip(`the suite ${id}: go is not installed`);
      continue;
    }
    try {
      built.push(await buildSuite(SUITES[id], folder, chosen.sources.get(id)));
    } catch (error) {
      if (!(error instanceof SuiteUnavailable)) throw error;
      skip(`the suite ${id}: ${error.message}`);
    }
  }
  return built;
}

async function compareImages(
  { quick }: Options,
  peer: StartedEndpoint,
  serve: StartedEndpoint,
  skip: (text: string) => void,
): Promise<Findings['comparison']> {
  const kinds = (Object.keys(IMAGES) as ImageKind[])
    .filter((kind) => !(NOT_COMPARED as readonly ImageKind[]).includes(kind))
    .filter((kind) => !quick || !LEFT_OUT_QUICKLY.includes(kind));
  const images: ComparedImage[] = [];
  for (const kind of kinds) {
    const missing = missingPrograms(...(kind === 'schema1' ? ['busybox', 'skopeo'] : ['busybox']));
    if (missing.length > 0) skip(`the image ${kind}: ${missing.join(', ')} not installed`);
    else images.push(await placeImage(kind, folder, peer, serve));
  }
  tell(`comparing ${images.map(({ kind }) => kind).join(', ')}`);
  const comparison = await compare(await casesOf(images, quick), peer, serve);
  return { ...comparison, images: images.map(({ kind }) => kind) };
}

async function versionsOf(suites: readonly BuiltSuite[]): Promise<Record<string, string>> {
  const { version } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return {
    gantry: version,
    ...(suites.length > 0 && { go: (await must('go', ['env', 'GOVERSION'])).trim() }),
    ...Object.fromEntries(suites.map(({ id, version: module, from }) => [id, `${module} from ${from}`])),
  };
}
