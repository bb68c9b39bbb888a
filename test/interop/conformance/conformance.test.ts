/** What `npm run conformance` makes of the suites' reports and of differences: nothing unexplained passes. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Case } from './comparison/cases.ts';
import type { Comparison, Difference } from './comparison/compare.ts';
import { explainDifferences, KNOWN_DIFFERENCES } from './comparison/known-differences.ts';
import { ENDPOINTS } from './endpoints.ts';
import { readOptions } from './options.ts';
import { failuresOf, type Findings } from './report.ts';
import { readGinkgoReport, readProgramReport, type SuiteResult } from './run-suite.ts';
import { buildSuite, SUITES } from './suites.ts';

const NOTHING: Findings = {
  isWhole: false,
  versions: {},
  results: [],
  content: null,
  comparison: null,
  skipped: [],
};

function resultOf(endpoint: string, tests: SuiteResult['tests']): SuiteResult {
  const count = (outcome: string): number => tests.filter((test) => test.outcome === outcome).length;
  const counts = { passed: 1, failed: count('failed'), skipped: count('skipped'), disabled: 0 };
  return { suite: 'v1.1.1', endpoint, task: 'push', counts, tests, seconds: 1 };
}

function requestOf(values: Partial<Case>): Case {
  return {
    group: 'manifest by tag',
    label: 'test',
    method: 'GET',
    path: '/v2/a/manifests/1',
    headers: {},
    image: null,
    ...values,
  };
}

function comparisonOf(difference: Omit<Difference, 'request'>, request: Partial<Case> = {}): Comparison {
  return { requests: 1, differences: [{ request: requestOf(request), ...difference }], contradictions: [] };
}

describe('the report of HEAD', () => {
  const report = [
    'Test results',
    'OCI Conformance Test: FAIL',
    '  OCI Conformance Test/ping: Pass',
    '  OCI Conformance Test/empty: FAIL',
    '    OCI Conformance Test/empty/tag list: Skip',
    '     - registry returned status 405',
    '    OCI Conformance Test/empty/referrers: FAIL',
    '     - unexpected status code, expected one of [200], received 404',
    'json: cannot unmarshal number into Go value of type v1.Index',
    '',
    'Configuration:',
    '  registry: localhost',
    '',
    'OCI Conformance Result: FAIL',
    '  Disabled......................:          3',
    '  Skip..........................:          1',
    '  Pass..........................:          1',
    '  FAIL..........................:          1',
    '  Error.........................:          2',
    '  Total.........................:          8',
    '',
  ].join('\n');

  it('gives the leaves with their messages, and the totals of the suite', () => {
    expect(readProgramReport(report, '')).toEqual({
      counts: { passed: 1, failed: 3, skipped: 1, disabled: 3 },
      tests: [
        { name: 'ping', outcome: 'passed', message: '' },
        { name: 'empty/tag list', outcome: 'skipped', message: 'registry returned status 405' },
        {
          name: 'empty/referrers',
          outcome: 'failed',
          message:
            'unexpected status code, expected one of [200], received 404\n' +
            'json: cannot unmarshal number into Go value of type v1.Index',
        },
      ],
    });
  });

  it('is an error where the suite broke off', () => {
    expect(() => readProgramReport('', 'failed to load config')).toThrow('failed to load config');
  });
});

it("ginkgo's report tells a test that is switched off from one that the suite skips", () => {
  const spec = (text: string, state: string, message?: string): object => ({
    ContainerHierarchyTexts: ['OCI', 'Pull'],
    LeafNodeType: 'It',
    LeafNodeText: text,
    State: state,
    ...(message !== undefined && { Failure: { Message: message } }),
  });
  const specs = [
    spec('a', 'passed'),
    spec('b', 'skipped', 'you have skipped this test.'),
    spec('c', 'skipped'),
    spec('d', 'skipped', 'another reason'),
    spec('e', 'panicked', 'index out of range'),
  ];
  const { tests } = readGinkgoReport(JSON.stringify([{ SpecReports: specs }]));
  expect(tests.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
    'Pull/a passed',
    'Pull/b disabled',
    'Pull/c disabled',
    'Pull/d skipped',
    'Pull/e failed',
  ]);
});

describe('a run fails', () => {
  const failed = { name: 'Pull/a', outcome: 'failed', message: 'Expected 200' } as const;

  it('on a failed or skipped test of a Gantry that is not known, and not on one of docker-registry', () => {
    const skipped = { ...failed, outcome: 'skipped' } as const;
    expect(failuresOf({ ...NOTHING, results: [resultOf(ENDPOINTS.serve, [failed, skipped])] })).toHaveLength(2);
    expect(failuresOf({ ...NOTHING, results: [resultOf(ENDPOINTS.peer, [failed, skipped])] })).toEqual([]);
  });

  it('on a failed test of a named target, and not on a skipped one', () => {
    const skipped = { ...failed, outcome: 'skipped' } as const;
    const url = 'http://127.0.0.1:5000';
    expect(failuresOf({ ...NOTHING, results: [resultOf(url, [failed, skipped])] })).toHaveLength(1);
  });

  it('on a known result with another message, and on one that no longer occurs', () => {
    const name = 'Content Management/DELETE request to manifest (digest) should yield 202 response';
    const known = { name, outcome: 'failed', message: 'Expected 405' } as const;
    const over = (tests: SuiteResult['tests']): readonly string[] =>
      failuresOf({ ...NOTHING, results: [resultOf(ENDPOINTS.split, tests)] });
    expect(over([known])).toEqual([]);
    expect(over([{ ...known, message: 'Expected 500' }])).toHaveLength(2);
    expect(over([])).toEqual([expect.stringContaining('no longer occurs')]);
  });

  it('on a difference without an entry, and in a whole run on an entry without a difference', () => {
    const images: string[] = [];
    const vary = { ...comparisonOf({ field: 'vary', peer: null, gantry: 'Accept' }), images };
    const length = { ...comparisonOf({ field: 'content-length', peer: '1', gantry: '2' }), images };
    expect(failuresOf({ ...NOTHING, comparison: vary })).toEqual([]);
    expect(failuresOf({ ...NOTHING, comparison: length })).toHaveLength(1);
    expect(failuresOf({ ...NOTHING, isWhole: true, comparison: vary })).toHaveLength(KNOWN_DIFFERENCES.length - 1);
  });

  it('on a response of Gantry that contradicts itself, and not on one of docker-registry', () => {
    const of = (endpoint: string): Findings['comparison'] => ({
      requests: 1,
      differences: [],
      contradictions: [{ request: requestOf({}), endpoint, text: 'HEAD has a body' }],
      images: [],
    });
    expect(failuresOf({ ...NOTHING, comparison: of(ENDPOINTS.serve) })).toHaveLength(1);
    expect(failuresOf({ ...NOTHING, comparison: of(ENDPOINTS.peer) })).toEqual([]);
  });
});

describe('known differences', () => {
  const SCHEMA2 = 'application/vnd.docker.distribution.manifest.v2+json';
  const OCI = 'application/vnd.oci.image.manifest.v1+json';

  it.each([
    ['a form that Accept takes by a wildcard', '*/*', '200 docker-schema1', '200 docker-schema2', true],
    ['a form that Accept does not take', OCI, '200 docker-schema1', '200 docker-schema2', false],
    ['a form with a higher weight', `${SCHEMA2};q=0.1, ${OCI}`, '200 docker-schema2', '200 oci-manifest', true],
    ['a form with a lower weight', `${OCI};q=0.1, ${SCHEMA2}`, '200 docker-schema2', '200 oci-manifest', false],
    ['schema 1 to a client that takes something else', SCHEMA2, '200 docker-schema2', '200 docker-schema1', false],
    ['404 where there is a form that Accept takes', SCHEMA2, '200 docker-schema2', '404 MANIFEST_UNKNOWN', false],
    ['404 where Accept rules the form out', OCI, '200 docker-schema2', '404 MANIFEST_UNKNOWN', true],
  ])('by tag: %s', (_, accept, peer, gantry, isKnown) => {
    const { differences } = comparisonOf({ field: 'response', peer, gantry }, { headers: { accept } });
    expect(explainDifferences(differences).unknown).toHaveLength(isKnown ? 0 : 1);
  });

  it.each([
    ['another body', 'body', '{"schemaVersion":2}', '{"schemaVersion":2 }'],
    ['another digest', 'docker-content-digest', 'sha256:a', 'sha256:b'],
    ['another type', 'content-type', SCHEMA2, OCI],
    ['no digest', 'docker-content-digest', 'sha256:a', null],
  ])('never: %s of a manifest', (_, field, peer, gantry) => {
    expect(explainDifferences(comparisonOf({ field, peer, gantry }).differences).unknown).toHaveLength(1);
  });
});

describe('a suite from a folder', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-suite-'));
    await mkdir(join(folder, 'conformance'));
    await writeFile(join(folder, 'conformance', 'go.mod'), 'module example.com/other\n');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is refused if its files are not those of the pinned version', async () => {
    await expect(buildSuite(SUITES['v1.1.1'], folder, join(folder, 'conformance'))).rejects.toThrow(
      `instead of ${SUITES['v1.1.1'].sum}`,
    );
  });
});

describe('options', () => {
  it('take a target with its login, without a slash at the end', () => {
    const env = { OCI_USERNAME: 'somebody', OCI_PASSWORD: 'secret' };
    const options = readOptions(['--target', 'http://127.0.0.1:5000/', '--push'], env);
    expect(options).toMatchObject({ target: 'http://127.0.0.1:5000', push: true, login: { username: 'somebody' } });
  });

  it.each([
    ['--push without a target', ['--push']],
    ['a page of a part', ['--docs', '--quick']],
    ['an unknown suite', ['--suite', 'v1.0']],
    ['a source without a folder', ['--source', 'HEAD']],
    ['a target that is no URL', ['--target', 'localhost:5000']],
  ])('refuse %s', (_, args) => {
    expect(readOptions(args, {})).toBeNull();
  });
});
