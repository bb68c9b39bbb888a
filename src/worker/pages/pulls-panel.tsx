/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** The panel with the pulls of a repository or a tag. It reads nothing of the bucket. */
import type { Child } from 'hono/jsx';
import { helpPath, isReason } from '../../registry/errors.ts';
import { helpOf } from '../../registry/help.ts';
import { FORM_TITLE, FORMS } from '../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { logFailure } from '../log/event.ts';
import { firstDay, type PullCount } from '../../statistics/pull-query.ts';
import { readPulls } from '../../statistics/sql-api.ts';
import type { Config } from '../config.ts';
import { ExpiringMap } from '../storage/expiring-map.ts';
import { counted } from './visible-text.ts';

/** Days that the panel shows. */
const DAYS = 30;
/** Rows of the answer at most: 30 days of as many clients and forms as there are in practice. */
const ROWS_MAX = 2_000;
/** How long an isolate keeps an answer, in milliseconds, so that a page that is opened often costs few queries. */
const KEPT_MS = 300_000;
/** After a failure, the SQL API is not called again for this time. */
const FAILED_MS = 60_000;
/** A page does not wait longer for its panel, in milliseconds. */
const TIMEOUT_MS = 2_000;

type Pulls = { readonly kind: 'read'; readonly counts: readonly PullCount[] } | { readonly kind: 'unavailable' };

const kept = new ExpiringMap<Pulls>(500);

/**
 * The panel of a page that the caller may see; null where statistics are switched off. `tag`: null for the whole
 * repository.
 */
export async function pullsPanel(
  { pullDataset }: Pick<Config, 'pullDataset'>,
  name: RepositoryName,
  tag: Tag | null,
): Promise<Child> {
  if (pullDataset === null) return null;
  const now = new Date();
  // The whole URL, because tests have several datasets in one isolate.
  const key = `${pullDataset.url} ${pullDataset.dataset} ${name}:${tag ?? ''}`;
  let pulls = kept.get(key, now.getTime());
  if (pulls === undefined) {
    pulls = await read(pullDataset, name, tag, now);
    kept.set(key, pulls, now.getTime() + (pulls.kind === 'read' ? KEPT_MS : FAILED_MS));
  }
  return <PullsPanel pulls={pulls} now={now} />;
}

async function read(
  dataset: NonNullable<Config['pullDataset']>,
  name: RepositoryName,
  tag: Tag | null,
  now: Date,
): Promise<Pulls> {
  try {
    const question = { name, tag, days: DAYS, by: ['day', 'client', 'form', 'reason'], limit: ROWS_MAX } as const;
    return {
      kind: 'read',
      counts: await readPulls(dataset, question, { now, signal: AbortSignal.timeout(TIMEOUT_MS) }),
    };
  } catch (error) {
    // The page is of use without its panel.
    logFailure('statistics-unavailable', {}, error);
    return { kind: 'unavailable' };
  }
}

/** The pulls by client and form, and a bar for each day. */
function PullsPanel({ pulls, now }: { readonly pulls: Pulls; readonly now: Date }) {
  const title = <h2 id="pulls">Pulls</h2>;
  if (pulls.kind === 'unavailable') {
    return (
      <section>
        {title}
        <p class="quiet">The statistics could not be read. Try again in a minute.</p>
      </section>
    );
  }
  const { counts } = pulls;
  const total = sumOf(counts.filter(({ reason }) => reason === ''));
  const rows = totalsOf(counts);
  return (
    <section>
      {title}
      <p class="quiet">
        {counted(total, 'pull')} by tag in the last {DAYS} days.
      </p>
      {rows.length > 0 && (
        <>
          <Days counts={counts} now={now} />
          <div class="scroll">
            <table class="narrow">
              <thead>
                <tr>
                  <th scope="col">Client</th>
                  <th scope="col">Form</th>
                  <th scope="col" class="num">
                    Pulls
                  </th>
                  <th scope="col">Last</th>
                </tr>
              </thead>
              <tbody>
                {rows.map(({ client, form, reason, pulls: amount, day }) => (
                  <tr>
                    <th scope="row">{client}</th>
                    <td>{reason === '' ? formTitle(form) : <Refusal reason={reason} />}</td>
                    <td class="num">{amount.toLocaleString('en-US')}</td>
                    <td>{day}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </section>
  );
}

function Refusal({ reason }: { readonly reason: string }) {
  return isReason(reason) ? <a href={helpPath(reason)}>none: {helpOf(reason).title}</a> : <>none</>;
}

/** A bar for each day. Widths are SVG attributes, because the Content-Security-Policy allows no style attributes. */
function Days({ counts, now }: { readonly counts: readonly PullCount[]; readonly now: Date }) {
  const perDay = new Map<string, number>();
  for (const { day = '', pulls, reason } of counts) if (reason === '') perDay.set(day, (perDay.get(day) ?? 0) + pulls);
  const days = Array.from({ length: DAYS }, (_, at) => firstDay(DAYS - at, now));
  const most = Math.max(1, ...perDay.values());
  return (
    <svg
      class="stack"
      viewBox={`0 0 ${String(DAYS * 10)} 28`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Pulls of each of the last ${String(DAYS)} days; at most ${most.toLocaleString('en-US')} a day`}
    >
      {days.map((day, at) => {
        const height = ((perDay.get(day) ?? 0) / most) * 28;
        return (
          <rect class="c0" x={String(at * 10)} y={(28 - height).toFixed(1)} width="8" height={height.toFixed(1)} />
        );
      })}
    </svg>
  );
}

interface Total {
  readonly client: string;
  readonly form: string;
  readonly reason: string;
  readonly pulls: number;
  /** The last day with such a pull. */
  readonly day: string;
}

/** The counts without the days, largest first. */
function totalsOf(counts: readonly PullCount[]): readonly Total[] {
  const totals = new Map<string, Total>();
  for (const { client = '', form = '', reason = '', day = '', pulls } of counts) {
    const key = `${client}\n${form}\n${reason}`;
    const known = totals.get(key);
    totals.set(key, {
      client,
      form,
      reason,
      pulls: (known?.pulls ?? 0) + pulls,
      day: known === undefined || known.day < day ? day : known.day,
    });
  }
  return [...totals.values()].sort((a, b) => b.pulls - a.pulls);
}

function sumOf(counts: readonly PullCount[]): number {
  return counts.reduce((sum, { pulls }) => sum + pulls, 0);
}

function formTitle(form: string): string {
  const known = FORMS.find((one) => one === form);
  return known === undefined ? form : FORM_TITLE[known];
}
