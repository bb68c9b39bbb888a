/** The order of the source tree: who imports whom, how full a folder is, and that each file holds code of its own. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise, type ICruiseOptions, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser';
import { beforeAll, describe, expect, it } from 'vitest';

/** The zones of src/, and the zones that each may import. */
const ZONES: Readonly<Record<string, readonly string[]>> = {
  registry: [],
  http: [],
  manifest: ['registry', 'http'],
  origin: ['registry', 'http', 'manifest'],
  bucket: ['registry', 'http', 'manifest', 'origin'],
  statistics: ['registry', 'http', 'manifest'],
  worker: ['registry', 'http', 'manifest', 'origin', 'bucket', 'statistics'],
  publisher: ['registry', 'http', 'manifest', 'origin', 'bucket', 'statistics'],
};

const RULES: NonNullable<ICruiseOptions['ruleSet']> = {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Modules that import each other cannot be understood, tested or loaded one at a time.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolved',
      comment: 'An import that leads nowhere would pass unseen by all other rules.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^cloudflare:' },
    },
    ...Object.entries(ZONES).map(([zone, allowed]): IForbiddenRuleType => ({
      name: `${zone}-imports`,
      comment: `src/${zone} may import ${allowed.length === 0 ? 'no other zone' : allowed.join(', ')}.`,
      severity: 'error',
      from: { path: `^src/${zone}/` },
      to: { path: '^(?:src|bin|test|docs)/', pathNot: `^src/(?:${[zone, ...allowed].join('|')})/` },
    })),
    {
      name: 'neutral-zones-stay-neutral',
      comment: 'These zones run in Node and in workerd. node:crypto is in both.',
      severity: 'error',
      from: { path: '^src/(?:registry|http|manifest|origin|bucket|statistics)/' },
      to: { dependencyTypes: ['core'], pathNot: '^(?:node:)?crypto$' },
    },
    {
      name: 'no-dev-dependencies',
      comment: 'An installed program has no dev dependencies. The local registry runs in Miniflare, from a checkout.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/publisher/local/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ],
};

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Most files of a folder, without its subfolders. About a dozen is the aim. */
const FILES_MAX = 20;

/** Most files at the root of the two programs, whose rooms are folders. */
const PROGRAM_ROOT_MAX = 12;

/** One file an endpoint, as long as the endpoint table. */
const EXEMPT = ['src/worker/endpoints'];

/** Statements that only pass on what another module exports. */
const FORWARDS = /^(?:import\b[^;]*;|export\s+(?:type\s+)?(?:\{[^}]*\}|\*[^;]*?)(?:\s*from\s*[^;]+)?;)/;

describe('the source tree', () => {
  let result: ICruiseResult;

  beforeAll(async () => {
    const { output } = await cruise(['src', 'bin'], {
      baseDir: ROOT,
      validate: true,
      ruleSet: RULES,
      doNotFollow: { path: 'node_modules' },
      tsPreCompilationDeps: true,
      enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
    });
    if (typeof output === 'string') throw new Error(output);
    result = output;
  }, 60_000);

  it('has no import circle and no import against the order of the zones', () => {
    const found = result.summary.violations.map(({ rule, from, to, cycle }) =>
      [`${rule.name}: ${from}`, ...(cycle?.map(({ name }) => name) ?? [to])].join(' → '),
    );
    expect(found).toEqual([]);
  });

  it(`has at most ${String(FILES_MAX)} files in a folder, ${String(PROGRAM_ROOT_MAX)} at the root of a program`, () => {
    const folders = new Map<string, number>();
    for (const { source } of result.modules) {
      if (source.startsWith('src/')) folders.set(dirname(source), (folders.get(dirname(source)) ?? 0) + 1);
    }
    const tooFull = [...folders].filter(
      ([folder, files]) =>
        !EXEMPT.includes(folder) && files > (/^src\/(?:worker|publisher)$/.test(folder) ? PROGRAM_ROOT_MAX : FILES_MAX),
    );
    expect(tooFull).toEqual([]);
  });

  it('has no file that only exports what another file holds', async () => {
    const forwarders: string[] = [];
    for (const { source } of result.modules.filter(({ source }) => /^src\/.*\.tsx?$/.test(source))) {
      let rest = (await readFile(join(ROOT, source), 'utf8')).replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '').trim();
      for (let match; (match = FORWARDS.exec(rest)) !== null;) rest = rest.slice(match[0].length).trim();
      if (rest === '') forwarders.push(source);
    }
    expect(forwarders).toEqual([]);
  });
});
