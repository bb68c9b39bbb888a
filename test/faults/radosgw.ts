/**
 * Ceph's S3 gateway over a cluster of one disk in memory, as a second S3 that we did not write: `ceph-mon`, `ceph-osd`
 * and `radosgw` (Debian 12 has 16.2.15), started in about a second in a folder of their own.
 *
 * What RGW 16.2.15 answers where S3 and R2 differ from it or from each other, measured:
 *
 * | request | RGW 16.2.15 | R2's simulator | s3rver 3.7.1 |
 * |---|---|---|---|
 * | PUT, `If-None-Match: *`, nothing there | 200 | 200 | 200 |
 * | PUT, `If-None-Match: *`, something there | 412 | 412 | 200, overwrites |
 * | PUT, `If-None-Match: "*"` (quoted) | 200, overwrites | 200, overwrites | 200, overwrites |
 * | PUT, `If-Match: "<etag>"`, right | **412** | 200 | 200 |
 * | PUT, `If-Match: <etag>` without quotes, right | 200 | **500** | 200 |
 * | PUT, `If-Match`, wrong | 412 | 412 | 200, overwrites |
 * | PUT, `If-Match`, nothing there | 412 | 412 | 200, creates |
 * | PUT, `If-Match: *`, something there | 200 | 200 | 200 |
 * | GET, `If-Match: "<etag>"` | 200 or 412, right | right | 200 always |
 * | DELETE, `If-Match`, wrong | 204, deletes | 204, deletes | 204, deletes |
 * | DeleteObjects, with or without `Content-MD5` | 200 | 200 | 200 |
 * | 20 × PUT `If-None-Match: *` at once | one 200, 19 × 412 | the same | 20 × 200 |
 * | 20 × PUT `If-Match: <etag>` at once | one 200, others 412 or 500 `UnknownError` | (quoted) one 200 | 20 × 200 |
 * | PUT, wrong `x-amz-content-sha256` | 400 `XAmzContentSHA256Mismatch` | the same | 200 |
 * | 8,192 bytes of metadata | 200 | 400 `MetadataTooLarge` | 200 |
 *
 * A 500 in a race is no success: sent again, the same request gives 412.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '../../src/publisher/stores/s3/client.ts';
import { end, freePort, must, until } from '../interop/programs.ts';

/** What must be installed. */
export const RADOSGW_PROGRAMS = [
  'radosgw',
  'radosgw-admin',
  'ceph-mon',
  'ceph-osd',
  'ceph',
  'monmaptool',
  'ceph-authtool',
] as const;

/** A running gateway, and a user's keys. */
export interface Radosgw {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly bucket: string;
  close(): Promise<void>;
}

const KEYS = { accessKeyId: 'access', secretAccessKey: 'secret' } as const;

/** Starts it, with a user and an empty bucket. */
export async function startRadosgw(bucket = 'images'): Promise<Radosgw> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-radosgw-'));
  const children: ChildProcess[] = [];
  const close = async (): Promise<void> => {
    // The gateway first: it would wait for the disk to say goodbye. Nothing of what is in memory has to be saved.
    for (const child of children.reverse()) await end(child, 'SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const endpoint = await startCluster(folder, children);
    const client = new S3Client({ endpoint, keys: KEYS, region: 'us-east-1' });
    (await client.send({ method: 'PUT', bucket })).body.resume();
    client.destroy();
    return { endpoint, ...KEYS, bucket, close };
  } catch (cause) {
    const log = await readFile(join(folder, 'log', 'client.admin.log'), 'utf8').catch(() => '');
    await close();
    throw new Error(`radosgw did not start:\n${log.slice(-2_000)}`, { cause });
  }
}

async function startCluster(folder: string, children: ChildProcess[]): Promise<string> {
  const at = (...names: string[]): string => join(folder, ...names);
  for (const name of ['mon', 'osd', 'rgw', 'log']) await mkdir(at(name));
  const [monPort, port] = [await freePort(), await freePort()];
  const [fsid, disk] = [randomUUID(), randomUUID()];
  await writeFile(at('ceph.conf'), configOf(folder, { fsid, monPort, port }));
  const env = { ...process.env, CEPH_CONF: at('ceph.conf') };
  const start = (program: string, ...args: string[]): void =>
    void children.push(spawn(program, args, { env, stdio: 'ignore' }));
  const keyring = at('keyring');
  await must('ceph-authtool', ['-C', keyring, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *'], { env });
  await must(
    'ceph-authtool',
    [keyring, '--gen-key', '-n', 'client.admin', '--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *'],
    { env },
  );
  await must(
    'ceph-authtool',
    [keyring, '--gen-key', '-n', 'osd.0', '--cap', 'mon', 'allow profile osd', '--cap', 'osd', 'allow *'],
    { env },
  );
  await must(
    'monmaptool',
    ['--create', '--fsid', fsid, '--addv', 'a', `[v2:127.0.0.1:${String(monPort)}]`, at('monmap')],
    { env },
  );
  await must('ceph-mon', ['-i', 'a', '--mkfs', '--monmap', at('monmap'), '--keyring', keyring], { env });
  start('ceph-mon', '-i', 'a', '-f');
  await must('ceph', ['--connect-timeout', '20', 'osd', 'new', disk, '0'], { env });
  await must('ceph-osd', ['-i', '0', '--osd-uuid', disk, '--mkfs'], { env });
  start('ceph-osd', '-i', '0', '-f');
  const user = [
    'user',
    'create',
    '--uid',
    'test',
    '--display-name',
    'test',
    '--access-key',
    KEYS.accessKeyId,
    '--secret',
    KEYS.secretAccessKey,
  ];
  await must('radosgw-admin', user, { env, signal: AbortSignal.timeout(60_000) });
  // It gives up root's rights unless told otherwise, and could not read a folder of root's then.
  const asRoot = process.getuid?.() === 0 ? ['--setuser', 'root', '--setgroup', 'root'] : [];
  start('radosgw', '-n', 'client.admin', ...asRoot, '-f');
  const endpoint = `http://127.0.0.1:${String(port)}`;
  await until('radosgw', async () => (await fetch(endpoint)).status === 200);
  return endpoint;
}

/**
 * The monitor proposes every change after a second unless told otherwise; a gateway makes twenty at its first start.
 */
function configOf(
  folder: string,
  { fsid, monPort, port }: { readonly fsid: string; readonly monPort: number; readonly port: number },
): string {
  return `[global]
fsid = ${fsid}
mon host = v2:127.0.0.1:${String(monPort)}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = ${folder}/keyring
log file = ${folder}/log/$name.log
mon cluster log file = ${folder}/log/cluster.log
crash dir = ${folder}/log
run dir = ${folder}/log
admin socket =
pid file =
paxos propose interval = 0.02
paxos min wait = 0.01
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 2147483648
[mon.a]
mon data = ${folder}/mon
[osd.0]
osd data = ${folder}/osd
[client.admin]
rgw data = ${folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:${String(port)}
rgw enable gc threads = false
rgw enable lc threads = false
rgw enable quota threads = false
rgw run sync thread = false
`;
}
