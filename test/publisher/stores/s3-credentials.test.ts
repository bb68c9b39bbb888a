/** Where the server and the keys of `--to s3://` come from: the AWS command line is the model. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { gantry } from '../../interop/programs.ts';
import { S3Client } from '../../../src/publisher/stores/s3/client.ts';
import { readS3Server, type S3Overrides, type S3Server } from '../../../src/publisher/stores/s3/server.ts';
import { type S3Bed, startS3Bed } from './s3-bed.ts';

let folder: string;
let bed: S3Bed;
let metadata: Server;
/** What the container's endpoint answers; null: it is down. */
let issued: object | null = null;
const asked: (string | undefined)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-credentials-'));
  bed = await startS3Bed();
  // "Container credential provider": GET with the token in `Authorization`, answered by JSON.
  metadata = createServer((request, response) => {
    asked.push(request.headers.authorization);
    if (issued === null) response.destroy();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(issued));
  }).listen(0, '127.0.0.1');
  await once(metadata, 'listening');
});

afterAll(async () => {
  metadata.close();
  await bed.close();
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  issued = null;
  asked.length = 0;
  await write('config', '');
  await write('credentials', '');
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'));
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
});

afterEach(() => {
  vi.unstubAllEnvs();
});

const write = (file: string, text: string): Promise<void> => writeFile(join(folder, file), text);
const read = (overrides: S3Overrides = {}): Promise<S3Server> => readS3Server(process.env, overrides);
const keysOf = async ({ keys }: S3Server): Promise<string> =>
  (typeof keys === 'function' ? await keys() : keys).accessKeyId;

const CONFIG = `[default]
region = eu-central-1

[profile work]
region = eu-west-1
services = own
endpoint_url = https://all.example

[services own]
s3 =
  endpoint_url = https://s3.example
`;
const CREDENTIALS = `[default]
aws_access_key_id = default-key
aws_secret_access_key = secret

[work]
aws_access_key_id = work-key
aws_secret_access_key = secret
aws_session_token = token
`;

describe('the server', () => {
  const VARIABLES = { AWS_ACCESS_KEY_ID: 'variable-key', AWS_SECRET_ACCESS_KEY: 'secret' };

  it.each<[string, Record<string, string>, S3Overrides, Partial<Record<'endpoint' | 'region' | 'key', string>>]>([
    ['keys in variables, without files', VARIABLES, {}, { key: 'variable-key', region: 'us-east-1' }],
    ['the default profile', {}, {}, { key: 'default-key', region: 'eu-central-1' }],
    ['--profile', {}, { profile: 'work' }, { key: 'work-key', region: 'eu-west-1', endpoint: 'https://s3.example' }],
    [
      '$AWS_PROFILE',
      { AWS_PROFILE: 'work' },
      {},
      { key: 'work-key', region: 'eu-west-1', endpoint: 'https://s3.example' },
    ],
    ['--profile before variables', VARIABLES, { profile: 'work' }, { key: 'work-key' }],
    ['--profile before $AWS_PROFILE', { AWS_PROFILE: 'none' }, { profile: 'work' }, { key: 'work-key' }],
    [
      'keys in variables before those of $AWS_PROFILE, whose settings hold',
      { ...VARIABLES, AWS_PROFILE: 'work' },
      {},
      { key: 'variable-key', region: 'eu-west-1', endpoint: 'https://s3.example' },
    ],
    [
      'AWS_ENDPOINT_URL_S3 before AWS_ENDPOINT_URL',
      { ...VARIABLES, AWS_ENDPOINT_URL_S3: 'https://a.example', AWS_ENDPOINT_URL: 'https://b.example' },
      {},
      { endpoint: 'https://a.example', region: 'auto' },
    ],
    [
      'AWS_ENDPOINT_URL before a profile',
      { AWS_ENDPOINT_URL: 'https://b.example', AWS_PROFILE: 'work' },
      {},
      { endpoint: 'https://b.example' },
    ],
    [
      '--endpoint and --region before all',
      { AWS_ENDPOINT_URL_S3: 'https://a.example', AWS_REGION: 'a', AWS_PROFILE: 'work' },
      { endpoint: 'http://c.example', region: 'c' },
      { endpoint: 'http://c.example', region: 'c', key: 'work-key' },
    ],
    [
      'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS',
      { AWS_PROFILE: 'work', AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true', AWS_ENDPOINT_URL: 'https://b.example' },
      {},
      { endpoint: undefined as never, region: 'eu-west-1' },
    ],
  ])('is read from %s', async (_, variables, overrides, expected) => {
    await write('config', CONFIG);
    await write('credentials', CREDENTIALS);
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    const server = await read(overrides);
    expect({ endpoint: server.endpoint, region: server.region, key: await keysOf(server) }).toMatchObject(expected);
  });

  it('is refused where a named profile does not exist, with those that do', async () => {
    await write('config', CONFIG);
    await expect(read({ profile: 'wrok' })).rejects.toMatchObject({
      message: expect.stringMatching(/no profile "wrok" in .*config and .*credentials/) as string,
      hint: expect.stringMatching(/default, work\.$/) as string,
    });
  });
});

describe('the keys', () => {
  const container = (): void => {
    const { port } = metadata.address() as AddressInfo;
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `http://127.0.0.1:${String(port)}/role`);
    vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN', 'the token');
  };
  const issue = (name: string, seconds: number): void => {
    const Expiration = new Date(Date.now() + seconds * 1000).toISOString();
    issued = { AccessKeyId: name, SecretAccessKey: 's', Token: 't', Expiration };
  };

  it('come from the metadata of a container once, and again before they expire', async () => {
    container();
    issue('first', 3600);
    const server = await read();
    expect([await keysOf(server), await keysOf(server)]).toEqual(['first', 'first']);
    expect(asked).toEqual(['the token']);
    issue('short', -1);
    const other = await read();
    expect(await keysOf(other)).toBe('short');
    issue('next', 3600);
    expect(await keysOf(other)).toBe('next');
  });

  it('come from a process that the profile names', async () => {
    await write('keys.json', JSON.stringify({ Version: 1, AccessKeyId: 'process-key', SecretAccessKey: 's' }));
    await write('config', `[profile tool]\ncredential_process = cat ${join(folder, 'keys.json')}\n`);
    expect(await keysOf(await read({ profile: 'tool' }))).toBe('process-key');
  });

  it('are missing, and the error says what was tried', async () => {
    container();
    const server = await read();
    await expect(keysOf(server)).rejects.toMatchObject({
      message: expect.stringMatching(
        /no AWS credentials were found: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; tried the profile default in .*config and .*credentials; .*AWS_WEB_IDENTITY_TOKEN_FILE is not set.*; tried the metadata of the container \(.*socket hang up\)/,
      ) as string,
      hint: expect.stringMatching(/AWS_ACCESS_KEY_ID.*--profile/) as string,
    });
  });
});

it('follows the clock of the server, so that a machine whose clock is wrong can publish', async () => {
  const dates: (string | undefined)[] = [];
  const ahead = 3 * 3_600_000;
  const server = createServer((request, response) => {
    dates.push(String(request.headers['x-amz-date']));
    response.setHeader('date', new Date(Date.now() + ahead).toUTCString());
    if (dates.length === 1)
      response
        .writeHead(403, { 'content-type': 'application/xml' })
        .end('<Error><Code>RequestTimeTooSkewed</Code></Error>');
    else response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const client = new S3Client({ endpoint, region: 'auto', keys: { accessKeyId: 'a', secretAccessKey: 'b' } });
  try {
    const send = (): Promise<unknown> => client.send({ method: 'HEAD', bucket: 'b', key: 'k' });
    await expect(send()).rejects.toMatchObject({
      code: 'RequestTimeTooSkewed',
      message: expect.stringMatching(/the clock of this machine is 180 minutes behind that of storage/) as string,
    });
    await send();
    const [first = '', second = ''] = dates.map((date = '') =>
      date.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z'),
    );
    expect(Math.abs(Date.parse(second) - Date.parse(first) - ahead)).toBeLessThan(60_000);
  } finally {
    client.destroy();
    server.close();
  }
});

describe('a command', () => {
  it('reads a bucket by a profile, and loads the code for profiles only then', async () => {
    const {
      AWS_ACCESS_KEY_ID: key = '',
      AWS_SECRET_ACCESS_KEY: secret = '',
      AWS_ENDPOINT_URL: endpoint = '',
    } = bed.env;
    await write('credentials', `[r2]\naws_access_key_id = ${key}\naws_secret_access_key = ${secret}\n`);
    await write('config', `[profile r2]\nendpoint_url = ${endpoint}\n`);
    const loaded = join(folder, 'loaded.mjs');
    await write(
      'loaded.mjs',
      `import { registerHooks } from 'node:module';
       registerHooks({ load: (url, context, next) => {
         if (/credential-provider/.test(url)) process.stderr.write('loaded the chain\\n');
         return next(url, context);
       } });`,
    );
    const run = (args: readonly string[], env: NodeJS.ProcessEnv) =>
      gantry(['ls', '--to', 's3://images', ...args], {
        env: { ...process.env, NODE_OPTIONS: `--import ${loaded}`, ...env },
      });
    const byProfile = await run(['--profile', 'r2', '--endpoint', endpoint, '--region', 'auto'], {});
    expect(byProfile).toMatchObject({ code: 0, stderr: expect.stringContaining('loaded the chain') as string });
    const byVariables = await run([], bed.env);
    expect(byVariables.code).toBe(0);
    expect(byVariables.stderr).not.toContain('loaded the chain');
  });

  it('refuses the options of S3 for the local store', async () => {
    expect(await gantry(['ls', '--profile', 'r2'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--profile has no meaning for --to local/) as string,
    });
  });
});
