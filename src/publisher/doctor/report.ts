/** The diagnosis as text. */
import { findingRow, type Finding, type FindingId } from './findings/findings.ts';
import type { Diagnosis } from './examine.ts';
import { short } from './examine-clients.ts';
import { formatCount, paint, tableLines, wrap } from '../cli/terminal-text.ts';

const SEVERITIES = ['error', 'warning', 'note'] as const;
const STYLE_OF = { error: 'bad', warning: 'doubtful', note: 'quiet' } as const;
const MARK_OF = { pulls: paint('good', '✓'), 'told-no': paint('quiet', '–'), fails: paint('bad', '✗') } as const;
// The most observations that are shown for a fault.
const OBSERVATIONS_SHOWN = 3;

/** A fault with all its observations. */
export interface GroupedFinding {
  readonly id: FindingId;
  readonly severity: (typeof SEVERITIES)[number];
  readonly title: string;
  readonly seen: readonly string[];
  readonly clients: readonly string[];
  readonly todo: string;
}

/** Groups observations of the same fault, the most severe first. */
export function groupFindings(findings: readonly Finding[]): readonly GroupedFinding[] {
  const groups = new Map<FindingId, { seen: Set<string>; clients: Set<string> }>();
  for (const { id, seen, client } of findings) {
    const group = groups.get(id) ?? { seen: new Set<string>(), clients: new Set<string>() };
    group.seen.add(seen);
    if (client !== undefined) group.clients.add(client);
    groups.set(id, group);
  }
  const grouped = [...groups].map(([id, { seen, clients }]): GroupedFinding => {
    const { severity, title, todo } = findingRow(id);
    return { id, severity, title, seen: [...seen], clients: [...clients], todo };
  });
  return SEVERITIES.flatMap((severity) => grouped.filter((finding) => finding.severity === severity));
}

function issuedBy({ certificate }: NonNullable<Diagnosis['tls']>): string {
  if (certificate === null) return '';
  return `, ${certificate.keyType.toUpperCase()}, by ${certificate.issuer}, up to ${certificate.roots.join(', ')}`;
}

/** The report, in lines of at most `width` characters. */
export function diagnosisLines(diagnosis: Diagnosis, width: number): string[] {
  const grouped = groupFindings(diagnosis.findings);
  const lines = [`${paint('strong', diagnosis.url)}${diagnosis.image === null ? '' : `  ${diagnosis.image}`}`];
  const { tls } = diagnosis;
  if (tls !== null) {
    const spoken = (hand: typeof tls.modern): string =>
      hand === null ? paint('bad', 'none') : `${hand.protocol} ${hand.cipher}`;
    lines.push(
      ...tableLines(
        [
          ['TLS', spoken(tls.modern)],
          ['before 1.10', spoken(tls.old)],
          ...(tls.validTo === undefined ? [] : [['certificate', `until ${tls.validTo.slice(0, 10)}${issuedBy(tls)}`]]),
        ],
        width,
      ),
    );
  }
  if (diagnosis.clients.length > 0) {
    const rows = diagnosis.clients.map(({ title, outcome, digest, says }) => [
      `${MARK_OF[outcome]} ${title}`,
      digest === undefined ? '' : paint('quiet', short(digest)),
      says,
    ]);
    lines.push(
      '',
      ...tableLines([[paint('quiet', '  client'), paint('quiet', 'digest'), paint('quiet', 'gets')], ...rows], width),
    );
  }
  for (const { severity, title, seen, clients, todo } of grouped) {
    const more = seen.length - OBSERVATIONS_SHOWN;
    lines.push('', ...tableLines([[paint(STYLE_OF[severity], severity), paint('strong', title)]], width));
    const rows = [
      ...seen.slice(0, OBSERVATIONS_SHOWN).map((observation, index) => [index === 0 ? '  seen' : '', observation]),
      ...(more > 0 ? [['', `and ${formatCount(more, 'time')} more`]] : []),
      ...(clients.length === 0 ? [] : [['  by', clients.join(', ')]]),
      ['  do', todo],
    ];
    lines.push(...tableLines(rows, width));
  }
  const counts = SEVERITIES.map(
    (severity) => [severity, grouped.filter((finding) => finding.severity === severity).length] as const,
  );
  const summary =
    grouped.length === 0
      ? paint('good', 'no faults found')
      : counts.map(([severity, count]) => formatCount(count, severity)).join(', ');
  return [...lines, '', ...wrap(summary, width)];
}
