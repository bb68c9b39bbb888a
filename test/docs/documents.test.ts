/**
 * Generated documents are current, links lead somewhere, and every command in the documents exists with its options.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ATTACKS } from '../attacks.ts';
import { gantry, run } from '../interop/programs.ts';
import { blocksOf, commandsOf, DOCUMENTS, ROOT } from './blocks.ts';

const TEXTS = new Map(
  await Promise.all(DOCUMENTS.map(async (file) => [file, await readFile(join(ROOT, file), 'utf8')] as const)),
);

/**
 * What a block of commands may need beyond this machine. Blocks that need nothing are run, and `docker` where it is;
 * `bucket` in test/ci.
 */
const NEEDS = ['cloudflare', 'network', 'docker', 'start', 'checks', 'bucket'];

/** Every command of every shell block, with where it stands. */
const COMMANDS = DOCUMENTS.flatMap((file) =>
  blocksOf(TEXTS.get(file) ?? '').flatMap(({ language, text, line }) =>
    language === 'sh' ? commandsOf(text).map((words) => ({ where: `${file}:${String(line)}`, words })) : [],
  ),
);

/** Commands of gantry: without the words that call it. */
const OF_GANTRY = COMMANDS.flatMap(({ where, words }) => {
  const text = words.join(' ').replace(/^npm run (?:-s )?gantry -- /, 'gantry ');
  // After `--` stands the command of another program.
  return text.startsWith('gantry ') ? [{ where, words: (text.split(' -- ')[0] ?? '').split(' ').slice(1) }] : [];
});

describe('the documents', () => {
  it('that are made from tables are current', async () => {
    const { code, stderr } = await run(process.execPath, [join(ROOT, 'docs', 'generator', 'main.ts'), '--check']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });

  it('name only attacks that a test runs', async () => {
    for (const [id, { test }] of Object.entries(ATTACKS))
      expect(await readFile(join(ROOT, test), 'utf8'), id).toContain(`titleOf('${id}')`);
  });

  it.each(DOCUMENTS)('%s: relative links lead to files and headings that are there', async (file) => {
    const text = (TEXTS.get(file) ?? '').replace(/^```[^]*?^```$/gm, '');
    const broken: string[] = [];
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const to = path === '' ? file : relative(ROOT, join(ROOT, dirname(file), path));
      const isThere = await stat(join(ROOT, to)).then(
        () => true,
        () => false,
      );
      const headings = [...(TEXTS.get(to) ?? '').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => anchorOf(title));
      if (!isThere || (anchor !== undefined && !headings.includes(anchor))) broken.push(target);
    }
    expect(broken).toEqual([]);
  });

  it('on Cloudflare have a source and a test that is there for each assumption, or the check that settles it', async () => {
    const rows = [...(TEXTS.get('docs/explanation/cloudflare.md') ?? '').matchAll(/^\| (.*) \| (.*) \| (.*) \|$/gm)];
    expect(rows.length).toBeGreaterThan(30);
    for (const [, assumption = '', source = '', test = ''] of rows) {
      if (source.includes('*open*')) expect(test, assumption).toMatch(/checks? `[a-z0-9-]+`/);
      expect(source.trim(), assumption).not.toBe('');
      expect(test.trim(), assumption).not.toBe('');
      for (const [, file = ''] of test.matchAll(/`((?:test|src|examples)\/[^`]*)`/g))
        expect((await stat(join(ROOT, file))).isFile(), file).toBe(true);
    }
  });

  it.each(DOCUMENTS)('%s: says of each shell block whether it needs more than this machine', (file) => {
    const unknown = blocksOf(TEXTS.get(file) ?? '').filter(
      ({ language, needs }) => language === 'sh' && needs.some((need) => !NEEDS.includes(need)),
    );
    expect(unknown.map(({ line, needs }) => `${String(line)}: ${needs.join(' ')}`)).toEqual([]);
    // A block without a language would not be tested.
    const unmarked = blocksOf(TEXTS.get(file) ?? '').filter(
      ({ language, text }) =>
        language !== 'sh' &&
        /^(?:\$ )?(?:gantry [a-z]+ [^ ]|npm |npx |skopeo |docker )/m.test(text) &&
        !text.includes('──►'),
    );
    expect(unmarked.map(({ line }) => line)).toEqual([]);
  });

  it('call scripts that package.json has', async () => {
    const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Readonly<Record<string, string>>;
    };
    const called = COMMANDS.flatMap(({ where, words: [program, verb, name] }) => {
      if (program !== 'npm' || verb === undefined || verb === 'ci') return [];
      return [{ where, script: verb === 'run' ? (name === '-s' ? 'gantry' : name) : verb }];
    });
    expect(called.filter(({ script }) => script === undefined || !Object.hasOwn(scripts, script))).toEqual([]);
    expect(called.length).toBeGreaterThan(0);
  });

  it('call gantry with commands and options that it has', async () => {
    const verbs = [
      ...new Set(
        OF_GANTRY.map(({ words: [verb = '', next = ''] }) =>
          ['key', 'token', 'config'].includes(verb) && /^[a-z]+$/.test(next) ? `${verb} ${next}` : verb,
        ),
      ),
    ];
    const helps = new Map<string, string>();
    for (const verb of verbs) {
      if (verb.startsWith('-')) continue;
      const { code, stdout } = await gantry([...verb.split(' '), '--help']);
      expect({ verb, code }).toEqual({ verb, code: 0 });
      helps.set(verb, stdout);
    }
    const wrong = OF_GANTRY.flatMap(({ where, words }) => {
      const help = helps.get(words.slice(0, 2).join(' ')) ?? helps.get(words[0] ?? '') ?? '--help --version';
      // After `--` comes the command of another program.
      const end = words.indexOf('--');
      return words
        .slice(0, end < 0 ? words.length : end)
        .filter((word) => /^--[a-z]/.test(word) && !help.includes(word.split('=')[0] ?? word))
        .map((word) => `${where}: gantry ${words[0] ?? ''} ${word}`);
    });
    expect(wrong).toEqual([]);
  });

  it('call wrangler with commands that it has', async () => {
    const { stdout } = await run('npm', ['exec', '--', 'wrangler', '--help'], {
      cwd: ROOT,
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
    });
    const verbs = new Set(
      COMMANDS.flatMap(({ words: [program, name, verb] }) =>
        program === 'npx' && name === 'wrangler' && verb !== undefined ? [verb] : [],
      ),
    );
    expect([...verbs].filter((verb) => !new RegExp(`^\\s*wrangler ${verb}\\b`, 'm').test(stdout))).toEqual([]);
  });
});

/** A heading's anchor, as GitHub makes it. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}
