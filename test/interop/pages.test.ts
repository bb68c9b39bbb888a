/**
 * Pages in a real browser. Screenshots of every page, in both themes and for a phone, are left in `gantry-screenshots`
 * of the folder for temporary files, where a person can look at them.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AxeResults, RunOptions } from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GantryServer, startGantry } from './gantry-server.ts';
import { makeLayout } from './oci-layout.ts';
import { gantry, missingPrograms, titleWith } from './programs.ts';

const CHROMIUM = '/usr/bin/chromium';
const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const SCREENSHOTS = join(tmpdir(), 'gantry-screenshots');
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/**
 * What must come out as text wherever an image may say it. Were any of it taken for markup, `globalThis.owned` would be
 * set or something be asked for elsewhere.
 */
const HOSTILE = [
  '<script>globalThis.owned=1</script>',
  '<img src=x onerror="globalThis.owned=1">',
  '"><svg onload=globalThis.owned=1>',
  "' onmouseover='globalThis.owned=1",
  '</pre></li></ol><style>*{display:none}</style>',
  '<iframe src="javascript:parent.owned=1"></iframe>',
  '<a href="javascript:globalThis.owned=1">x</a>',
  '<link rel=stylesheet href=http://127.0.0.1:9/x.css>',
  '\u202etxt.exe\u202c\u0000\u001b[31m',
];

let folder: string;
let server: GantryServer;
let browser: Browser;

const noChromium = missingPrograms('chromium');
const environment = (): NodeJS.ProcessEnv => ({ ...process.env, GANTRY_KEY: join(folder, 'key.pem') });

async function publish(source: string, image: string): Promise<void> {
  const { code, stderr } = await gantry(['publish', source, image, '--state', server.state], { env: environment() });
  if (code !== 0) throw new Error(stderr);
}

beforeAll(async () => {
  if (noChromium.length > 0) return;
  folder = await mkdtemp(join(tmpdir(), 'gantry-pages-'));
  await mkdir(SCREENSHOTS, { recursive: true });
  server = await startGantry(join(folder, 'state'), { env: environment(), args: ['--stats'] });
  const history = [
    { createdBy: '/bin/sh -c #(nop) ADD file:d7bbb2 in / ', bytes: 310_000 },
    { createdBy: '/bin/sh -c #(nop)  ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    {
      createdBy: 'RUN /bin/sh -c apk add --no-cache ca-certificates tzdata # buildkit',
      bytes: 120_000,
      comment: 'buildkit.dockerfile.v0',
    },
    { createdBy: 'COPY --chown=app:app dist/ /srv/app/ # buildkit', bytes: 64_000 },
    { createdBy: 'EXPOSE map[8080/tcp:{}]' },
    { createdBy: 'CMD ["/srv/app/server"]' },
  ];
  const config = {
    Cmd: ['/srv/app/server'],
    WorkingDir: '/srv/app',
    User: 'app',
    ExposedPorts: { '8080/tcp': {} },
    Env: ['PATH=/usr/local/sbin:/usr/local/bin', 'LANG=C.UTF-8'],
    Labels: {
      'org.opencontainers.image.source': 'https://git.example/team/app',
      'org.opencontainers.image.licenses': 'Apache-2.0',
    },
  };
  const single = await makeLayout(join(folder, 'single'), [{ architecture: 'amd64', history, config }]);
  const several = await makeLayout(
    join(folder, 'several'),
    [
      { architecture: 'amd64' },
      { architecture: 'arm64', variant: 'v8' },
      { architecture: 'arm', variant: 'v7' },
      { architecture: 'arm', variant: 'v6' },
      { architecture: '386' },
      { architecture: 'ppc64le' },
      { architecture: 'riscv64' },
      { architecture: 's390x' },
    ].map((platform) => ({
      ...platform,
      history,
      config,
    })),
  );
  const hostile = await makeLayout(join(folder, 'hostile'), [
    {
      architecture: 'amd64',
      history: [...HOSTILE.map((createdBy, index) => ({ createdBy, bytes: 2_000 + index, comment: createdBy }))],
      config: {
        Cmd: HOSTILE,
        User: HOSTILE[0],
        Env: HOSTILE,
        Labels: Object.fromEntries(HOSTILE.map((text) => [text, text])),
      },
      annotations: Object.fromEntries(HOSTILE.map((text) => [text, text])),
    },
  ]);
  await publish(`oci:${several}:latest`, 'team/app:latest');
  await publish(`oci:${several}:latest`, 'team/app:2.1.0');
  await publish(`oci:${single}:latest`, 'team/app:2.0.0');
  await publish(`oci:${single}:latest`, 'team/worker:1.0');
  await publish(`oci:${hostile}:latest`, 'team/hostile:latest');
  await publish(`oci:${single}:latest`, 'team/hostile:plain');
  // The panel of pull statistics has rows where something was pulled.
  for (const tag of ['latest', '2.0.0']) await fetch(`${server.url}/v2/team/app/manifests/${tag}`);
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
});

afterAll(async () => {
  if (noChromium.length > 0) return;
  await browser.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/**
 * A page that was opened, and everything it complained of: console messages, errors, refusals of its policy, and
 * requests to anywhere but itself.
 */
interface Opened {
  readonly page: Page;
  readonly complaints: readonly string[];
  readonly close: () => Promise<void>;
}

async function open(
  path: string,
  options: { scheme?: 'light' | 'dark'; width?: number; scripts?: boolean } = {},
): Promise<Opened> {
  const { scheme = 'light', width = 1200, scripts = true } = options;
  const context = await browser.newContext({
    colorScheme: scheme,
    viewport: { width, height: 900 },
    javaScriptEnabled: scripts,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => complaints.push(`dialog: ${dialog.message()}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url) && !request.url().startsWith('data:'))
      complaints.push(`request: ${request.url()}`);
  });
  await page.goto(server.url + path);
  return { page, complaints, close: () => context.close() };
}

/** What axe finds wrong. It comes by the debugger's way, which a page's policy does not bind. */
async function violationsOf(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const options: RunOptions = {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    resultTypes: ['violations'],
  };
  const results = await page.evaluate<AxeResults>(`axe.run(${JSON.stringify(options)})`);
  return results.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary ?? ''}`),
  );
}

/** What is wider than its place: nothing may run off the screen, and nothing may scroll sideways to be read. */
function overflowingOf(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`
    [...document.querySelectorAll('html, main *')]
      .filter((element) => !element.closest('.hidden, table.narrow thead') && element.clientWidth > 1)
      .filter((element) => element.scrollWidth > element.clientWidth + 1 || element.getBoundingClientRect().right > innerWidth + 1)
      .filter((element) => element.tagName !== 'TEXTAREA' && element.tagName !== 'INPUT')
      .map((element) => element.outerHTML.slice(0, 120))
  `);
}

const PAGES = {
  home: '/',
  search: '/?q=app',
  'nothing-found': '/?q=zzz',
  repository: '/r/team/app',
  tag: '/r/team/app:2.0.0',
  list: '/r/team/app:latest',
  platform: '/r/team/app:latest?platform=linux/arm64/v8',
  asked: '/r/team/app:latest?client=docker-1.9',
  signatures: '/r/team/app:latest?show=referrers',
  'nothing-compared': '/r/team/app:latest?show=compare',
  compared: '/r/team/app:latest?compare=2.0.0',
  'hostile-compared': '/r/team/hostile:latest?compare=plain',
  hostile: '/r/team/hostile:latest',
  help: '/help',
  reason: '/help/schema1-zstd-layers',
} as const;

describe.skipIf(noChromium.length > 0)(titleWith('pages', noChromium), () => {
  it.each(Object.entries(PAGES))(
    '%s has nothing that axe or the console finds wrong, in both themes, and fits wide and narrow screens',
    async (name, path) => {
      const { page, complaints, close } = await open(path);
      const violations: string[] = [];
      // Colours come with the theme, the layout with the width: so each is looked at with each other.
      for (const [scheme, width, isJudged] of [
        ['light', 1280, true],
        ['dark', 1280, false],
        ['dark', 390, true],
        ['light', 390, false],
      ] as const) {
        await page.emulateMedia({ colorScheme: scheme });
        await page.setViewportSize({ width, height: 800 });
        await page.screenshot({ path: join(SCREENSHOTS, `${name}-${scheme}-${String(width)}.png`), fullPage: true });
        expect(await overflowingOf(page)).toEqual([]);
        if (isJudged) violations.push(...(await violationsOf(page)));
      }
      // Reflow (WCAG 2.2, 1.4.10).
      await page.setViewportSize({ width: 320, height: 800 });
      expect(await overflowingOf(page)).toEqual([]);
      expect(violations).toEqual([]);
      expect(complaints).toEqual([]);
      await close();
    },
  );

  it('differ between the themes', async () => {
    const backgrounds = await Promise.all(
      (['light', 'dark'] as const).map(async (scheme) => {
        const { page, close } = await open('/', { scheme });
        const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
        await close();
        return background;
      }),
    );
    expect(new Set(backgrounds).size).toBe(2);
  });

  it('lead from the front page to a tag and to the reason for a missing form, by links, without scripts', async () => {
    const { page, close } = await open('/', { scripts: false });
    await page.getByRole('link', { name: 'team/app', exact: true }).click();
    await page.getByRole('link', { name: '2.0.0', exact: true }).click();
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('team/app:2.0.0');
    await page.getByText('What will my client get?').click();
    await page.getByRole('link', { name: 'Pulp 2 (schema 1)' }).click();
    expect(await page.getByRole('status').innerText()).toContain('Docker schema 1');
    await page.getByRole('link', { name: 'Help' }).click();
    await page.getByRole('link', { name: 'No schema 1: zstd layers' }).click();
    expect(new URL(page.url()).pathname).toBe('/help/schema1-zstd-layers');
    await close();
  });

  it('search repositories by part of a name, by keyboard alone', async () => {
    const { page, close } = await open('/');
    const names = (): Promise<string[]> => page.locator('.repos .name').allInnerTexts();
    expect(await names()).toEqual(['demo/hello', 'team/app', 'team/hostile', 'team/worker']);
    // The first stop is the link that leads past the header.
    await page.keyboard.press('Tab');
    expect(await page.evaluate<string>('document.activeElement.textContent.trim()')).toBe('Skip to content');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('WORK');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/?q=WORK');
    expect(await names()).toEqual(['team/worker']);
    await close();
  });

  it('tell what pasted headers get, by the negotiation that clients meet', async () => {
    const { page, close } = await open('/r/team/app:latest');
    const accept = 'application/vnd.docker.distribution.manifest.v2+json';
    await page.getByText('What will my client get?').click();
    await page.getByRole('textbox').fill(`Accept: ${accept}\nUser-Agent: x`);
    await page.getByRole('button', { name: 'Ask' }).click();
    const told = await page.getByRole('status').innerText();
    const answer = await fetch(`${server.url}/v2/team/app/manifests/latest`, { headers: { accept } });
    expect(told).toContain(answer.headers.get('docker-content-digest') ?? 'none');
    expect(told).toContain(answer.headers.get('content-type') ?? 'none');
    await close();
  });

  it('show hostile names, labels and histories as text', async () => {
    const { page, complaints, close } = await open('/r/team/hostile:latest');
    const text = await page.locator('main').innerText();
    for (const hostile of HOSTILE.slice(0, -1)) expect(text).toContain(hostile);
    expect(text).toContain('⟨U+202E⟩txt.exe⟨U+202C⟩⟨U+0000⟩⟨U+001B⟩[31m');
    expect(
      await page
        .locator('main script, iframe, main img, main link, main style, [onerror], [onload], [onmouseover], [style]')
        .count(),
    ).toBe(0);
    expect(
      await page.evaluate<number>(
        '[...document.querySelectorAll("a")].filter(({ protocol }) => !/^https?:$/.test(protocol)).length',
      ),
    ).toBe(0);
    expect(await page.evaluate(() => 'owned' in globalThis)).toBe(false);
    expect(complaints).toEqual([]);
    await close();
  });

  it('are held by their policy: a script or style that got in all the same would not run', async () => {
    const { page, complaints, close } = await open('/');
    await page.evaluate(`
      document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="globalThis.owned=1"><style>body{visibility:hidden}</style>');
      const script = document.createElement('script');
      script.textContent = 'globalThis.owned=1';
      document.body.append(script);
    `);
    expect(await page.evaluate(() => 'owned' in globalThis)).toBe(false);
    expect(await page.evaluate<string>('getComputedStyle(document.body).visibility')).toBe('visible');
    expect(
      complaints.filter((complaint) => complaint.includes('Content Security Policy')).length,
    ).toBeGreaterThanOrEqual(3);
    await close();
  });

  it.each([
    ['/r/team/none', 404],
    ['/r/team/app:none', 404],
    ['/r/Not/a/name', 404],
    ['/help/none', 404],
    ['/?q=%3Cscript%3EglobalThis.owned%3D1%3C/script%3E', 200],
    ['/r/team/app:latest?headers=%3C/textarea%3E%3Cscript%3EglobalThis.owned%3D1%3C/script%3E', 200],
  ])('%s is a page that is in order, with status %i', async (path, status) => {
    const { page, complaints, close } = await open(path);
    expect((await page.reload())?.status()).toBe(status);
    expect(await violationsOf(page)).toEqual([]);
    expect(await page.evaluate(() => 'owned' in globalThis)).toBe(false);
    // The browser itself says on the console that a page came with 404.
    expect(complaints.filter((complaint) => !complaint.includes('status of 404'))).toEqual([]);
    await close();
  });
});
