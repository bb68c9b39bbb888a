/** What a run has found, what of it is a failure, and the texts for the terminal and `docs/reference/conformance.md`. */
import type { Comparison, Difference } from './comparison/compare.ts';
import { explainDifferences, KNOWN_DIFFERENCES } from './comparison/known-differences.ts';
import type { Content } from './content.ts';
import { ENDPOINTS } from './endpoints.ts';
import { explain, type KnownResult, outdatedResults } from './known-results.ts';
import { OUTCOMES, type SuiteResult } from './run-suite.ts';
import { SUITE_MODULE, SUITES } from './suites.ts';
import { countBy, item, oneLine, table, wrap } from './table.ts';

/** Everything that a run has found. */
export interface Findings {
  /** Without what is left to `--quick`. */
  readonly isWhole: boolean;
  readonly versions: Readonly<Record<string, string>>;
  readonly results: readonly SuiteResult[];
  readonly content: Content | null;
  readonly comparison: (Comparison & { readonly images: readonly string[] }) | null;
  /** What was not run, with the reason. */
  readonly skipped: readonly string[];
}

/** Every failure, a line each; none is success. What docker-registry does is no failure of a run. */
export function failuresOf({ results, comparison, isWhole }: Findings): readonly string[] {
  const own = results.filter(({ endpoint }) => endpoint !== ENDPOINTS.peer);
  const failures = own.flatMap((result) =>
    explain(result)
      // A registry of somebody else may lack what the specification leaves to it.
      .filter(({ known, test }) => known === null && (isOurs(result) || test.outcome === 'failed'))
      .map(({ test }) => `${titleOf(result)}: ${test.name} ${test.outcome}: ${oneLine(test.message)}`),
  );
  for (const result of own) {
    // HEAD counts failures of groups, too; the tree has their errors only at the leaves.
    if (result.counts.failed > 0 && !result.tests.some(({ outcome }) => outcome === 'failed'))
      failures.push(`${titleOf(result)}: ${String(result.counts.failed)} failed, without a test that did`);
    if (result.counts.passed === 0) failures.push(`${titleOf(result)}: no test passed`);
  }
  for (const { suite, endpoints, reason } of outdatedResults(results))
    failures.push(
      `${suite}, ${endpoints.join(', ')}: a known result no longer occurs, remove it from known-results.ts: ${reason}`,
    );
  if (comparison === null) return failures;
  const { unknown, counts } = explainDifferences(comparison.differences);
  failures.push(...unknown.map(differenceLine));
  for (const { request, endpoint, text } of comparison.contradictions) {
    if (endpoint !== ENDPOINTS.peer) failures.push(`${endpoint}: ${request.group}, ${request.label}: ${text}`);
  }
  for (const [{ peer }, count] of counts) {
    if (count === 0 && isWhole)
      failures.push(`a known difference no longer occurs, remove it from known-differences.ts: ${peer}`);
  }
  return failures;
}

/** The tables for the terminal. */
export function summaryOf(findings: Findings): string {
  const { comparison, results } = findings;
  return [
    ...(results.length === 0 ? [] : [runsTable(results)]),
    ...results.filter((result) => !isOurs(result)).flatMap(skippedLines),
    ...(comparison === null ? [] : [comparisonText(comparison), differencesTable(comparison)]),
  ].join('\n\n');
}

/** Everything in JSON. Differences are counted; only those without an entry are listed. */
export function jsonOf(findings: Findings, failures: readonly string[]): string {
  const { comparison, content, ...rest } = findings;
  const explained = comparison === null ? null : explainDifferences(comparison.differences);
  const compared = comparison !== null && {
    images: comparison.images,
    requests: comparison.requests,
    known: KNOWN_DIFFERENCES.map(({ peer, gantry, reason }, index) => {
      const known = KNOWN_DIFFERENCES[index];
      return { peer, gantry, reason, count: known === undefined ? 0 : (explained?.counts.get(known) ?? 0) };
    }),
    unknown: explained?.unknown.map(({ request: { method, path, headers }, ...difference }) => ({
      method,
      path,
      headers,
      ...difference,
    })),
    contradictions: comparison.contradictions.map(({ request: { method, path }, endpoint, text }) => ({
      method,
      path,
      endpoint,
      text,
    })),
  };
  return `${JSON.stringify({ ...rest, failures, content, comparison: compared === false ? null : compared }, null, 2)}\n`;
}

/** `docs/reference/conformance.md`, for a whole run with nothing skipped. */
export function pageOf(findings: Findings): string {
  const { versions, results, content, comparison } = findings;
  const suites = Object.values(SUITES).map(({ id, commit, version }) => [
    id,
    `\`${commit.slice(0, 12)}\``,
    `\`${version}\``,
  ]);
  const known = results.flatMap(explain).flatMap((one) => (one.known === null ? [] : [one.known]));
  const knownItems = [...new Set(known)].map((one) => item(knownText(one, known)));
  const open = [...countBy(failuresOf(findings), (text) => text)];
  const peerFailures = results.filter(({ endpoint }) => endpoint === ENDPOINTS.peer).flatMap(failedGroups);
  const contradictions = comparison?.contradictions.filter(({ endpoint }) => endpoint === ENDPOINTS.peer) ?? [];
  const { counts } = explainDifferences(comparison?.differences ?? []);
  return `<!-- Made by \`npm run conformance -- --docs\`; do not edit. -->
# Conformance

${wrap(
  '`npm run conformance` runs the official conformance suites of the OCI distribution specification and compares Gantry ' +
    `with docker-registry ${versions.peer ?? ''} byte for byte, for the images of [the matrix](interop.md). It fails ` +
    'on every result that is not explained below, and on every explanation that no longer applies. It needs Go 1.24 ' +
    "and Debian's `docker-registry`; what is missing is skipped by name.",
)}

\`\`\`sh checks
npm run conformance -- --quick
npm run conformance -- --json result.json --docs
npm run conformance -- --target http://127.0.0.1:5000 --push
\`\`\`

${item(
  '`--target URL --push` runs both suites with push, content discovery and content management against any registry, ' +
    'in repositories below `--repository NAME` (default: `conformance`). The login is taken from `OCI_USERNAME` and ' +
    '`OCI_PASSWORD`.',
)}
${item('`--target URL --repository NAME` runs them read-only over what that repository has.')}
${item(
  '`--source v1.1.1=FOLDER` takes a suite from a checkout (its folder `conformance`) instead of the Go module proxy. ' +
    'Its files must have the pinned hash.',
)}

## The OCI conformance suites

${table(['suite', 'commit', `version of ${SUITE_MODULE}`], suites)}

v1.1.1 is the last release of the specification. HEAD is run with its stricter setting that Docker-Content-Digest is
required.

${runsTable(results)}

${item(
  '**read**: read-only. HEAD pushes its own data into docker-registry, and `gantry sync` copies them to Gantry' +
    (content === null
      ? '.'
      : `: ${String(content.tags.length)} tags, ${String(content.manifests.length)} manifests, ` +
        `${String(content.blobs.length)} blobs, referrers of ${String(content.subjects.length)}.`) +
    ' Both registries are asked for exactly these.',
)}
${item('**push**: push, content discovery and content management, too.')}
${item(
  '**disabled**: not asked for in this run, such as pushes in a read-only one; of v1.1.1 also the three tests that ' +
    'look for referrers that the suite itself has pushed.',
)}

Figures are those that the suites print. HEAD counts groups of tests as well.

Gantry does not pass these, on purpose:

${knownItems.join('\n')}

${open.length === 0 ? '' : `It does not pass these, which are open:\n\n${open.map(([text, count]) => item(count === 1 ? text : `${text} (${String(count)} times)`)).join('\n')}\n\n`}What docker-registry does not pass, by group of tests:

${peerFailures.map(item).join('\n')}

## Compared with docker-registry

${comparison === null ? '' : comparisonText(comparison)}

Each difference is one of these. The number says how often it occurs.

${KNOWN_DIFFERENCES.map((one) => item(`docker-registry: ${one.peer}. **Gantry: ${one.gantry}.** ${one.reason} (${String(counts.get(one) ?? 0)})`)).join('\n')}

Responses of docker-registry that contradict themselves (Gantry has none): ${String(contradictions.length)}.

${[...countBy(contradictions, ({ request, text }) => `${request.group}: ${generic(text)}`)].map(([text, count]) => item(`${text} (${String(count)})`)).join('\n')}
`;
}

function isOurs({ endpoint }: SuiteResult): boolean {
  return Object.values<string>(ENDPOINTS).includes(endpoint);
}

/** What the suite has skipped, by the reason that it gives. */
function skippedLines(result: SuiteResult): readonly string[] {
  const skipped = result.tests.filter(({ outcome }) => outcome === 'skipped');
  const lines = [...countBy(skipped, ({ message }) => oneLine(message))];
  return lines.map(([message, count]) => `${titleOf(result)}: ${String(count)} tests skipped: ${message}`);
}

function titleOf({ suite, endpoint, task }: SuiteResult): string {
  return `${suite}, ${endpoint} (${task})`;
}

function runsTable(results: readonly SuiteResult[]): string {
  return table(
    ['suite', 'registry', 'run', ...OUTCOMES],
    results.map(({ suite, endpoint, task, counts }) => [
      suite,
      endpoint,
      task,
      ...OUTCOMES.map((outcome) => String(counts[outcome])),
    ]),
  );
}

function comparisonText({ images, requests, differences }: NonNullable<Findings['comparison']>): string {
  const { unknown } = explainDifferences(differences);
  return wrap(
    `${String(requests)} requests, each by GET and by HEAD: the images ${images.join(', ')} of the interoperability ` +
      'matrix, by tag and by digest, with the `Accept` and User-Agent of each recorded client; each form alone, ' +
      'wildcards and weights; blobs with ranges and conditions; lists; errors. Compared are the status, all headers and ' +
      'the body. In each registry, HEAD must have the headers of GET, Content-Length the length of the body, and ' +
      `Docker-Content-Digest its digest. ${String(differences.length)} differences, ${String(unknown.length)} without ` +
      'an explanation.',
  );
}

function differencesTable({ differences }: Comparison): string {
  const { counts } = explainDifferences(differences);
  return table(
    ['count', ENDPOINTS.peer, 'Gantry'],
    [...counts].filter(([, count]) => count > 0).map(([{ peer, gantry }, count]) => [String(count), peer, gantry]),
  );
}

function differenceLine({ request, field, peer, gantry }: Difference): string {
  const about = `${request.group}, ${request.image?.kind ?? request.path}, ${request.label}`;
  return `${about}: ${field}: docker-registry ${oneLine(peer ?? 'none')}, Gantry ${oneLine(gantry ?? 'none')}`;
}

function knownText(known: KnownResult, all: readonly KnownResult[]): string {
  const count = all.filter((one) => one === known).length;
  return `${known.suite}, ${String(count)} tests ${known.outcome} (${known.endpoints.join('; ')}): ${known.reason}`;
}

/** The failures of one run by the first part of their names, with one example of a message. */
function failedGroups(result: SuiteResult): readonly string[] {
  const failed = result.tests.filter(({ outcome }) => outcome === 'failed');
  const groups = countBy(failed, ({ name }) =>
    name
      .split('/')
      .slice(0, result.suite === 'HEAD' ? 1 : 2)
      .join(' / '),
  );
  if (groups.size === 0) return [];
  return [`${titleOf(result)}: ${[...groups].map(([name, count]) => `${name} (${String(count)})`).join('; ')}`];
}

/** Without digests and numbers, so that equal texts are counted as one. */
function generic(text: string): string {
  return text.replace(/sha256:[0-9a-f]{64}/g, 'sha256:…');
}
