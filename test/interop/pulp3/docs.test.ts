/**
 * The commands of docs/how-to/pulp3.md, in their order, against a real Pulp and an edge with the rule that stands there. Hosts
 * and the public image are stood in for.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Block, blocksOf } from '../../docs/blocks.ts';
import { BUSYBOX_PROGRAMS, makeBusybox } from '../busybox.ts';
import { type OriginEdge, type Rule, startOriginEdge } from '../origin-edge.ts';
import { run, titleWith } from '../programs.ts';
import { missingForPulp } from './environment.ts';
import { ADMIN, type Pulp, startPulp } from './pulp.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const EDGE_PASSWORD = 'the-account-of-the-edge';

const blocks = blocksOf(await readFile(join(ROOT, 'docs', 'how-to', 'pulp3.md'), 'utf8'));
const commands = blocks.filter(({ language, needs }) => language === 'sh' && needs[0] === 'network');
const missing = await missingForPulp(...BUSYBOX_PROGRAMS, 'curl');

describe.skipIf(missing.length > 0)(titleWith('the commands of docs/how-to/pulp3.md', missing), () => {
  let folder: string;
  let pulp: Pulp;
  let edge: OriginEdge;
  let env: NodeJS.ProcessEnv;
  let withHosts: (text: string) => string;

  const blockOf = (language: string, index = 0): Block => {
    const found = blocks.filter((block) => block.language === language)[index];
    if (found === undefined) throw new Error(`there are not ${String(index + 1)} blocks of ${language}`);
    return found;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-docs-'));
    const [bin, work, home] = ['bin', 'work', 'home'].map((name) => join(folder, name)) as [string, string, string];
    for (const one of [bin, work, home, join(folder, 'image')]) await mkdir(one);
    const layout = await makeBusybox(join(folder, 'image'));
    pulp = await startPulp();
    const { ORIGINS } = (parse(blockOf('toml').text) as { vars: { ORIGINS: Rule[] } }).vars;
    edge = await startOriginEdge(
      ORIGINS.map((rule) => ({ ...rule, upstream: rule.upstream.replace('https://pulp.example.com', pulp.url) })),
      { credentials: { pulp: { username: 'edge', password: EDGE_PASSWORD } } },
    );
    withHosts = (text) =>
      text
        .replaceAll(/(https:\/\/)?pulp\.example\.com/g, (_, scheme?: string) =>
          scheme === undefined ? pulp.host : pulp.url,
        )
        .replaceAll(/(https:\/\/)?registry\.example\.com/g, (_, scheme?: string) =>
          scheme === undefined ? edge.host : edge.url,
        )
        .replaceAll('docker://docker.io/library/busybox:latest', `oci:${layout}:latest`)
        .replaceAll('--to s3://gantry', `--state '${join(folder, 'state')}'`);
    const registries = join(folder, 'registries.conf');
    await writeFile(
      registries,
      [pulp.host, edge.host].map((host) => `[[registry]]\nlocation = "${host}"\ninsecure = true\n`).join(''),
    );
    await writeFile(join(work, 'pulp3.yaml'), withHosts(blockOf('yaml').text));
    await program(bin, 'pulp', `exec '${pulp.environment.python}' '${pulp.environment.script('pulp')}' "$@"`);
    await writeFile(join(work, 'wrangler.toml'), blockOf('toml', 1).text);
    // Both speak plain HTTP here.
    await program(bin, 'skopeo', `exec /usr/bin/skopeo --registries-conf '${registries}' "$@"`);
    await program(bin, 'gantry', `exec '${process.execPath}' '${join(ROOT, 'bin', 'gantry.js')}' "$@"`);
    env = {
      ...process.env,
      PATH: `${bin}:${process.env.PATH ?? ''}`,
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config'),
      GANTRY_KEY: join(folder, 'key.pem'),
      NO_COLOR: '1',
      PULP_PASSWORD: ADMIN.password,
      EDGE_PASSWORD,
    };
  }, 600_000);

  afterAll(async () => {
    await edge.close();
    await pulp.close();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  it.for(commands.map((block) => ({ ...block, first: block.text.split('\n')[0] ?? '' })))(
    'line $line: $first',
    async ({ text }) => {
      const script = withHosts(text);
      const { code, stdout, stderr } = await run('sh', ['-eu', '-c', script], { cwd: join(folder, 'work'), env });
      expect(`${script}\n${stdout}\n${stderr}\nexit ${String(code)}`).toMatch(/exit 0$/);
    },
  );

  it('are all of them', () => {
    expect(commands.length).toBe(6);
  });
});

async function program(bin: string, name: string, script: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, name), 0o755);
}
