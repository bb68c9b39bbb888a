/** The result of garbage collection as text. */
import { formatBytes } from '../../registry/values/byte-size.ts';
import { formatCount, paint, tableLines } from '../cli/terminal-text.ts';
import type { CollectReport } from './collect.ts';
import type { Amount } from './mark.ts';

// --json contains all keys.
const KEYS_SHOWN = 20;

/** The report, in lines of at most `width` characters. `removed`: the run was to delete. */
export function collectLines(report: CollectReport, removed: boolean, width: number): string[] {
  const { kept, expired, unreferenced, due, waiting, deleted } = report;
  const row = (title: string, { objects, bytes }: Amount): string[] => [
    title,
    String(objects).padStart(8),
    formatBytes(bytes).padStart(8),
  ];
  const dueAmount = { objects: due.length, bytes: due.reduce((sum, { size }) => sum + size, 0) };
  const lines = tableLines(
    [
      [paint('quiet', 'what'), paint('quiet', ' objects'), paint('quiet', '   bytes')],
      ['tags', String(kept.tags).padStart(8), ''],
      ...(expired.length > 0
        ? [[removed ? 'tags, expired' : 'tags, to expire', String(expired.length).padStart(8), '']]
        : []),
      row('manifests, needed', kept.manifests),
      row('blobs, needed', kept.blobs),
      row('manifests, not needed', unreferenced.manifest),
      row('blobs, not needed', unreferenced.blob),
      ...(unreferenced.referrers.objects > 0 ? [row('referrers records, not needed', unreferenced.referrers)] : []),
      ...(unreferenced.signatures.objects > 0 ? [row('signatures, not needed', unreferenced.signatures)] : []),
      ...(removed ? [row(paint('strong', 'deleted'), deleted)] : [row(paint('strong', 'would be deleted'), dueAmount)]),
    ],
    width,
  );
  for (const { key, size } of removed ? [] : due.slice(0, KEYS_SHOWN))
    lines.push(`  ${key}  ${paint('quiet', formatBytes(size))}`);
  if (!removed && due.length > KEYS_SHOWN)
    lines.push(`  and ${String(due.length - KEYS_SHOWN)} more (--json has them all)`);
  if (waiting !== null) {
    const what = `${formatCount(waiting.objects, 'object')}, ${formatBytes(waiting.bytes)}`;
    const when = new Date(waiting.after).toISOString().slice(0, 16).replace('T', ' ');
    lines.push(
      ...tableLines(
        [
          [
            paint('doubtful', 'waits'),
            removed
              ? `${what}: a run after ${when} UTC deletes the first of it, unless it is needed again`
              : `${what}: not recorded for the whole grace period yet`,
          ],
        ],
        width,
      ),
    );
  }
  for (const { kind, name, why } of report.blocked) {
    const todo = why.includes('realm table')
      ? 'Check REALMS in wrangler.toml, or give --drop-realm.'
      : 'See `gantry verify`.';
    lines.push(...tableLines([[paint('bad', 'kept'), `everything of the ${kind} ${name}: ${why}. ${todo}`]], width));
  }
  if (report.strange.length > 0) {
    lines.push(
      ...tableLines(
        [
          [
            paint('quiet', 'left'),
            `${formatCount(report.strange.length, 'key')} that Gantry did not write: ${report.strange.slice(0, 3).join(', ')}`,
          ],
        ],
        width,
      ),
    );
  }
  if (!removed && due.length + (waiting?.objects ?? 0) > 0)
    lines.push(
      ...tableLines(
        [[paint('quiet', 'nothing was changed; --delete records unneeded objects, and deletes those recorded before')]],
        width,
      ),
    );
  return lines;
}
