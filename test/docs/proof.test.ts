/** docs/proof.md is what the results give, and README claims no figure that has no line there. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchorOf, CLAIMS, SETTINGS } from '../proof/claims.ts';
import { linesOf, proofPage } from '../proof/page.ts';
import { countFigure, figureOf, type ProofResult, readProofs, withoutPaths } from '../proof/result.ts';
import { ROOT } from './blocks.ts';

/** A figure that a reader takes for measured: a number with a unit, a factor, or a number of reads. */
const FIGURE =
  /\b\d[\d,.]*\s?(?:%|ms|s|seconds|minutes?|[KMG]i?B|times)(?![\w-])|\b[\d,]{3,}\s(?:requests|pulls)\b|\b(?:about|in) a minute\b|\b(?:no|one|two) (?:R2 |storage )reads?\b|\bbyte for byte\b/;

/** Statements of a Markdown text that have a figure: paragraphs and list items, without code, tables and headings. */
function figureClaims(markdown: string): readonly string[] {
  return markdown
    .replace(/^```[^]*?^```$/gm, '')
    .split(/\n\n|\n(?=[-*] )/)
    .map((block) => block.replace(/\s+/g, ' ').trim())
    .filter((block) => !/^[|#]/.test(block))
    .filter((block) => FIGURE.test(block.replace(/`[^`]*`/g, '').replace(/\]\([^)]*\)/g, ']')));
}

/** The claims that lead to no line of the page. */
function unproved(markdown: string): readonly string[] {
  const anchors = new Set(CLAIMS.map(({ title }) => anchorOf(title)));
  return figureClaims(markdown).filter(
    (claim) =>
      ![...claim.matchAll(/\(docs\/(?:[\w-]+\/)?proof\.md#([^)]*)\)/g)].some(([, anchor = '']) =>
        anchors.has(anchor),
      ) && !SETTINGS.some(({ text }) => claim.includes(text)),
  );
}

describe('the proof', () => {
  const results = readProofs();

  it('is the page of the results that are kept', async () => {
    expect(await readFile(join(ROOT, 'docs', 'proof.md'), 'utf8')).toBe(proofPage(results));
  });

  it('has a result of each command', () => {
    const names = results.map(({ name }) => name.split('-')[0]);
    for (const command of ['bench', 'soak', 'interop', 'faults', 'conformance', 'fuzz'])
      expect(names).toContain(command);
  });

  it('names no path of the machine that ran a command', () => {
    for (const { command, leftOut } of results)
      expect([command, ...leftOut].map(withoutPaths)).toEqual([command, ...leftOut]);
  });

  it.each(CLAIMS)('has every figure for "$title"', ({ figures }) => {
    for (const figure of figures) expect(linesOf([figure], results), figure.join(': ')).not.toEqual([]);
  });

  it.each(SETTINGS)('names a test that exists for "$text"', async ({ test }) => {
    expect((await stat(join(ROOT, test))).isFile()).toBe(true);
  });

  it('has a line for each figure that README claims', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    expect(figureClaims(readme).length).toBeGreaterThan(2);
    expect(unproved(readme)).toEqual([]);
  });
});

describe('the check of claims', () => {
  it.each([
    'It is 12 times faster.',
    'A pull takes 30 ms.',
    'It answered 227,266 requests.',
    '- 95 % of a bare read',
    'It needs one storage read.',
    'Starts in about a minute.',
    'See [proof](docs/proof.md#no-such-line): 3 MiB.',
  ])('finds %j without a line', (text) => {
    expect(unproved(text)).toHaveLength(1);
  });

  it.each(['Docker 1.9 pulls.', 'Node 22.18 or newer', '```\n30 ms\n```', 'The option `--wait 30 s` waits.'])(
    'takes %j for no figure',
    (text) => {
      expect(unproved(text)).toEqual([]);
    },
  );

  it('accepts a figure with a link to its line', () => {
    expect(
      unproved(`One [storage read](docs/proof.md#${anchorOf(CLAIMS[0]?.title ?? '')}), one storage read.`),
    ).toEqual([]);
  });
});

describe('the page', () => {
  const result = (figures: ProofResult['figures']): ProofResult => ({
    name: 'soak',
    command: 'npm run soak',
    commit: 'abc',
    machine: 'a machine',
    date: '2026-11-28T12:00:00Z',
    extent: 'bounded',
    leftOut: [],
    figures,
  });

  it('has the misses first, with command, commit and machine', () => {
    const page = proofPage([
      result([
        figureOf({ what: 'good', wanted: '≤ 5 %', found: '3 % (976 MiB)', met: true }),
        figureOf({ what: 'bad', wanted: '≤ 25 ms', found: '30.1 ms (28–33)', met: false }),
      ]),
    ]);
    expect(page).toContain('1 of 2 targets were missed.');
    const [, first = ''] = /## Missed targets\n([^]*?)\n## /.exec(page) ?? [];
    expect(first).toContain(
      '| bad | 30.1 ms (28–33) | ≤ 25 ms | `npm run soak` | bounded | `abc` | 2026-11-28 | a machine |',
    );
    expect(first).not.toContain('| good |');
    expect(proofPage([])).toContain('No target was missed.');
  });

  it.each([
    ['npm run interop -- --newer=/var/lib/trixie --client oras', 'npm run interop -- --newer=PATH --client oras'],
    ['npm run interop -- --receive --folder ../kept', 'npm run interop -- --receive --folder PATH'],
    ["npm run interop -- --client 'docker pull'", "npm run interop -- --client 'docker pull'"],
    [
      'no mount (/tmp/a b/c): see https://example.org/x, or `~/x`',
      'no mount (PATH b/c): see https://example.org/x, or `PATH`',
    ],
    ['pulls and/or pushes of library/busybox', 'pulls and/or pushes of library/busybox'],
  ])('has no paths of %j', (text, expected) => {
    expect(withoutPaths(text)).toBe(expected);
  });

  it('reads value and unit of a figure, and knows figures without a target', () => {
    const read = (found: string): unknown => {
      const { value, unit } = figureOf({ what: 'x', wanted: 'told', found, met: true });
      return [value, unit];
    };
    expect([read('93 % (90 %–95 %)'), read('1,234'), read('0.93 (0.90–0.95)'), read('21 ms'), read('–')]).toEqual([
      [93, '%'],
      [1234, ''],
      [0.93, ''],
      [21, 'ms'],
      [null, ''],
    ]);
    expect(figureOf({ what: 'x', wanted: 'told', found: '1', met: true })).toMatchObject({ target: null, met: null });
    expect(countFigure('x', 2, 0)).toMatchObject({ target: '0', met: false });
    expect(countFigure('x', 2)).toMatchObject({ target: null, met: null });
  });
});
