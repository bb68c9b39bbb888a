import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requestLine } from '../../../src/publisher/commands/serve.ts';
import { seedDemo } from '../../../src/publisher/local/demo.ts';
import { makeStateFolder, type StateFolder } from '../../../src/publisher/local/folder.ts';
import { readStoredTag } from '../../../src/publisher/commands/stored.ts';
import { verify } from '../../../src/publisher/verify/verify.ts';
import { runGantry } from '../commands/command-line.ts';
import { Bucket, nameOf, tagOf } from '../gc-bucket.ts';

let root: string;
let folder: StateFolder;
let bucket: Bucket;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gantry-seed-'));
  folder = await makeStateFolder(join(root, 'state'));
  bucket = new Bucket();
});
afterEach(() => rm(root, { recursive: true, force: true }));

const seed = (): Promise<void> =>
  seedDemo(
    { folder, target: { store: bucket, title: 'a bucket in memory', close: () => Promise.resolve() } },
    join(root, 'key.pem'),
    {
      onMessage: () => undefined,
    },
  );

describe('the demo image of a new registry', () => {
  it('is published with a schema 1, whose empty layer is there', async () => {
    await seed();
    const { record } = await readStoredTag(bucket, nameOf('demo/hello'), tagOf('latest'));
    expect(record.forms.map(({ form, source }) => `${form} ${source.kind}`)).toEqual([
      'docker-schema2 published',
      'oci-manifest derived',
      'docker-schema1 derived',
    ]);
    expect(bucket.keys()).toContain(
      'blobs/public/sha256/a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4',
    );
    expect((await verify(bucket, { table: [], sample: 1, repair: false, jobs: 2 })).faults).toEqual([]);
  });

  it('does not come back once it was removed', async () => {
    await seed();
    await runGantry(bucket, ['rm', 'demo/hello']);
    await seed();
    expect((await runGantry(bucket, ['ls', '--json'])).stdout).toBe('[]\n');
  });
});

describe('a request as the local registry shows it', () => {
  it('is one line for people; anything else stays as it is', () => {
    const logged = {
      event: 'request',
      id: 'x',
      status: 200,
      method: 'GET',
      kind: 'manifest',
      name: 'demo/hello',
      tag: 'latest',
      form: 'docker-schema2',
      client: 'skopeo',
      ms: 3,
    };
    expect(requestLine(JSON.stringify(logged))).toBe('200 GET manifest demo/hello latest docker-schema2 skopeo 3 ms');
    expect(requestLine('{"event":"other"}')).toBeNull();
    expect(requestLine('{ not JSON')).toBeNull();
    expect(requestLine('a message')).toBeNull();
  });
});
