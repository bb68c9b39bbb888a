/** The result of a sync as text. */
import { formatBytes } from '../../registry/values/byte-size.ts';
import { formatCount, paint, tableLines } from '../cli/terminal-text.ts';
import { hasFailures, type RepositoryReport, type SyncReport, type TagOutcome } from './outcome.ts';

const TITLES = {
  new: 'new',
  moved: 'moved',
  unchanged: 'unchanged',
  referrers: 'with new referrers',
  pruned: 'pruned',
  gone: 'gone meanwhile',
  failed: 'failed',
} as const satisfies Record<TagOutcome, string>;

/** The report in lines of at most `width`: one for each repository, the failures, and the total. */
export function syncLines(report: SyncReport, width: number): string[] {
  const { repositories, dryRun } = report;
  const rows = repositories.map((one) => [one.to ?? paint('bad', '—'), one.from, countsOf(one)]);
  const failures = repositories.flatMap(({ from, to, failures: list }) =>
    list.map(({ tag, message, hint }) => [
      paint('bad', 'failed'),
      to === undefined ? from : tag === undefined ? to : `${to}:${tag}`,
      hint === undefined ? message : `${message} → ${hint}`,
    ]),
  );
  const warnings = repositories.flatMap((one) =>
    one.warnings.map((warning) => [paint('doubtful', 'warning'), warning]),
  );
  const sent = repositories.reduce((sum, one) => sum + one.sentBytes, 0);
  const written = repositories.reduce((sum, { tags }) => sum + tags.new.length + tags.moved.length, 0);
  return [
    ...tableLines(rows, width),
    ...tableLines(warnings, width),
    ...tableLines(failures, width),
    paint(
      hasFailures(report) ? 'bad' : 'quiet',
      [
        formatCount(repositories.length, 'repository', 'repositories'),
        `${formatCount(written, 'tag')} ${dryRun ? 'to write' : 'written'}`,
        `${formatBytes(sent)} ${dryRun ? 'to send' : 'sent'}`,
        ...(failures.length === 0 ? [] : [formatCount(failures.length, 'failure')]),
      ].join(' · '),
    ),
  ];
}

function countsOf({ tags, selected, listed, sameVersion }: RepositoryReport): string {
  if (sameVersion === true) return 'same version';
  const counts = (Object.keys(TITLES) as TagOutcome[]).flatMap((what) =>
    tags[what].length === 0 ? [] : [`${String(tags[what].length)} ${TITLES[what]}`],
  );
  const chosen =
    selected === listed ? formatCount(listed, 'tag') : `${String(selected)} of ${formatCount(listed, 'tag')}`;
  return [chosen, ...counts].join(', ');
}
