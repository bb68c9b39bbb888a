/** docs/explanation/cloudflare.md and the lines of `gantry doctor --deployed` say the same. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CHECKS } from '../../src/publisher/doctor/deployed/checks.ts';
import { ROOT } from './blocks.ts';

const text = await readFile(join(ROOT, 'docs/explanation/cloudflare.md'), 'utf8');
const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.split('|').slice(1, -1));

it('each open assumption is a line of the doctor', () => {
  const open = rows.filter(([, source = '']) => source.includes('*open*'));
  expect(open.length).toBeGreaterThan(0);
  for (const [assumption, , how = ''] of open) {
    const ids = [...how.matchAll(/`([^`]+)`/g)].map(([, id = '']) => id);
    expect(ids, assumption).not.toEqual([]);
    for (const id of ids) expect(Object.keys(CHECKS), assumption).toContain(id);
  }
});

it('each line of the doctor is in the document', () => {
  for (const id of Object.keys(CHECKS)) expect(text).toContain(`\`${id}\``);
});
