/** The documents as a static site: every page has its place in the menu and in the index, and no link is broken. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anchorOf, buildSite } from '../../docs/generator/site.ts';
import { DOCUMENTS, ROOT } from './blocks.ts';

const PAGES = DOCUMENTS.filter((file) => file.startsWith('docs/'));

/** Pages above the kinds. */
const ABOVE = ['docs/compare.md', 'docs/index.md', 'docs/proof.md'];

describe('the site', () => {
  let folder: string;
  let broken: readonly string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-site-'));
    broken = await buildSite(folder);
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('has no broken link and no broken anchor', () => {
    expect(broken).toEqual([]);
  });

  it('has a page for each document', async () => {
    const built = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.html'));
    expect(built.sort()).toEqual(PAGES.map((file) => file.slice('docs/'.length).replace(/\.md$/, '.html')).sort());
  });

  it('needs no script and nothing from another host', async () => {
    for (const file of (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.html'))) {
      const html = await readFile(join(folder, file), 'utf8');
      expect(html, file).not.toMatch(/<script|<link|src="https?:|url\(/);
    }
  });
});

describe('the documents', () => {
  it('are each of one kind', () => {
    const strange = PAGES.filter(
      (file) =>
        !ABOVE.includes(file) && !/^docs\/(?:tutorial|how-to|reference|explanation)\/[a-z0-9-]+\.md$/.test(file),
    );
    expect(strange).toEqual([]);
  });

  it('are all in the index', async () => {
    const index = await readFile(join(ROOT, 'docs', 'index.md'), 'utf8');
    const missing = PAGES.filter((file) => file !== 'docs/index.md' && !index.includes(`(${file.slice(5)})`));
    expect(missing).toEqual([]);
  });

  it.each(PAGES.filter((file) => file.startsWith('docs/how-to/')))(
    '%s ends with how to see that it worked',
    async (file) => {
      const headings = [...(await readFile(join(ROOT, file), 'utf8')).matchAll(/^## (.*)$/gm)].map(
        ([, title]) => title,
      );
      expect(headings.at(-1)).toBe('How to see that it worked');
    },
  );
});

it.each([
  ['Cleaning up: `gantry gc`', 'cleaning-up-gantry-gc'],
  ['6. Publish', '6-publish'],
  ['Schema 1, exactly', 'schema-1-exactly'],
])('the anchor of "%s" is that of GitHub', (title, anchor) => {
  expect(anchorOf(title)).toBe(anchor);
  expect(anchorOf(title, new Set([anchor]))).toBe(`${anchor}-1`);
});
