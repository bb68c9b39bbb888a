/**
 * `gc --delete` with a short lease, as a process of its own, so that a test can stop it. Arguments: the bucket as
 * `s3://…`, and the lease in milliseconds.
 */
import { collect } from '../../src/publisher/gc/collect.ts';
import { openS3 } from '../../src/publisher/stores/s3-target.ts';

const [to = '', leaseMs = ''] = process.argv.slice(2);
const target = await openS3(to, process.env);
try {
  const { deleted } = await collect(target.store, { table: [], grace: 0, remove: true, leaseMs: Number(leaseMs) });
  process.stdout.write(`deleted ${String(deleted.objects)}\n`);
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await target.close();
}
