/** The result of `verify` as text. */
import { formatBytes } from '../../registry/values/byte-size.ts';
import { formatCount, paint, tableLines } from '../cli/terminal-text.ts';
import { type Fault, type FaultKind, FAULTS, faultRow } from './faults.ts';
import type { VerifyReport } from './verify.ts';

// Of each kind; --json contains all.
const SHOWN = 10;

/** Whether faults remain. */
export function faultsRemain({ faults }: VerifyReport): boolean {
  return faults.some(
    ({ kind, repaired }) => faultRow(kind).severity === 'error' && (!repaired || kind === 'blob-digest'),
  );
}

/** The report, in lines of at most `width` characters. */
export function verifyLines(report: VerifyReport, width: number): string[] {
  const { repositories, tags, manifests, blobs, hashed } = report;
  const counts = [
    formatCount(repositories, 'repository', 'repositories'),
    formatCount(tags, 'tag'),
    formatCount(manifests, 'manifest'),
    formatCount(blobs, 'blob'),
  ];
  const lines = tableLines(
    [[`${counts.join(', ')}; ${formatCount(hashed.blobs, 'blob')} hashed, ${formatBytes(hashed.bytes)}`]],
    width,
  );
  const byKind = Map.groupBy(report.faults, ({ kind }) => kind);
  for (const kind of Object.keys(FAULTS) as FaultKind[]) {
    const faults = byKind.get(kind);
    if (faults !== undefined) lines.push('', ...faultLines(kind, faults, width));
  }
  const errors = report.faults.filter(({ kind }) => faultRow(kind).severity === 'error');
  const repaired = errors.filter((fault) => fault.repaired).length;
  const summary =
    errors.length === 0
      ? paint('good', 'nothing wrong')
      : `${formatCount(errors.length, 'fault')}${repaired > 0 ? `, ${String(repaired)} repaired` : ''}`;
  return [...lines, '', summary];
}

function faultLines(kind: FaultKind, faults: readonly Fault[], width: number): string[] {
  const { severity, title, todo } = faultRow(kind);
  const left = faults.filter(({ repaired }) => !repaired).length;
  const head = [
    paint(severity === 'error' ? 'bad' : 'quiet', severity),
    `${paint('strong', title)}${faults.length > 1 ? ` (${String(faults.length)})` : ''}`,
  ];
  const rows = faults
    .slice(0, SHOWN)
    .map(({ where, message, repaired }) => [`  ${where}`, `${repaired ? paint('good', 'repaired: ') : ''}${message}`]);
  return [
    ...tableLines([head], width),
    ...tableLines(rows, width),
    ...(faults.length > SHOWN ? [`  and ${String(faults.length - SHOWN)} more (--json has them all)`] : []),
    ...(left > 0 ? tableLines([[paint('quiet', '  do'), todo]], width) : []),
  ];
}
