/** docs/cloudflare.md and the lines of `gantry doctor --deployed` say the same. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CHECKS } from '../../src/publisher/doctor/deployed/checks.ts';
import { ROOT } from './blocks.ts';

const text = await readFile(join(ROOT, 'docs/cloudflare.md'), 'utf8');
const rowsOf = (heading: string): readonly (readonly string[])[] =>
  (text.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
    .map((line) => line.split('|').slice(1, -1));

it('each open assumption is a line of the doctor', () => {
  const open = rowsOf('Open');
  expect(open.length).toBeGreaterThan(0);
  for (const [assumption, , line = ''] of open) {
    const ids = [...line.matchAll(/`([^`]+)`/g)].map(([, id = '']) => id);
    expect(ids, assumption).not.toEqual([]);
    for (const id of ids) expect(Object.keys(CHECKS), assumption).toContain(id);
  }
});

it('each line of the doctor is in the document', () => {
  for (const id of Object.keys(CHECKS)) expect(text).toContain(`\`${id}\``);
});

it('no documented assumption is without a source and a test', () => {
  for (const [assumption, source = '', test = ''] of rowsOf('Documented')) {
    expect(source.trim(), assumption).not.toMatch(/^$|open/);
    expect(test.trim(), assumption).not.toBe('');
  }
});
