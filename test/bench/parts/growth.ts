/** Whether a page costs the same however long the list is that it is from. */
import { parseTagged } from '../../../src/publisher/cli/image-name.ts';
import { CATALOG_KEY, tagListKey } from '../../../src/registry/keys.ts';
import { encodeSortedList } from '../../../src/registry/sorted-list.ts';
import type { TagSummary } from '../../../src/registry/summary.ts';
import { type Bench, inTurns, type Part } from '../bench.ts';
import { exchange, headerOf } from '../exchange.ts';
import { load } from '../load.ts';
import { cpuSeconds } from '../process-figures.ts';
import { atMost, digits, type Section, shown, type Target } from '../section.ts';
import { openStage, type Stage } from '../stage.ts';
import { ratioOf, spreadOf } from '../statistics.ts';

const COUNTS = [10, 1_000, 100_000] as const;
/** Entries of a page; the shortest list has no more. */
const PAGE = 10;
/** A page of the longest list may cost that much more than one of the shortest, which is one read instead of two. */
const FLAT = 2.5;

/** What a tag list keeps of an ordinary image. */
const DETAIL: TagSummary = {
  updated: '2026-01-01T00:00:00Z',
  size: 31_415_926,
  platforms: ['linux/amd64'],
  published: ['docker-schema2'],
  derived: ['docker-schema1'],
  missing: [],
};

/** Measures pages of lists of 10 to 100,000 tags and repositories. */
export const growth: Part = async (bench) => {
  const stage = await openStage(bench.folder);
  try {
    return [await pagesOf(bench, stage, 'tags'), await pagesOf(bench, stage, 'repositories')];
  } finally {
    await stage.close();
  }
};

async function pagesOf(
  { rounds, seconds, tell }: Bench,
  { gantry, store }: Stage,
  kind: 'tags' | 'repositories',
): Promise<Section> {
  const { pid, url } = gantry;
  if (pid === null) throw new Error('Gantry is no process of ours');
  const nameOf = (at: number): string => `${kind === 'tags' ? 'v' : 'team/app-'}${String(at).padStart(6, '0')}`;
  const sizes = new Map<number, number>();
  const put = async (key: string, count: number): Promise<void> => {
    tell(`${count.toLocaleString('en-US')} ${kind}`);
    const entries = Array.from({ length: count }, (_, at) => ({
      name: nameOf(at),
      detail: kind === 'tags' ? DETAIL : null,
    }));
    const { body, metadata } = encodeSortedList(entries);
    sizes.set(count, body.length);
    await store.put(key, body, { contentType: 'application/json', metadata });
  };
  if (kind === 'tags')
    for (const count of COUNTS) await put(tagListKey(parseTagged(`bench/tags-${String(count)}:x`).name), count);
  const reads = new Map<number, string>();
  const figures = await inTurns(COUNTS, rounds, async (count) => {
    if (kind === 'repositories') await put(CATALOG_KEY, count);
    // From the middle of a long list; a short one is all there is.
    const last = count > PAGE ? `&last=${encodeURIComponent(nameOf(count / 2))}` : '';
    const page = `${url}${kind === 'tags' ? `/v2/bench/tags-${String(count)}/tags/list` : '/v2/_catalog'}?n=${String(PAGE)}${last}`;
    const answer = await exchange(page);
    const names = (JSON.parse(answer.body.toString()) as Record<string, readonly string[]>)[kind] ?? [];
    const first = count > PAGE ? count / 2 + 1 : 0;
    if (names.length !== PAGE || names[0] !== nameOf(first))
      throw new Error(`${page} begins with ${String(names[0])} and has ${String(names.length)}`);
    reads.set(count, /\d+ head, \d+ get/.exec(headerOf(answer, 'server-timing'))?.[0] ?? '');
    const ask = (length: number) =>
      load({ method: 'GET', url: page, headers: {}, connections: 8, seconds: length, keepAlive: true });
    await ask(1);
    const before = cpuSeconds(pid);
    const measured = await ask(seconds);
    return { ...measured, cpu: ((cpuSeconds(pid) - before) * 1_000) / measured.requests };
  });
  const cpuOf = (count: (typeof COUNTS)[number]): readonly number[] => (figures.get(count) ?? []).map(({ cpu }) => cpu);
  const [shortest, , longest] = COUNTS;
  const grown = ratioOf(cpuOf(longest), cpuOf(shortest));
  const target: Target = atMost(`CPU of a page of 100,000 ${kind}, of one of 10`, FLAT, grown, digits);
  return {
    title: `Growth: a page of ${String(PAGE)} ${kind}`,
    note: 'From the middle of the list. A list of some thousand entries and more is read in two parts: what tells where entries are, and the entries.',
    columns: [kind, 'R2', 'pages a second', 'p50 ms', 'p99 ms', 'CPU ms', 'CPU ÷ that of 10'],
    rows: COUNTS.map((count) => {
      const of = figures.get(count) ?? [];
      return [
        count.toLocaleString('en-US'),
        reads.get(count) ?? '',
        shown(spreadOf(of.map((one) => one.requests / one.seconds)), digits),
        digits(spreadOf(of.map(({ p50 }) => p50)).median),
        digits(spreadOf(of.map(({ p99 }) => p99)).median),
        shown(spreadOf(cpuOf(count)), digits),
        shown(ratioOf(cpuOf(count), cpuOf(shortest)), digits),
      ];
    }),
    targets: [
      target,
      ...(kind === 'tags'
        ? [
            {
              what: 'bytes that a change of a list of 100,000 tags writes',
              wanted: 'told',
              found: `${digits((sizes.get(longest) ?? 0) / 1e6)} MB`,
              met: true,
            },
          ]
        : []),
    ],
  };
}
