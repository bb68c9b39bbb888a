/** How the package is released, and how its dependencies are checked and updated. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

interface Workflow {
  readonly permissions: unknown;
  readonly jobs: Record<string, { permissions?: Record<string, string>; steps: { run?: string; uses?: string }[] }>;
}

const read = async (path: string): Promise<unknown> =>
  parse(await readFile(new URL(`../.github/${path}`, import.meta.url), 'utf8'));
const commands = ({ jobs }: Workflow): string[] =>
  Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));

test('a release is published with provenance, after its checks, and with a bill of materials', async () => {
  const release = (await read('workflows/release.yml')) as Workflow;
  const order = ['npm audit signatures', 'npm run check', 'npm sbom', 'npm publish --provenance', 'gh release upload'];
  const places = order.map((command) => commands(release).findIndex((run) => run.includes(command)));
  expect(places).toEqual([...places].sort((one, other) => one - other));
  expect(places).not.toContain(-1);
  expect(release.permissions).toEqual({ contents: 'read' });
  expect(release.jobs.npm?.permissions?.['id-token']).toBe('write');
});

test('the check looks at the signatures of packages', async () => {
  expect(commands((await read('workflows/check.yml')) as Workflow).join('\n')).toContain('npm audit signatures');
});

test('a bot updates packages and actions', async () => {
  const { updates } = (await read('dependabot.yml')) as { updates: { 'package-ecosystem': string }[] };
  expect(updates.map((update) => update['package-ecosystem'])).toEqual(['npm', 'github-actions']);
});

test('every package of the lock file has a hash and comes from the registry', async () => {
  const lock = JSON.parse(await readFile(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
    packages: Record<string, { resolved?: string; integrity?: string }>;
  };
  for (const [path, { resolved, integrity }] of Object.entries(lock.packages)) {
    if (path === '') continue;
    expect(integrity, path).toMatch(/^sha512-/);
    if (resolved !== undefined) expect(resolved, path).toMatch(/^https:\/\/registry\.npmjs\.org\//);
  }
});
