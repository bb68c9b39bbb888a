/** The receiver and the example of docs/how-to/events.md do what the document says. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { headersOf, messageOf, parseSecrets } from '../../../src/publisher/notify/webhook.ts';
import { blocksOf, ROOT } from '../../docs/blocks.ts';
import { end, missingPrograms, run, titleWith } from '../../interop/programs.ts';
import { runGantry } from '../commands/command-line.ts';
import { writeDirImage } from '../dir-image.ts';
import { Bucket } from '../gc-bucket.ts';

const SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const SECRETS = parseSecrets(SECRET) ?? [];

let folder: string;
let blocks: ReturnType<typeof blocksOf>;
let receiver: ChildProcess;
let lines: AsyncIterator<string>;
let url: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-events-'));
  const document = await readFile(join(ROOT, 'docs', 'how-to', 'events.md'), 'utf8');
  blocks = blocksOf(document);
  const program = join(folder, 'receiver.mjs');
  await writeFile(program, blocks.find(({ language }) => language === 'js')?.text ?? '');
  receiver = spawn(process.execPath, [program], {
    env: { ...process.env, GANTRY_NOTIFY_SECRET: SECRET, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  lines = createInterface({ input: receiver.stdout ?? expect.fail() })[Symbol.asyncIterator]();
  const [, port = ''] = /^listens on port (\d+)$/.exec(await nextLine()) ?? [];
  url = `http://127.0.0.1:${port}/`;
});
afterAll(async () => {
  await end(receiver);
  await rm(folder, { recursive: true, force: true });
});

const nextLine = async (): Promise<string> => ((await lines.next()) as { value: string }).value;

it('the receiver accepts what gantry publish sends, and prints it', async () => {
  const { source } = await writeDirImage(join(folder, 'image'));
  const { code, stderr } = await runGantry(new Bucket(), ['publish', source, 'team/app:1.2', '--notify', url], {
    GANTRY_KEY: join(folder, 'key.pem'),
    GANTRY_NOTIFY_SECRET: SECRET,
  });
  expect(code).toBe(0);
  expect(stderr).not.toContain('warning');
  expect(await nextLine()).toBe('team/app:1.2 new');
});

it('the receiver refuses what was altered, recorded long ago, or signed with another secret', async () => {
  const body = messageOf([], new Date());
  const post = async (headers: Readonly<Record<string, string>>, sent = body): Promise<number> =>
    (await fetch(url, { method: 'POST', headers, body: sent })).status;
  const message = { id: 'msg_1', body };
  const now = new Date();
  expect(await post(headersOf(message, SECRETS, now))).toBe(204);
  // While a secret is changed, one of two signatures is enough.
  expect(await post(headersOf(message, [Buffer.alloc(32, 6), ...SECRETS], now))).toBe(204);
  expect(await post(headersOf(message, SECRETS, now), `${body} `)).toBe(401);
  expect(await post({ ...headersOf(message, SECRETS, now), 'webhook-id': 'msg_2' })).toBe(401);
  expect(await post(headersOf(message, SECRETS, new Date(now.getTime() - 301_000)))).toBe(401);
  expect(await post(headersOf(message, [Buffer.alloc(32, 6)], now))).toBe(401);
  expect(await post({})).toBe(401);
});

const missing = missingPrograms('openssl');
it.skipIf(missing.length > 0)(titleWith('OpenSSL computes the signature of the example', missing), async () => {
  const script = blocks.find(({ text }) => text.includes('openssl dgst'))?.text ?? '';
  const { stdout } = await run('sh', ['-eu', '-c', script]);
  expect(await readFile(join(ROOT, 'docs', 'how-to', 'events.md'), 'utf8')).toContain(`\`v1,${stdout.trim()}\`:`);
});
