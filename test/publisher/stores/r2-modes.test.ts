/** The publisher's commands over a bucket that is as strict as R2's documentation says. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Chooser } from '../../faults/proxy.ts';
import { type Finished, gantry } from '../../interop/programs.ts';
import { S3Client } from '../../../src/publisher/stores/s3/client.ts';
import { completeUpload, createUpload, putObject, uploadPart } from '../../../src/publisher/stores/s3/requests.ts';
import { UNSIGNED_PAYLOAD } from '../../../src/publisher/stores/s3/signature.ts';
import { writeDirImage } from '../dir-image.ts';
import { asDocumented, R2_MODES } from './r2-modes.ts';
import { PART, type S3Bed, startS3Bed } from './s3-bed.ts';

let bed: S3Bed;
let home: string;

beforeAll(async () => {
  bed = await startS3Bed();
  home = await mkdtemp(join(tmpdir(), 'gantry-r2-modes-'));
});

afterAll(async () => {
  await bed.close();
  await rm(home, { recursive: true, force: true });
});

afterEach(() => {
  bed.proxy.fault = () => undefined;
});

/** Headers of HTTP and of Signature Version 4, and what R2 documents ("S3 API compatibility") of those of objects. */
const DOCUMENTED =
  /^(?:host|connection|content-length|content-type|user-agent|authorization|x-amz-(?:date|content-sha256|security-token|meta-.+)|content-md5|if-match|if-none-match|range)$/;

/** How often a rule refused a request. */
function counted(rule: Chooser): { readonly rule: Chooser; readonly refused: () => number } {
  let refused = 0;
  return {
    rule: (seen) => {
      const fault = rule(seen);
      if (fault?.kind === 'answer') refused += 1;
      return fault;
    },
    refused: () => refused,
  };
}

const MODES: readonly (readonly [string, () => Chooser])[] = [
  ...Object.entries(R2_MODES),
  ['all of it at once', asDocumented],
];

describe.each(MODES)('a bucket with this rule: %s', (title, mode) => {
  it('is published to, moved in, collected and verified', async () => {
    const prefix = title.replaceAll(/[^a-z0-9]+/gi, '-');
    const { rule, refused } = counted(mode());
    bed.proxy.fault = rule;
    const before = bed.proxy.seen.length;
    const env = { ...process.env, ...bed.env, GANTRY_KEY: join(home, 'key.pem'), XDG_STATE_HOME: join(home, 'state') };
    const to = ['--to', `s3://${bed.bucket}/${prefix}`];
    const run = (...args: readonly string[]): Promise<Finished> => gantry([...args, ...to], { env });
    const folder = join(home, prefix);
    await mkdir(folder);
    const image = await writeDirImage(join(folder, 'one'));
    const other = await writeDirImage(join(folder, 'two'));
    for (const source of [image.source, other.source]) {
      expect(await run('publish', source, 'team/app:latest')).toMatchObject({ code: 0 });
    }
    expect(await run('rm', 'team/app:latest')).toMatchObject({ code: 0 });
    expect(await run('publish', image.source, 'team/app:v2')).toMatchObject({ code: 0 });
    expect(await run('gc', '--grace', '0', '--delete')).toMatchObject({ code: 0 });
    expect(await run('verify')).toMatchObject({ code: 0 });
    const seen = bed.proxy.seen.slice(before);
    const names = new Set(seen.flatMap(({ headers }) => Object.keys(headers)));
    expect([...names].filter((header) => !DOCUMENTED.test(header))).toEqual([]);
    // A refusal for coming too soon is the only one that a correct publisher meets.
    if (title.startsWith('429') || title.startsWith('all')) expect(refused()).toBeGreaterThan(0);
    else expect(refused()).toBe(0);
  });
});

// The rules themselves: a client that breaks them is refused.
describe('the rules', () => {
  const clientOf = () => {
    const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', AWS_ENDPOINT_URL = '' } = bed.env;
    const keys = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
    return new S3Client({ keys, endpoint: AWS_ENDPOINT_URL, region: 'auto' });
  };

  it('refuse a DeleteObjects with a newer checksum', async () => {
    bed.proxy.fault = asDocumented();
    const client = clientOf();
    try {
      const body = Buffer.from('<Delete><Object><Key>x</Key></Object></Delete>');
      const headers = { 'x-amz-checksum-crc32': crc32(body).toString() };
      const deletion = { method: 'POST', bucket: bed.bucket, query: { delete: '' }, headers, body } as const;
      await expect(client.send(deletion)).rejects.toMatchObject({ code: 'NotImplemented' });
    } finally {
      client.destroy();
    }
  });

  it('refuse parts of several sizes, and a second write to a key', async () => {
    bed.proxy.fault = asDocumented();
    const client = clientOf();
    const place = { bucket: bed.bucket, key: 'rules/parts' };
    const contentType = 'text/plain';
    try {
      const uploadId = await createUpload(client, { ...place, contentType });
      const parts = [];
      for (const [at, size] of [PART, PART + 1, PART].entries()) {
        const body = new Uint8Array(size);
        const number = at + 1;
        const part = { ...place, uploadId, number, body, size, payloadHash: UNSIGNED_PAYLOAD };
        parts.push({ number, etag: await uploadPart(client, part) });
      }
      await expect(completeUpload(client, { ...place, uploadId, parts })).rejects.toMatchObject({
        code: 'InvalidPart',
      });
      const body = Buffer.from('x');
      const key = 'rules/key';
      const put = (): Promise<unknown> =>
        putObject(client, { bucket: bed.bucket, key, body, size: 1, payloadHash: UNSIGNED_PAYLOAD, contentType });
      await put();
      await expect(put()).rejects.toMatchObject({ code: 'TooManyRequests' });
      await put();
    } finally {
      client.destroy();
    }
  });
});
