/** action.yml, run as GitHub's runner runs it, against a bucket on loopback. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingPrograms, titleWith } from '../interop/programs.ts';
import { writeDirImage } from '../publisher/dir-image.ts';
import { type Job, PURGE_TOKEN, startJob } from './job.ts';
import { type Action, type ActionRun, readAction, runAction } from './runner.ts';

let job: Job;
let action: Action;
let source: string;
let digest: string;

beforeAll(async () => {
  job = await startJob();
  action = await readAction();
  const image = await writeDirImage(join(job.folder, 'image'));
  source = image.source;
  digest = image.manifest.digest;
});
afterAll(() => job.close());

/** With the credentials of the bucket as inputs, unless `inputs` says otherwise. */
function act(inputs: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv = {}): Promise<ActionRun> {
  const { AWS_ENDPOINT_URL_S3 = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = job.credentials;
  const credentials = {
    endpoint: AWS_ENDPOINT_URL_S3,
    'access-key-id': AWS_ACCESS_KEY_ID,
    'secret-access-key': AWS_SECRET_ACCESS_KEY,
  };
  return runAction(
    action,
    { to: job.bucket, ...credentials, ...inputs },
    {
      folder: job.folder,
      env: { ...job.env, ...env },
    },
  );
}

describe('the action', () => {
  it('publishes the images of its lines, purges the edge, and says what it published', async () => {
    const purges = { 'edge-url': job.edge, 'purge-token': PURGE_TOKEN };
    const images = `${source} team/one:1\n\n  ${source}   team/two:1\n`;
    const { code, log, outputs, summary } = await act({ images, ...purges });
    expect(`${log}exit ${String(code)}`).toMatch(/exit 0$/);
    expect(outputs.digest).toBe(digest);
    expect(JSON.parse(outputs.images ?? '')).toEqual([
      { name: 'team/one', tag: '1', digest, change: 'new' },
      { name: 'team/two', tag: '1', digest, change: 'new' },
    ]);
    expect(summary).toContain(`| team/two:1 | \`${digest}\` | new |`);
    expect(await job.tags('team/two')).toMatch(/^1 /m);
    expect(job.purges.join(' ')).toMatch(/team\/one.*team\/two/s);
  });

  it('takes the credentials that the job has, where its inputs have none', async () => {
    const none = { endpoint: '', 'access-key-id': '', 'secret-access-key': '' };
    const { code, log } = await act({ images: `${source} team/job:1`, ...none }, job.credentials);
    expect(`${log}exit ${String(code)}`).toMatch(/exit 0$/);
    expect(await job.tags('team/job')).toMatch(/^1 /m);
  });

  it('fails with the reason where the bucket refuses the credentials, and prints no secret', async () => {
    const { code, log } = await act({ images: `${source} team/no:1`, 'secret-access-key': 'wrong-secret' });
    expect(code).not.toBe(0);
    expect(log).toMatch(/error/i);
    expect(log).not.toContain('wrong-secret');
  });

  it('takes values for what they are, not for commands', async () => {
    const { code } = await act({ images: `${source} team/x:$(touch\towned)\n"; touch owned; "` });
    expect(code).toBe(2);
    await expect(readFile(join(job.folder, 'owned'))).rejects.toThrow('ENOENT');
  });

  it.each([
    [{ images: ' \n' }, /nothing to publish: set the input "images" or the input "run"/],
    [{ images: 'dir:x a:1', to: '' }, /The input "to" is empty/],
    [{ images: 'dir:x' }, /is not SOURCE NAME:TAG/],
  ])('says what is missing: %o', async (inputs, message) => {
    const { code, log } = await act(inputs);
    expect(log).toMatch(message);
    expect(code).toBe(2);
  });

  it('uses the gantry on the PATH where that is asked for', async () => {
    const { code, log } = await act({ images: `${source} team/path:1`, version: 'installed' });
    expect(`${log}exit ${String(code)}`).toMatch(/exit 0$/);
  });

  it('refuses a version that npm does not have', async () => {
    const { code } = await act({ images: `${source} team/path:1`, version: '0.0.1-none' });
    expect(code).toBe(1);
  });
});

const missing = missingPrograms('skopeo');
describe.skipIf(missing.length > 0)(titleWith('the action with a script', missing), () => {
  it('takes what the script pushes, and gives the script no secret', async () => {
    const run = [
      `skopeo copy -q --dest-tls-verify=false "${source}" "docker://$GANTRY_PUSH/team/pushed:1"`,
      'echo "secret: ${AWS_SECRET_ACCESS_KEY-none} ${GANTRY_SECRET_ACCESS_KEY-none}"',
    ].join('\n');
    const { code, log, outputs } = await act({ run, listen: '127.0.0.1:0' });
    expect(`${log}exit ${String(code)}`).toMatch(/exit 0$/);
    expect(log).toContain('secret: none none');
    expect(JSON.parse(outputs.images ?? '')).toEqual([{ name: 'team/pushed', tag: '1', digest, change: 'new' }]);
    expect(await job.tags('team/pushed')).toMatch(/^1 /m);
  });

  it('fails with the exit code of the script', async () => {
    expect((await act({ run: 'false\nexit 0', listen: '127.0.0.1:0' })).code).toBe(1);
    expect((await act({ run: 'exit 7', listen: '127.0.0.1:0' })).code).toBe(7);
  });
});
