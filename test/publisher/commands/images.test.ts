/** The commands that put images into a bucket, look at them and take them away. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { VERBS } from '../../../src/publisher/program.ts';
import { verify } from '../../../src/publisher/verify/verify.ts';
import { hexOf } from '../../../src/registry/digest.ts';
import { tagKey } from '../../../src/registry/keys.ts';
import { type DirImage, writeDirImage, writeDirList } from '../dir-image.ts';
import { Bucket, nameOf, tagOf } from '../gc-bucket.ts';
import { type Ran, runGantry } from './command-line.ts';

let folder: string;
let image: DirImage;
let other: DirImage;
let bucket: Bucket;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-images-'));
  image = await writeDirImage(join(folder, 'image'));
  other = await writeDirImage(join(folder, 'other'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  bucket = new Bucket();
});

const gantry = (...args: readonly string[]): Promise<Ran> =>
  runGantry(bucket, args, { GANTRY_KEY: join(folder, 'key.pem') });
const json = (text: string): unknown => JSON.parse(text);
const lines = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const faults = async (): Promise<readonly unknown[]> =>
  (await verify(bucket, { table: [], sample: 1, repair: false, jobs: 2 })).faults;

describe('gantry publish', () => {
  it('publishes an image with its derived forms, and leaves nothing wrong', async () => {
    const { stdout, code } = await gantry('publish', image.source, 'library/app:v1');
    expect(code).toBe(0);
    expect(stdout).toMatch(/library\/app:v1 {2}published/);
    expect(stdout).toContain(image.manifest.digest);
    expect(stdout).toMatch(/derived +Docker schema 1/);
    expect(await faults()).toEqual([]);
  });

  it('does not write again what is there, and says so', async () => {
    await gantry('publish', image.source, 'library/app:v1');
    const before = bucket.objects.get(tagKey(nameOf('library/app'), tagOf('v1')))?.etag;
    const { stdout } = await gantry('publish', image.source, 'library/app:v1');
    expect(stdout).toMatch(/unchanged/);
    expect(stdout).toMatch(/0 blobs sent/);
    expect(bucket.objects.get(tagKey(nameOf('library/app'), tagOf('v1')))?.etag).toBe(before);
  });

  it('writes nothing with --dry-run, and tells what it would write', async () => {
    const { stdout, code } = await gantry('publish', image.source, 'library/app:v1', '--dry-run', '--json');
    expect(code).toBe(0);
    const result = lines(stdout).at(-1);
    expect(result).toMatchObject({
      event: 'result',
      dryRun: true,
      change: 'new',
      blobs: { total: 4, present: 0, sent: 4 },
    });
    expect(bucket.keys()).toEqual([]);
  });

  it('tells with --json what goes on, a line an event, the result last', async () => {
    const { stdout } = await gantry('publish', image.source, 'library/app:v1', '--json');
    const events = lines(stdout);
    expect(events.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['plan', 'blob-started', 'blob-sent', 'result']),
    );
    expect(events.at(-1)).toMatchObject({
      event: 'result',
      name: 'library/app',
      tag: 'v1',
      change: 'new',
      missing: [],
    });
  });

  it('replaces a form by one of the same kind', async () => {
    await gantry('publish', image.source, 'library/app:v1');
    const { stdout } = await gantry('publish', other.source, 'library/app:v1');
    expect(stdout).toMatch(/library\/app:v1 {2}moved/);
    expect(stdout).toMatch(new RegExp(`gone +Docker schema 2 +${image.manifest.digest}\\s+\\(replaced\\)`));
    expect(await faults()).toEqual([]);
  });

  it('keeps an OCI manifest beside a schema 2 of the same image, unless --replace is given', async () => {
    const layers = [new Uint8Array([1, 2, 3])];
    const docker = await writeDirImage(join(folder, 'twin-docker'), { layers });
    const oci = await writeDirImage(join(folder, 'twin-oci'), { layers, form: 'oci-manifest' });
    await gantry('publish', docker.source, 'library/app:v1');
    const joined = json(
      (await gantry('publish', oci.source, 'library/app:v1', '--json')).stdout.trim().split('\n').at(-1) ?? '',
    );
    expect(joined).toMatchObject({ kept: [{ form: 'docker-schema2', digest: docker.manifest.digest }], dropped: [] });
    const replaced = json(
      (await gantry('publish', docker.source, 'library/app:v1', '--replace', '--json')).stdout
        .trim()
        .split('\n')
        .at(-1) ?? '',
    );
    expect(replaced).toMatchObject({ kept: [], dropped: [{ form: 'oci-manifest', why: 'replace' }] });
    expect(await faults()).toEqual([]);
  });

  it('publishes only the platforms that are asked for, and says which of the list were left out', async () => {
    const list = await writeDirList(join(folder, 'list'), [
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm', variant: 'v7' },
      { os: 'linux', architecture: 's390x' },
    ]);
    const { stdout, stderr, code } = await gantry(
      'publish',
      list.source,
      'library/app:v1',
      '--platform',
      'linux/amd64',
      '--platform',
      'linux/arm/v7',
    );
    expect(code).toBe(0);
    expect(stdout).toContain(list.digest);
    expect(stdout).toMatch(/derived +Docker schema 1 linux\/arm\/v7/);
    expect(stdout).toMatch(/missing +Docker schema 1 linux\/s390x/);
    expect(stderr).toMatch(/warning: .*left out: linux\/s390x/);
  });

  it('takes --recompress before a source, which it does not swallow', async () => {
    const { code, stderr } = await gantry('publish', '--recompress', image.source, 'library/app:v1');
    expect(stderr).not.toMatch(/error/);
    expect(code).toBe(0);
    expect((await gantry('publish', '--recompress=some', image.source, 'library/app:v1')).code).toBe(2);
  });

  it('tells the edge that the tag moved, and only warns where that does not work', async () => {
    const asked: string[] = [];
    let status = 204;
    const edge = createServer((request, response) => {
      void (async () => {
        let body = '';
        for await (const chunk of request) body += String(chunk);
        asked.push(`${request.method ?? ''} ${request.url ?? ''} ${request.headers.authorization ?? ''} ${body}`);
        response.writeHead(status).end();
      })();
    }).listen(0, '127.0.0.1');
    await once(edge, 'listening');
    const variables = {
      GANTRY_KEY: join(folder, 'key.pem'),
      PURGE_TOKEN: 'secret',
      GANTRY_EDGE_URL: `http://127.0.0.1:${String((edge.address() as AddressInfo).port)}`,
    };
    try {
      expect((await runGantry(bucket, ['publish', image.source, 'library/app:v1'], variables)).stderr).not.toMatch(
        /warning/,
      );
      expect(asked).toEqual(['POST /-/purge Bearer secret {"repositories":["library/app"],"tags":["library/app:v1"]}']);
      status = 401;
      const refused = await runGantry(bucket, ['publish', other.source, 'library/app:v1'], variables);
      expect(refused.stderr).toMatch(/warning: .* was not purged: it refuses PURGE_TOKEN/);
      expect(refused.code).toBe(0);
    } finally {
      edge.close();
    }
    const half = await runGantry(bucket, ['publish', image.source, 'library/app:v1'], {
      ...variables,
      PURGE_TOKEN: '',
    });
    expect(half).toMatchObject({ code: 2, stdout: '' });
  });

  it('writes nothing where a layer is not there or is not what its digest says', async () => {
    const broken = await writeDirImage(join(folder, 'broken'), { layers: 3 });
    const layer = join(broken.folder, hexOf(broken.layers[2] ?? broken.config));
    await writeFile(layer, 'something else');
    const damaged = await gantry('publish', broken.source, 'library/app:v1');
    expect(damaged).toMatchObject({ code: 1, stdout: '' });
    expect(damaged.stderr).toMatch(/error: the layer sha256:[0-9a-f]{64} has 14 bytes instead of \d+/);
    await rm(layer);
    expect((await gantry('publish', broken.source, 'library/app:v1')).stderr).toMatch(
      /error: the source lacks the layer/,
    );
    expect(bucket.keys().filter((key) => key.startsWith('repositories/'))).toEqual([]);
  });
});

describe('gantry ls', () => {
  it('lists repositories and tags, for people and as JSON', async () => {
    await gantry('publish', image.source, 'library/app:v1');
    await gantry('publish', image.source, 'library/app:v2');
    await gantry('publish', other.source, 'team/other:latest');
    expect((await gantry('ls')).stdout).toMatch(/library\/app +2 tags\nteam\/other +1 tag\n/);
    expect(json((await gantry('ls', '--json')).stdout)).toEqual([
      { name: 'library/app', tags: 2 },
      { name: 'team/other', tags: 1 },
    ]);
    expect((await gantry('ls', 'library/app')).stdout).toMatch(
      /v1 .*linux\/amd64.*Docker schema 2, OCI image manifest, Docker schema 1\nv2 /,
    );
    expect(json((await gantry('ls', 'library/app', '--json')).stdout)).toMatchObject([
      {
        tag: 'v1',
        platforms: ['linux/amd64'],
        published: ['docker-schema2'],
        derived: ['oci-manifest', 'docker-schema1'],
        missing: [],
      },
      { tag: 'v2' },
    ]);
  });

  it('says what to do where nothing is published, and fails for a name that is not there', async () => {
    expect(await gantry('ls')).toMatchObject({ code: 0, stdout: '' });
    expect(json((await gantry('ls', '--json')).stdout)).toEqual([]);
    const unknown = await gantry('ls', 'library/nothing');
    expect(unknown).toMatchObject({ code: 1, stdout: '' });
    expect(unknown.stderr).toMatch(/nothing is published under library\/nothing/);
    expect((await gantry('ls', 'library/app:v1')).code).toBe(2);
  });
});

describe('gantry inspect', () => {
  it('shows the forms of a tag with digests, whence they come, and reasons for those that are not there', async () => {
    const zstd = await writeDirImage(join(folder, 'no-history'), { form: 'oci-manifest', layers: 1 });
    await gantry('publish', zstd.source, 'library/app:v1');
    const shown = json((await gantry('inspect', 'library/app:v1', '--json')).stdout) as {
      forms: { form: string; source: string; from?: string; digest: string }[];
    };
    expect(shown.forms.map(({ form, source }) => `${form} ${source}`)).toEqual([
      'oci-manifest published',
      'docker-schema2 derived',
      'docker-schema1 derived',
    ]);
    expect(shown.forms[0]?.digest).toBe(zstd.manifest.digest);
    expect(shown.forms[1]?.from).toBe(zstd.manifest.digest);
    const { stdout } = await gantry('inspect', 'library/app:v1');
    for (const { digest } of shown.forms) expect(stdout).toContain(digest);
    for (const layer of zstd.layers) expect(stdout).toContain(layer);
  });

  it('gives every derived manifest by its digest, byte for byte with --raw', async () => {
    await gantry('publish', image.source, 'library/app:v1');
    const raw = await gantry('inspect', `library/app@${image.manifest.digest}`, '--raw');
    expect(raw.stdout).toBe(new TextDecoder().decode(image.manifestBytes));
    expect(json((await gantry('inspect', `library/app@${image.manifest.digest}`, '--json')).stdout)).toMatchObject({
      form: 'docker-schema2',
      config: image.config,
      layers: image.layers.map((digest) => ({ digest })),
    });
  });

  it('fails clearly for a tag, a repository or a digest that is not there', async () => {
    await gantry('publish', image.source, 'library/app:v1');
    expect((await gantry('inspect', 'library/app:v2')).stderr).toMatch(/library\/app has no tag v2/);
    expect((await gantry('inspect', 'library/nothing:v2')).stderr).toMatch(
      /nothing is published under library\/nothing/,
    );
    expect((await gantry('inspect', `library/app@${other.manifest.digest}`)).code).toBe(1);
    expect((await gantry('inspect', 'library/app@sha256:12')).code).toBe(2);
  });
});

describe('gantry explain', () => {
  beforeEach(() => gantry('publish', image.source, 'library/app:v1'));

  it('says what each known client gets', async () => {
    const { stdout, code } = await gantry('explain', 'library/app:v1');
    expect(stdout).toMatch(/✓ Docker 1\.6 +Docker schema 1 +derived/);
    expect(stdout).toMatch(/✓ podman ≥ 5\.7, skopeo ≥ 1\.21, buildah ≥ 1\.42 +Docker schema 2 +published/);
    expect(stdout).toMatch(/✓ importctl pull-oci \(systemd 260\) +OCI image manifest +derived/);
    expect(code).toBe(0);
    const answers = json((await gantry('explain', 'library/app:v1', '--json')).stdout) as {
      client: string;
      gets: string | null;
    }[];
    expect(answers.every(({ gets }) => gets !== null)).toBe(true);
  });

  it('marks the engines that refuse the name of the repository', async () => {
    await gantry('publish', image.source, 'hub/library/app:v1');
    const { stdout, code } = await gantry('explain', 'hub/library/app:v1');
    expect(stdout).toMatch(/✗ Docker 1\.7 +Docker schema 1 +derived/);
    expect(stdout.replace(/\s+/g, ' ')).toContain('Docker before 1.8 refuses names of more than two components.');
    expect(stdout).toMatch(/✓ Docker 1\.8 /);
    expect(code).toBe(0);
    const one = await gantry('explain', 'hub/library/app:v1', '--user-agent', 'docker/1.7.1');
    expect(one.stdout).toMatch(/but +Docker before 1\.8 refuses names/);
    expect(one.code).toBe(1);
    const data = await gantry('explain', 'hub/library/app:v1', '--json', '--user-agent', 'docker/1.8.3');
    expect(json(data.stdout)).toMatchObject({ gets: 'docker-schema1', obstacle: null });
  });

  it('marks a client that refuses the form that it gets', async () => {
    const accept = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
    const ran = await gantry('explain', 'library/app:v1', '--accept', accept, '--user-agent', 'docker/28.5.2');
    expect(ran.stdout).toMatch(/but +It refuses schema 1\./);
    expect(ran.code).toBe(1);
  });

  it('marks a client that finds no image for its platform in the list', async () => {
    const list = await writeDirList(join(folder, 'explained-list'), [{ os: 'linux', architecture: 'amd64' }]);
    await gantry('publish', list.source, 'library/list:v1');
    const accept = 'application/vnd.docker.distribution.manifest.list.v2+json';
    const userAgent = (architecture: string) => `docker/20.10.24 go/go1.19 os/linux arch/${architecture}`;
    const ran = (architecture: string) =>
      gantry('explain', 'library/list:v1', '--accept', accept, '--user-agent', userAgent(architecture));
    const riscv = await ran('riscv64');
    expect(riscv.stdout).toMatch(/but +It finds no image for linux\/riscv64 in the list/);
    expect([riscv.code, (await ran('amd64')).code]).toEqual([1, 0]);
  });

  it('gives Docker 19.03.0 to 19.03.4 a Docker form of an OCI image', async () => {
    const oci = await writeDirImage(join(folder, 'oci-for-19'), { form: 'oci-manifest' });
    await gantry('publish', oci.source, 'library/oci:v1');
    const { stdout } = await gantry('explain', 'library/oci:v1');
    expect(stdout).toMatch(/✓ Docker 18\.06–18\.09 +OCI image manifest +published/);
    expect(stdout).toMatch(/✓ Docker 19\.03\.0–19\.03\.4 +Docker schema 2 +derived/);
    expect(stdout).toMatch(/✓ Docker 19\.03\.5–19\.03\.15 +OCI image manifest +published/);
  });

  it('gives an engine from before 1.10 the schema 1, and says why', async () => {
    const { stdout } = await gantry('explain', 'library/app:v1', '--user-agent', 'docker/1.9.1');
    expect(stdout).toMatch(/gets +Docker schema 1/);
    expect(stdout).toMatch(/no Accept header/);
  });

  it('says what a client misses that gets nothing, with the reason, and fails', async () => {
    const oci = 'application/vnd.oci.image.index.v1+json';
    expect(json((await gantry('explain', 'library/app:v1', '--accept', oci, '--json')).stdout)).toMatchObject({
      accept: oci,
      gets: null,
      status: 404,
      reason: 'form-not-published',
      help: '/help/form-not-published',
    });
    expect((await gantry('explain', 'library/app:v1', '--accept', oci)).code).toBe(1);
  });

  it('reads several Accept lines as one header', async () => {
    const answer = await gantry(
      'explain',
      'library/app:v1',
      '--json',
      '--accept',
      'application/vnd.oci.image.index.v1+json',
      '--accept',
      '*/*;q=0.1',
    );
    expect(json(answer.stdout)).toMatchObject({ gets: 'docker-schema2', digest: image.manifest.digest });
  });
});

describe('gantry rm', () => {
  beforeEach(async () => {
    await gantry('publish', image.source, 'library/app:v1');
    await gantry('publish', other.source, 'library/app:v2');
  });

  it('removes a tag and its place in the list', async () => {
    expect(await gantry('rm', 'library/app:v1')).toMatchObject({ code: 0, stdout: 'library/app:v1\n' });
    expect(json((await gantry('ls', 'library/app', '--json')).stdout)).toMatchObject([{ tag: 'v2' }]);
    expect(await faults()).toEqual([]);
    expect((await gantry('rm', 'library/app:v1')).code).toBe(1);
  });

  it('takes the repository out of the catalogue with its last tag', async () => {
    await gantry('rm', 'library/app:v1');
    await gantry('rm', 'library/app:v2');
    expect(json((await gantry('ls', '--json')).stdout)).toEqual([]);
    expect(await faults()).toEqual([]);
  });

  it('removes all tags of a repository, and none with --dry-run', async () => {
    expect((await gantry('rm', 'library/app', '--dry-run')).stdout).toBe('library/app:v1\nlibrary/app:v2\n');
    expect(json((await gantry('ls', '--json')).stdout)).toEqual([{ name: 'library/app', tags: 2 }]);
    expect(json((await gantry('rm', 'library/app', '--json')).stdout)).toEqual({
      name: 'library/app',
      tags: ['v1', 'v2'],
      dryRun: false,
    });
    expect(json((await gantry('ls', '--json')).stdout)).toEqual([]);
  });
});

describe('the command line', () => {
  it('says what to do first where nothing is asked for', async () => {
    const { stdout, code } = await gantry();
    expect(code).toBe(0);
    expect(stdout).toMatch(/gantry publish dir:busybox/);
  });

  it.each(VERBS)('has examples in the help of %s', async (verb) => {
    const { stdout, code } = await gantry(verb, '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples:\n(?: {2}(?:\$ )?.*\n)* {2}\$ (?:[A-Z_]+=\S+ )*gantry /);
  });

  it.each([
    ['an unknown option', ['ls', '--colour']],
    ['an unknown command', ['pull', 'library/app:v1']],
    ['a missing argument', ['publish', 'dir:folder']],
    ['a name outside the grammar', ['publish', 'dir:folder', 'Library/App:v1']],
    ['a tag outside the grammar', ['publish', 'dir:folder', 'library/app:-v1']],
    ['a name without a tag', ['publish', 'dir:folder', 'library/app']],
    ['a name with a host', ['publish', 'dir:folder', 'localhost:5000/app:v1']],
    ['an unknown transport', ['publish', 'ftp:folder', 'library/app:v1']],
    ['a port that is none', ['serve', '--port', '99999']],
    ['no number of jobs', ['publish', 'dir:folder', 'library/app:v1', '--jobs', '0']],
  ])('ends with 2 for %s, and says what is wrong', async (_, args) => {
    const { stdout, stderr, code } = await gantry(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^error: /);
    expect(bucket.keys()).toEqual([]);
  });

  it('tells failures as JSON too where JSON is asked for', async () => {
    expect(json((await gantry('inspect', 'library/app:v1', '--json')).stdout)).toMatchObject({
      error: { code: 'FAILED', message: 'nothing is published under library/app' },
    });
  });
});
