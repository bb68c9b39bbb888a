/** Tests of the suites that a Gantry does not pass on purpose, each with its reason. */
import { ENDPOINTS } from './endpoints.ts';
import type { SuiteResult, TestResult } from './run-suite.ts';
import type { SuiteId } from './suites.ts';

/** One group of tests. */
export interface KnownResult {
  readonly suite: SuiteId;
  /** Titles of the endpoints. */
  readonly endpoints: readonly string[];
  readonly outcome: 'failed' | 'skipped';
  /** Fits the names of the tests. */
  readonly name: RegExp;
  /** Fits the suite's message, so that another failure of the same test is not excused. */
  readonly message: RegExp;
  readonly reason: string;
}

const PUSHED = [ENDPOINTS.receive, ENDPOINTS.split];

/** Everything that is known. An entry that fits no result is out of date, and fails the run. */
export const KNOWN_RESULTS: readonly KnownResult[] = [
  {
    suite: 'HEAD',
    endpoints: PUSHED,
    outcome: 'skipped',
    name: /blob-delete|manifest-delete|delete.*manifest/,
    message: /status 405/,
    reason:
      'Tags can be deleted, blobs and manifests by digest cannot: `gantry gc` removes what no tag leads to. The ' +
      'specification allows 405 for both.',
  },
  {
    suite: 'HEAD',
    endpoints: [ENDPOINTS.receive],
    outcome: 'skipped',
    name: /range requests\/range/,
    message: /range request unsupported/,
    reason: 'The push endpoint answers with the whole blob, as RFC 9110 allows. Ranges are for pulls.',
  },
  {
    suite: 'HEAD',
    endpoints: [ENDPOINTS.split],
    outcome: 'skipped',
    name: /range requests\/range 500-0$/,
    message: /range request unsupported/,
    reason:
      'The Worker ignores a range that ends before it begins. RFC 9110, section 14.2, allows this as well as 416.',
  },
  {
    suite: 'v1.1.1',
    endpoints: PUSHED,
    outcome: 'failed',
    name: /DELETE request to manifest \(digest\) should yield 202/,
    message: /405/,
    reason:
      'The specification allows 405 where manifests cannot be deleted. This edition of the suite accepts it for tags ' +
      'only; HEAD accepts it here, too.',
  },
];

/** A result that is no pass, and the entry that explains it; `known: null` means that nothing does. */
export interface Explained {
  readonly result: SuiteResult;
  readonly test: TestResult;
  readonly known: KnownResult | null;
}

/** Finds the entry for each test that failed or was skipped. */
export function explain(result: SuiteResult): readonly Explained[] {
  return result.tests
    .filter(({ outcome }) => outcome === 'failed' || outcome === 'skipped')
    .map((test) => ({ result, test, known: KNOWN_RESULTS.find((known) => fits(known, result, test)) ?? null }));
}

/** The entries for these runs that fit no result. */
export function outdatedResults(results: readonly SuiteResult[]): readonly KnownResult[] {
  return KNOWN_RESULTS.filter((known) => {
    const own = results.filter(({ suite, endpoint }) => suite === known.suite && known.endpoints.includes(endpoint));
    return own.length > 0 && !own.some((result) => result.tests.some((test) => fits(known, result, test)));
  });
}

function fits(known: KnownResult, { suite, endpoint }: SuiteResult, { name, outcome, message }: TestResult): boolean {
  return (
    known.suite === suite &&
    known.endpoints.includes(endpoint) &&
    known.outcome === outcome &&
    known.name.test(name) &&
    known.message.test(message)
  );
}
