/** The documents as a static site: plain HTML files that need no server and no script. */
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Marked, type Tokens } from 'marked';

const DOCS = fileURLToPath(new URL('..', import.meta.url));

/** Files that are not documents are shown where the source is hosted. */
const SOURCE = 'https://github.com/gantry-registry/gantry/blob/main/';

/** The folders in the order of the menu; '' are the pages above the kinds. */
const KINDS = [
  { folder: '', title: 'Gantry' },
  { folder: 'tutorial', title: 'Tutorial' },
  { folder: 'how-to', title: 'How-to guides' },
  { folder: 'reference', title: 'Reference' },
  { folder: 'explanation', title: 'Explanation' },
] as const;

/** A document of the site. */
interface Page {
  /** From the folder `docs`, e.g. `how-to/deploy.md`. */
  readonly file: string;
  readonly title: string;
  readonly markdown: string;
}

/** Builds the site into a folder, which is emptied first. Returns the broken links: `FILE: TARGET`. */
export async function buildSite(target: string): Promise<readonly string[]> {
  const files = (await readdir(DOCS, { recursive: true })).filter((file) => !file.startsWith('generator')).sort();
  const pages = await Promise.all(files.filter((file) => file.endsWith('.md')).map(readPage));
  const assets = files.filter((file) => /\.(?:svg|json)$/.test(file));
  await rm(target, { recursive: true, force: true });
  const htmls = new Map<string, string>();
  for (const page of pages) htmls.set(htmlOf(page.file), pageHtml(page, pages));
  for (const [file, html] of htmls) {
    await mkdir(dirname(join(target, file)), { recursive: true });
    await writeFile(join(target, file), html);
  }
  for (const asset of assets) await cp(join(DOCS, asset), join(target, asset));
  return [...htmls].flatMap(([file, html]) => brokenLinks(file, html, htmls, new Set(assets)));
}

/** The anchor of a heading, as GitHub makes it; `taken` has those of the same page. */
export function anchorOf(title: string, taken: ReadonlySet<string> = new Set()): string {
  const anchor = title
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
  let unique = anchor;
  for (let number = 1; taken.has(unique); number += 1) unique = `${anchor}-${String(number)}`;
  return unique;
}

async function readPage(file: string): Promise<Page> {
  const markdown = await readFile(join(DOCS, file), 'utf8');
  return { file, markdown, title: /^# (.*)$/m.exec(markdown)?.[1] ?? file };
}

function htmlOf(file: string): string {
  return file.replace(/\.md$/, '.html');
}

function pageHtml(page: Page, pages: readonly Page[]): string {
  const home = relative(dirname(page.file), 'index.html') || 'index.html';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(page.title)} · Gantry</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header><a href="${home}">Gantry documentation</a></header>
<div class="columns">
<nav aria-label="Pages">
${menuHtml(page, pages)}
</nav>
<main id="content">
${contentHtml(page)}
</main>
</div>
</body>
</html>
`;
}

function menuHtml(page: Page, pages: readonly Page[]): string {
  return KINDS.map(({ folder, title }) => {
    const items = pages
      .filter(({ file }) => (dirname(file) === '.' ? '' : dirname(file)) === folder)
      .map((one) => {
        const href = relative(dirname(page.file), htmlOf(one.file));
        const current = one.file === page.file ? ' aria-current="page"' : '';
        return `<li><a href="${href}"${current}>${inline(one.title)}</a></li>`;
      });
    return `<h2>${title}</h2>\n<ul>\n${items.join('\n')}\n</ul>`;
  }).join('\n');
}

/** The document as HTML, with anchors at headings and links to the other pages of the site. */
function contentHtml(page: Page): string {
  const taken = new Set<string>();
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }: Tokens.Heading) {
        const anchor = anchorOf(text, taken);
        taken.add(anchor);
        const level = String(depth);
        return `<h${level} id="${anchor}"><a href="#${anchor}">${this.parser.parseInline(tokens)}</a></h${level}>\n`;
      },
      link({ href, tokens }: Tokens.Link) {
        return `<a href="${escape(targetOf(page.file, href))}">${this.parser.parseInline(tokens)}</a>`;
      },
      // Wide tables scroll by themselves; otherwise the page would.
      table({ header, rows }: Tokens.Table) {
        const cells = (row: readonly Tokens.TableCell[], tag: string): string =>
          row.map((cell) => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('');
        const body = rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('\n');
        const head = `<thead><tr>${cells(header, 'th')}</tr></thead>`;
        return `<div class="table" tabindex="0"><table>${head}<tbody>\n${body}\n</tbody></table></div>\n`;
      },
    },
  });
  return marked.parse(page.markdown, { async: false });
}

/** Where a link of a document leads in the site: another page, an anchor, or the source where that is hosted. */
function targetOf(file: string, href: string): string {
  if (/^[a-z]+:/.test(href) || href.startsWith('#')) return href;
  const [path = '', anchor] = href.split('#');
  const to = join(dirname(file), path);
  const end = anchor === undefined ? '' : `#${anchor}`;
  if (to.startsWith('..')) return `${SOURCE}${join('docs', to)}${end}`;
  return `${htmlOf(path)}${end}`;
}

function brokenLinks(
  file: string,
  html: string,
  htmls: ReadonlyMap<string, string>,
  assets: ReadonlySet<string>,
): readonly string[] {
  return [...html.matchAll(/(?:href|src)="([^"]*)"/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const to = path === '' ? file : join(dirname(file), path);
    const page = htmls.get(to);
    const isThere = page === undefined ? assets.has(to) : anchor === undefined || page.includes(`id="${anchor}"`);
    return isThere ? [] : [`${file}: ${target}`];
  });
}

function inline(markdown: string): string {
  return escape(markdown).replace(/`([^`]*)`/g, '<code>$1</code>');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

const STYLE = `
:root { color-scheme: light dark; --text: #1f2328; --quiet: #59636e; --page: #fff; --box: #f6f8fa; --line: #d1d9e0;
  --link: #0550ae }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --quiet: #9198a1; --page: #0d1117; --box: #151b23; --line: #3d444d; --link: #79b8ff }
}
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.6 system-ui, sans-serif; color: var(--text); background: var(--page) }
a { color: var(--link) }
header { padding: .75rem 1.25rem; border-bottom: 1px solid var(--line); font-weight: 600 }
header a, h1 a, h2 a, h3 a, h4 a { color: inherit; text-decoration: none }
.skip { position: absolute; left: -99rem }
.skip:focus { left: 1rem; top: .5rem; background: var(--page); padding: .25rem .5rem }
.columns { display: flex; max-width: 76rem; margin: 0 auto }
nav { flex: 0 0 15rem; padding: 1rem 1.25rem; font-size: .9rem }
nav h2 { margin: 1rem 0 .25rem; font-size: .8rem; color: var(--quiet) }
nav ul { margin: 0; padding: 0; list-style: none }
nav a { display: block; padding: .15rem 0; text-decoration: none }
nav a[aria-current] { font-weight: 600; color: inherit }
main { flex: 1; min-width: 0; max-width: 54rem; padding: 1rem 1.25rem 4rem }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 .75rem }
h1 { margin-top: .5rem }
pre, code { font: .875em/1.5 ui-monospace, monospace; background: var(--box) }
code { padding: .1em .3em; border-radius: 4px; overflow-wrap: anywhere }
pre { padding: .75rem 1rem; border: 1px solid var(--line); border-radius: 6px; overflow-x: auto }
pre code { padding: 0; background: none; overflow-wrap: normal }
.table { overflow-x: auto }
table { border-collapse: collapse; font-size: .9rem }
th, td { border: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top }
th { background: var(--box) }
img { max-width: 100% }
@media (max-width: 48rem) { .columns { flex-direction: column-reverse } nav { border-top: 1px solid var(--line) } }
`;
