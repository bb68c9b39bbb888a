/** The recipes of docs/how-to/ci.md run as they stand, against a bucket on loopback. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { blocksOf, ROOT } from '../docs/blocks.ts';
import { BUSYBOX_PROGRAMS, makeBusybox } from '../interop/busybox.ts';
import { missingPrograms, must, run, titleWith } from '../interop/programs.ts';
import { type Job, PURGE_TOKEN, startJob } from './job.ts';
import { readAction, runAction } from './runner.ts';

const blocks = blocksOf(await readFile(join(ROOT, 'docs', 'how-to', 'ci.md'), 'utf8'));
const ofKind = (language: string, need: string): string[] =>
  blocks.filter((block) => block.language === language && block.needs[0] === need).map(({ text }) => text);

const missing = missingPrograms(...BUSYBOX_PROGRAMS);

describe.skipIf(missing.length > 0)(titleWith('the recipes', missing), () => {
  let job: Job;
  /** What a person sets up in the service's settings. */
  let settings: Readonly<Record<string, string>>;

  beforeAll(async () => {
    job = await startJob();
    const layout = await makeBusybox(job.folder);
    await must('skopeo', ['copy', '-q', `oci:${layout}:latest`, `oci-archive:${join(job.folder, 'image.tar')}`]);
    const { code, stderr } = await run('gantry', ['key', 'create'], { env: job.env });
    expect(`${stderr}exit ${String(code)}`).toMatch(/exit 0$/);
    const { AWS_ENDPOINT_URL_S3 = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = job.credentials;
    settings = {
      'vars.R2_ENDPOINT': AWS_ENDPOINT_URL_S3,
      'vars.GANTRY_EDGE_URL': job.edge,
      'secrets.R2_ACCESS_KEY_ID': AWS_ACCESS_KEY_ID,
      'secrets.R2_SECRET_ACCESS_KEY': AWS_SECRET_ACCESS_KEY,
      'secrets.GANTRY_SIGNING_KEY': await readFile(join(job.folder, 'key.pem'), 'utf8'),
      'secrets.PURGE_TOKEN': PURGE_TOKEN,
      'github.sha': '1f2e3d4c',
    };
  });
  afterAll(() => job.close());

  const shell = async (script: string, env: NodeJS.ProcessEnv = {}): Promise<void> => {
    const { code, stdout, stderr } = await run('sh', ['-eu', '-c', script], {
      cwd: job.folder,
      env: { ...job.env, ...job.credentials, ...env },
    });
    expect(`${script}\n${stdout}\n${stderr}\nexit ${String(code)}`).toMatch(/exit 0$/);
  };

  it.each(ofKind('yaml', 'github').map((text) => ({ text })))('GitHub: $text', async ({ text }) => {
    // Each setting that is named must be one of those that the page tells to make.
    const filled = (value: string): string =>
      value.replace(/\$\{\{ ([\w.-]+) \}\}/g, (_, name: string) => {
        if (settings[name] === undefined) throw new Error(`nothing sets ${name}`);
        return settings[name];
      });
    const [step] = parse(text) as [{ uses: string; with: Record<string, string> }];
    expect(step.uses).toMatch(/^gantry-registry\/gantry@v\d+$/);
    const given = Object.entries(step.with).map(([name, value]) => [name, filled(value)] as const);
    // The default port may be taken on the machine of a test.
    const inputs = { ...Object.fromEntries(given), listen: '127.0.0.1:0' };
    const { code, log, outputs } = await runAction(await readAction(), inputs, { folder: job.folder, env: job.env });
    expect(`${log}exit ${String(code)}`).toMatch(/exit 0$/);
    expect(outputs.digest).toMatch(/^sha256:/);
  });

  it.each(ofKind('yaml', 'gitlab').map((text) => ({ text })))('GitLab: $text', async ({ text }) => {
    const jobs = parse(text) as Record<string, { script: string[] }>;
    for (const { script } of Object.values(jobs)) {
      const { GANTRY_KEY } = job.env;
      await shell(script.join('\n'), {
        CI_COMMIT_SHORT_SHA: '1f2e3d4c',
        GANTRY_KEY,
        GANTRY_EDGE_URL: job.edge,
        PURGE_TOKEN,
      });
    }
    expect(await job.tags('team/app')).toMatch(/^1f2e3d4c .*^latest /ms);
  });

  it.each(ofKind('sh', 'bucket').map((text) => ({ text })))('shell: $text', ({ text }) => shell(text));

  it('are there for each of the three', () => {
    expect(ofKind('yaml', 'github')).toHaveLength(2);
    expect(ofKind('yaml', 'gitlab')).toHaveLength(1);
    expect(ofKind('sh', 'bucket').length).toBeGreaterThan(2);
  });
});
