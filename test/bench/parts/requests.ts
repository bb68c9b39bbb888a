/**
 * Requests per second, times and processor time: Gantry beside the floors, docker-registry and whatever else was asked
 * for.
 */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { payloadOf } from '../../../src/manifest/signing/jws.ts';
import { parseTagged } from '../../../src/publisher/cli/image-name.ts';
import { parseDigest } from '../../../src/registry/digest.ts';
import { blobKey, manifestKey, tagListKey } from '../../../src/registry/keys.ts';
import { PUBLIC_REALM } from '../../../src/registry/realms.ts';
import { decodeSortedList, encodeSortedList } from '../../../src/registry/sorted-list.ts';
import type { WriteStore } from '../../../src/registry/store.ts';
import { type Bench, inTurns, type Part, UnknownRequestError } from '../bench.ts';
import { NEW_CLIENT, OLD_CLIENT } from '../clients.ts';
import { type Exchange, exchange, headerOf } from '../exchange.ts';
import { type Image, makeImage } from '../images.ts';
import { isByWrk, load, type LoadFigures } from '../load.ts';
import { cpuSeconds } from '../process-figures.ts';
import { atLeast, digits, percent, type Section, shown } from '../section.ts';
import { openStage, type Stage, type Subject } from '../stage.ts';
import { middleHalfOf, ratiosOf, type Spread } from '../statistics.ts';

const MIB = 2 ** 20;

/** One kind of request. Paths by subject: the floors know no registry. */
interface Case {
  readonly title: string;
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  readonly keepAlive: boolean;
  readonly connections: number;
  /** Of the registries. */
  readonly path: string;
  /** The object that one bare read brings, and bytes of the body that a constant has; null: nothing to compare. */
  readonly key: string | null;
  readonly length: number | null;
  /** Whether it is measured in bytes. */
  readonly isBulk: boolean;
  /** Throws if the answer is not what it should be. */
  readonly check: (answer: Exchange) => void;
}

/** What a run measured. */
interface Figures extends LoadFigures {
  /** Seconds of the server's processor time; null where the server is not ours. */
  readonly cpu: number | null;
}

/** Measures requests. */
export const requests: Part = async (bench) => {
  const stage = await openStage(bench.folder, { peers: bench.peers });
  try {
    const cases = await prepare(bench, stage);
    const measured: { of: Case; figures: ReadonlyMap<Subject, readonly Figures[]> }[] = [];
    for (const one of cases) {
      if (bench.request !== undefined && !one.title.includes(bench.request)) continue;
      bench.tell(one.title);
      measured.push({ of: one, figures: await measureCase(bench, stage, one) });
    }
    if (measured.length === 0)
      throw new UnknownRequestError(
        `no request has ${JSON.stringify(bench.request)} in its title; there are: ${cases.map(({ title }) => title).join('; ')}`,
      );
    return sections(stage, measured);
  } finally {
    await stage.close();
  }
};

const APP = 'bench/app';
const FEW_TAGS = 'bench/few-tags';
const MANY_TAGS = 'bench/many-tags';

async function prepare({ folder, tell }: Bench, stage: Stage): Promise<readonly Case[]> {
  tell('making and publishing images');
  const app = await makeImage(
    join(folder, 'app'),
    Array.from({ length: 8 }, (_, at) => ({ seed: `app ${String(at)}`, size: 64 * 1024 })),
  );
  const large = await makeImage(join(folder, 'large'), [
    { seed: 'one', size: MIB },
    { seed: 'hundred', size: 100 * MIB },
  ]);
  await stage.publish(app.folder, `${APP}:latest`);
  await stage.publish(large.folder, 'bench/large:latest');
  await makeTags(stage, FEW_TAGS, 10);
  await makeTags(stage, MANY_TAGS, 10_000);
  const fewTags = await stage.store.head(tagListKey(parseTagged(`${FEW_TAGS}:x`).name));
  return casesOf(app, large, fewTags?.size ?? 0);
}

/** A tag list of `count` tags: the record that a publisher writes, and the folders that docker-registry lists. */
async function makeTags({ store, dockerRegistry }: Stage, repository: string, count: number): Promise<void> {
  const tags = Array.from({ length: count }, (_, at) => `v${String(at).padStart(6, '0')}`);
  const [like] = decodeSortedList(await readWhole(store, tagListKey(parseTagged(`${APP}:latest`).name)));
  const { body, metadata } = encodeSortedList(tags.map((name) => ({ name, detail: like?.detail ?? null })));
  await store.put(tagListKey(parseTagged(`${repository}:x`).name), body, { contentType: 'application/json', metadata });
  const folder = join(dockerRegistry.folder, repository, '_manifests/tags');
  for (const tag of tags) {
    const current = join(folder, tag, 'current');
    await mkdir(current, { recursive: true });
    await writeFile(join(current, 'link'), `sha256:${'0'.repeat(64)}`);
  }
}

function casesOf(app: Image, large: Image, fewTagsLength: number): readonly Case[] {
  const { name, tag } = parseTagged(`${APP}:latest`);
  const digest = parseDigest(app.digest);
  if (digest === null) throw new Error('the image has no digest');
  // The published manifest by itself: the least that answers the request, less than the tag object that Gantry reads.
  const manifest = manifestKey(name, digest);
  const isApp = ({ body }: Exchange): void => same(digestOf(body), app.digest);
  const isSchema1 = (answer: Exchange): void => {
    const type = headerOf(answer, 'content-type');
    if (!type.includes('manifest.v1')) throw new Error(`an old client got ${type}`);
    same(digestOf(payloadOf(answer.body)), headerOf(answer, 'docker-content-digest'));
  };
  const common = { method: 'GET', headers: NEW_CLIENT, keepAlive: true, connections: 16, isBulk: false } as const;
  const byTag = { ...common, path: `/v2/${name}/manifests/${tag}`, key: manifest, length: app.manifest.length };
  const list = (repository: string, count: number, length: number | null): Case => ({
    ...common,
    title: `tags/list of ${count.toLocaleString('en-US')}`,
    path: `/v2/${repository}/tags/list`,
    key: tagListKey(parseTagged(`${repository}:x`).name),
    length,
    check: ({ body }: Exchange) => {
      const { tags } = JSON.parse(body.toString()) as { tags: readonly string[] };
      if (tags.length !== count) throw new Error(`${String(tags.length)} tags of ${String(count)}`);
    },
  });
  const blob = (at: number, title: string, connections: number): Case => {
    const part = parseDigest(large.layers[at]?.digest ?? '');
    if (part === null) throw new Error('the image has no such layer');
    return {
      ...common,
      title,
      connections,
      isBulk: true,
      path: `/v2/bench/large/blobs/${part}`,
      key: blobKey(PUBLIC_REALM, part),
      length: large.layers[at]?.size ?? 0,
      check: ({ body }: Exchange): void => same(digestOf(body), part),
    };
  };
  return [
    { ...byTag, title: MANIFEST_NEW, check: isApp },
    { ...byTag, title: MANIFEST_OLD, headers: OLD_CLIENT, check: isSchema1 },
    { ...byTag, title: 'the same, a connection each', headers: OLD_CLIENT, keepAlive: false, check: isSchema1 },
    {
      ...common,
      title: 'manifest by digest',
      path: `/v2/${name}/manifests/${digest}`,
      key: manifest,
      length: app.manifest.length,
      check: isApp,
    },
    {
      ...byTag,
      title: 'HEAD by tag',
      method: 'HEAD',
      check: (answer) => same(headerOf(answer, 'docker-content-digest'), app.digest),
    },
    list(FEW_TAGS, 10, fewTagsLength),
    { ...list(MANY_TAGS, 10_000, null), connections: 4 },
    blob(0, 'blob of 1 MiB', 8),
    blob(1, 'blob of 100 MiB', 2),
  ];
}

const MANIFEST_NEW = 'manifest by tag, new client';
const MANIFEST_OLD = 'manifest by tag, old client';

async function measureCase(
  { rounds, seconds, tell }: Bench,
  stage: Stage,
  one: Case,
): Promise<ReadonlyMap<Subject, readonly Figures[]>> {
  const paths = new Map<Subject, string>([
    [stage.gantry, one.path],
    [stage.quietGantry, one.path],
    ...(one.key === null ? [] : [[stage.bareRead, `/${one.key}`] as const]),
    ...(one.key === null || !one.isBulk || isLong(one) ? [] : [[stage.loggedRead, `/${one.key}`] as const]),
    ...(one.length === null || one.length > 10 * MIB ? [] : [[stage.constant, `/${String(one.length)}`] as const]),
    [stage.dockerRegistry, one.path],
    ...stage.peers.map((peer) => [peer, one.path] as const),
  ]);
  for (const [subject, path] of paths) {
    const answer = await exchange(subject.url + path, one);
    const wrong = whatIsWrong(answer, path === one.path ? one : null);
    if (wrong === null) continue;
    // Another registry may not have what is asked for (a tag list that is not made of images, a schema 1).
    if (!stage.peers.some((peer) => peer === subject)) throw new Error(`${subject.title}, asked for ${path}: ${wrong}`);
    tell(`${subject.title} is left out: ${wrong}`);
    paths.delete(subject);
  }
  const run = async (subject: Subject, length: number): Promise<Figures> => {
    const { method, headers, connections, keepAlive } = one;
    const before = subject.pid === null ? null : cpuSeconds(subject.pid);
    const figures = await load({
      method,
      url: subject.url + (paths.get(subject) ?? ''),
      headers,
      connections,
      seconds: length,
      keepAlive,
      isLong: isLong(one),
    });
    return { ...figures, cpu: before === null || subject.pid === null ? null : cpuSeconds(subject.pid) - before };
  };
  const subjects = [...paths.keys()];
  for (const subject of subjects) await run(subject, 1);
  // A second at a time: the machine's mood changes within minutes, and only what was measured next to each other can be
  // compared. Long bodies are few a second, so they need more of them. Our own client takes a while to get going.
  return isByWrk({ ...one, isLong: isLong(one) })
    ? inTurns(subjects, rounds * seconds * (one.isBulk ? 4 : 1), (subject) => run(subject, 1))
    : inTurns(subjects, rounds, (subject) => run(subject, isLong(one) ? 2 * seconds : seconds));
}

function isLong({ length }: Case): boolean {
  return (length ?? 0) > 10 * MIB;
}

/** What makes an answer unfit to be measured; null if nothing does. */
function whatIsWrong(answer: Exchange, registry: Pick<Case, 'check'> | null): string | null {
  if (answer.status !== 200) return `it answers with ${String(answer.status)}`;
  try {
    registry?.check(answer);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function sections(
  stage: Stage,
  measured: readonly { of: Case; figures: ReadonlyMap<Subject, readonly Figures[]> }[],
): readonly Section[] {
  const rateOf = ({ of, figures }: (typeof measured)[number], subject: Subject): readonly number[] =>
    (figures.get(subject) ?? []).map(
      ({ requests: count, bytes, seconds }) => (of.isBulk ? bytes / MIB : count) / seconds,
    );
  const ratio = (one: (typeof measured)[number], subject: Subject, other: Subject): Spread | null => {
    const [a, b] = [rateOf(one, subject), rateOf(one, other)];
    return a.length === 0 || b.length === 0 ? null : middleHalfOf(ratiosOf(a, b));
  };
  const rows = measured.flatMap((one) =>
    [...one.figures].map(([subject, figures], at) => {
      const rate = middleHalfOf(rateOf(one, subject));
      const perRequest = figures.map(({ cpu, requests: count, bytes }) =>
        cpu === null ? NaN : (cpu * 1_000) / (one.of.isBulk ? bytes / MIB : count),
      );
      const floor = ratio(one, subject, stage.bareRead);
      const peer = ratio(one, subject, stage.dockerRegistry);
      return [
        at === 0 ? one.of.title : '',
        subject.title,
        `${shown(rate, digits)} ${one.of.isBulk ? 'MiB/s' : '/s'}`,
        digits(middleHalfOf(figures.map(({ p50 }) => p50)).median),
        digits(middleHalfOf(figures.map(({ p99 }) => p99)).median),
        perRequest.some(Number.isNaN)
          ? '–'
          : `${digits(middleHalfOf(perRequest).median)}${one.of.isBulk ? '/MiB' : ''}`,
        floor === null ? '–' : shown(floor, digits),
        peer === null ? '–' : shown(peer, digits),
      ];
    }),
  );
  const find = (title: string): (typeof measured)[number] | undefined => measured.find(({ of }) => of.title === title);
  const targetFor = (title: string, least: number, subject: Subject): Section['targets'] => {
    const one = find(title);
    const found = one === undefined ? null : ratio(one, subject, stage.bareRead);
    return found === null ? [] : [atLeast(`${subject.title}: ${title}, of a bare read`, least, found, percent)];
  };
  const [newer, older] = [find(MANIFEST_NEW), find(MANIFEST_OLD)];
  return [
    {
      title: 'Requests',
      note:
        'Each line: the median of all runs, and between what half of them lie. A run takes a second, and there are four times as many of blobs; where wrk does not ask (HEAD, a connection each, 100 MiB) runs are few and longer. Ratios are of runs next to each other. ' +
        '“Bare read”: a Worker that answers with one `env.BUCKET.get` ' +
        '(or `head`) of the least object that would do; it reads the bytes each time, while Gantry asks only whether what it remembers of manifests and lists ' +
        'is still the same. Processor time is that of the whole server process, the bucket’s simulator included.',
      columns: ['request', 'server', 'rate', 'p50 ms', 'p99 ms', 'CPU ms', '÷ bare read', '÷ docker-registry'],
      rows,
      targets: [
        ...[stage.quietGantry, stage.gantry].flatMap((subject) => [
          ...targetFor(MANIFEST_NEW, 0.9, subject),
          ...targetFor(MANIFEST_OLD, 0.9, subject),
          ...targetFor('blob of 1 MiB', 0.95, subject),
          ...targetFor('blob of 100 MiB', 0.95, subject),
        ]),
        ...(newer === undefined || older === undefined
          ? []
          : [
              atLeast(
                'old client’s manifest, of a new client’s rate',
                0.9,
                // Measured one after the other, so no two runs belong together.
                middleHalfOf(rateOf(older, stage.gantry)).median / middleHalfOf(rateOf(newer, stage.gantry)).median,
                percent,
              ),
            ]),
      ],
    },
  ];
}

async function readWhole(store: WriteStore, key: string): Promise<Uint8Array> {
  const object = await store.get(key);
  if (object === null || object === 'changed') throw new Error(`there is no ${key}`);
  return new Uint8Array(await new Response(object.body).arrayBuffer());
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function same(found: string, wanted: string): void {
  if (found !== wanted) throw new Error(`got ${found} instead of ${wanted}`);
}
