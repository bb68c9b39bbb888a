/**
 * Publishing: the same images by `gantry publish` into a bucket and by `skopeo copy` into docker-registry; memory; and
 * a second time, when nothing has changed.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDockerRegistry } from '../../interop/docker-registry.ts';
import { must } from '../../interop/programs.ts';
import { type Bench, inTurns, type Part } from '../bench.ts';
import { type Image, makeImage } from '../images.ts';
import { startFolderS3 } from '../folder-s3-process.ts';
import { type ImageSet, makeOfficial, makeServices, makeTiny } from '../image-sets.ts';
import { atLeast, atMost, digits, type Section, shown } from '../section.ts';
import { openSlowLine } from '../slow-line.ts';
import { openStage } from '../stage.ts';
import { ratioOf, type Spread, spreadOf, sum } from '../statistics.ts';
import { gantry, type Taken, timed, watched } from '../watched.ts';

const MIB = 2 ** 20;
const LARGE = 1_024 * MIB;
const TAGS = 50;
/** Layers of each of them: what images have that were built on top of a language's official one. */
const TAGGED_LAYERS = 8;
/** Milliseconds to a registry in the same part of the world. */
const ROUND_TRIP = 30;

/** A bucket that the command can reach. */
interface Bucket {
  readonly title: string;
  /** Variables for the command. */
  readonly env: Readonly<Record<string, string>>;
  readonly name: string;
}

/** Measures publishing. */
export const publishing: Part = async (bench) => {
  bench.tell('building the command');
  await must(process.execPath, [fileURLToPath(new URL('../../../bin/build.ts', import.meta.url))]);
  const stage = await openStage(bench.folder);
  const s3 = await startFolderS3(bench.folder);
  try {
    const folderBucket: Bucket = { title: 'S3 over a folder', name: 'bench', env: s3.env };
    const simulator: Bucket = { title: 'R2’s simulator', name: stage.bucket, env: stage.s3 };
    const services = await makeServices(bench);
    const official = await makeOfficial(bench);
    return [
      await rates(bench, services, [folderBucket, simulator]),
      await rates(bench, official, [folderBucket]),
      await rates(bench, await makeTiny(bench), [folderBucket]),
      await together(bench, services, folderBucket),
      await memory(bench, folderBucket),
      await again(bench, folderBucket),
    ];
  } finally {
    await s3.close();
    await stage.close();
  }
};

async function rates(
  { folder, rounds, tell }: Bench,
  { title: setTitle, about, images, size, least = 1 }: ImageSet,
  buckets: readonly Bucket[],
): Promise<Section> {
  const first = await makeImage(join(folder, 'first'), [{ seed: 'first', size: 4_000 }]);
  const publisherOf = (bucket: Bucket) => ({
    title: `gantry publish, ${bucket.title}`,
    publish: async (round: number): Promise<readonly Taken[]> => {
      // A prefix of its own is a bucket of its own. Its first publish tries what its storage can do, which is no part of
      // this, as the start of docker-registry is none.
      const to = `s3://${bucket.name}/${setTitle.replaceAll(' ', '-')}-${String(round)}`;
      const publishTo = (image: Image, name: string): Promise<Taken> =>
        gantry(['publish', `dir:${image.folder}`, `set/${name}:v1`, '--to', to], bucket.env, folder);
      await publishTo(first, 'first');
      const taken = [];
      for (const [at, image] of images.entries()) taken.push(await publishTo(image, `image-${String(at)}`));
      return taken;
    },
  });
  const skopeo = {
    title: 'skopeo copy, docker-registry 2.8.2',
    publish: async (round: number): Promise<readonly Taken[]> => {
      const store = join(folder, `registry-${String(round)}`);
      const registry = await startDockerRegistry(store);
      try {
        const publishTo = ({ folder: from }: Image, name: string): Promise<Taken> =>
          watched('skopeo', [
            'copy',
            '-q',
            '--dest-tls-verify=false',
            `dir:${from}`,
            `docker://${registry.host}/set/${name}:v1`,
          ]);
        await publishTo(first, 'first');
        const taken = [];
        for (const [at, image] of images.entries()) taken.push(await publishTo(image, `image-${String(at)}`));
        return taken;
      } finally {
        await registry.close();
        await rm(store, { recursive: true, force: true });
      }
    },
  };
  const subjects = [...buckets.map(publisherOf), skopeo];
  const figures = await inTurns(subjects, rounds, async ({ title, publish }, round) => {
    tell(`${setTitle}: ${title}`);
    const taken = await publish(round);
    return { seconds: sum(taken.map((one) => one.seconds)), cpu: sum(taken.map((one) => one.cpu)) };
  });
  const rateOf = (subject: (typeof subjects)[number]): readonly number[] =>
    (figures.get(subject) ?? []).map(({ seconds }) => size / MIB / seconds);
  const ratioTo = (subject: (typeof subjects)[number]): Spread => ratioOf(rateOf(subject), rateOf(skopeo));
  const [ours] = subjects;
  return {
    title: `Publishing ${setTitle}`,
    note:
      `${about}; ${digits(size / MIB)} MiB together: one command an image, its start included, into a registry with one small image each time. ` +
      'CPU is that of the commands alone.',
    columns: ['command and target', 'seconds', 'CPU s', 'MiB/s', '÷ skopeo'],
    rows: subjects.map((subject) => [
      subject.title,
      ...[({ seconds }: Sums) => seconds, ({ cpu }: Sums) => cpu].map((of) =>
        shown(spreadOf((figures.get(subject) ?? []).map(of)), digits),
      ),
      shown(spreadOf(rateOf(subject)), digits),
      shown(ratioTo(subject), digits),
    ]),
    targets: ours === undefined ? [] : [atLeast(`rate of ${setTitle}, of skopeo’s`, least, ratioTo(ours), digits)],
  };
}

/** The same images from a registry, all by one command. */
async function together({ folder, rounds, tell }: Bench, { images, size }: ImageSet, bucket: Bucket): Promise<Section> {
  const from = await startDockerRegistry(join(folder, 'set-from'));
  try {
    const repositories = images.map((_, at) => `set/image-${String(at)}`);
    for (const [at, image] of images.entries()) {
      await must('skopeo', [
        'copy',
        '-q',
        '--dest-tls-verify=false',
        `dir:${image.folder}`,
        `docker://${from.host}/${repositories[at] ?? ''}:v1`,
      ]);
    }
    const [ours, theirs] = [join(folder, 'set.yaml'), join(folder, 'set-skopeo.yaml')];
    const entries = repositories.map(
      (name) => `  - { from: "docker://${from.host}/${name}", to: ${name}, tls-verify: false }\n`,
    );
    await writeFile(ours, `repositories:\n${entries.join('')}`);
    await writeFile(
      theirs,
      `${from.host}:\n  tls-verify: false\n  images:\n${repositories.map((name) => `    ${name}: [v1]\n`).join('')}`,
    );
    const gantrySync = {
      title: `gantry sync, ${bucket.title}`,
      run: (round: number) =>
        gantry(['sync', ours, '--to', `s3://${bucket.name}/together-${String(round)}`], bucket.env, folder),
    };
    const skopeoSync = {
      title: 'skopeo sync, docker-registry 2.8.2',
      run: async (round: number) => {
        const store = join(folder, `together-${String(round)}`);
        const to = await startDockerRegistry(store);
        try {
          return await watched('skopeo', [
            'sync',
            '--src=yaml',
            '--dest=docker',
            '--dest-tls-verify=false',
            theirs,
            `${to.host}/set`,
          ]);
        } finally {
          await to.close();
          await rm(store, { recursive: true, force: true });
        }
      },
    };
    const figures = await inTurns([gantrySync, skopeoSync], rounds, ({ title, run }, round) => {
      tell(title);
      return run(round);
    });
    const of = (subject: typeof gantrySync): readonly Taken[] => figures.get(subject) ?? [];
    const faster = ratioOf(
      of(skopeoSync).map(({ seconds }) => seconds),
      of(gantrySync).map(({ seconds }) => seconds),
    );
    return {
      title: 'Publishing services by one command',
      note: 'The same services, out of docker-registry.',
      columns: ['command and target', 'seconds', 'CPU s', 'MiB/s', '÷ skopeo'],
      rows: [gantrySync, skopeoSync].map((subject) => [
        subject.title,
        shown(spreadOf(of(subject).map(({ seconds }) => seconds)), digits),
        shown(spreadOf(of(subject).map(({ cpu }) => cpu)), digits),
        shown(spreadOf(of(subject).map(({ seconds }) => size / MIB / seconds)), digits),
        subject === gantrySync ? shown(faster, digits) : '1.00',
      ]),
      targets: [atLeast('rate of one sync, of skopeo sync’s', 1, faster, digits)],
    };
  } finally {
    await from.close();
  }
}

type Sums = Pick<Taken, 'seconds' | 'cpu'>;

async function memory({ folder, tell }: Bench, bucket: Bucket): Promise<Section> {
  const rows = [];
  const peaks = [];
  for (const size of [64 * MIB, LARGE]) {
    tell(`a layer of ${digits(size / MIB)} MiB`);
    const image = await makeImage(join(folder, 'large'), [{ seed: `large ${String(size)}`, size }]);
    const { seconds, peak } = await gantry(
      ['publish', `dir:${image.folder}`, 'large/image:v1', '--to', `s3://${bucket.name}/large-${String(size)}`],
      bucket.env,
      folder,
    );
    await rm(image.folder, { recursive: true });
    peaks.push(peak / MIB);
    rows.push([`${digits(size / MIB)} MiB`, digits(peak / MIB), digits(size / MIB / seconds)]);
  }
  return {
    title: 'Memory of the publisher',
    note: '`VmHWM` of the command’s process, for an image of one layer, over S3.',
    columns: ['layer', 'peak MiB', 'MiB/s'],
    rows,
    targets: [atMost('peak', 150, Math.max(...peaks), (value) => `${digits(value)} MiB`)],
  };
}

/** A second sync of a repository in which nothing has moved. */
async function again({ folder, rounds, tell }: Bench, bucket: Bucket): Promise<Section> {
  tell(`a repository of ${String(TAGS)} tags`);
  const [from, to] = [await startDockerRegistry(join(folder, 'from')), await startDockerRegistry(join(folder, 'to'))];
  try {
    const layers = Array.from({ length: TAGGED_LAYERS }, (_, at) => ({
      seed: `synced ${String(at)}`,
      size: 128 * 1024,
    }));
    for (let at = 0; at < TAGS; at++) {
      const image = await makeImage(join(folder, 'synced'), layers, `number ${String(at)}`);
      await must('skopeo', [
        'copy',
        '-q',
        '--dest-tls-verify=false',
        `dir:${image.folder}`,
        `docker://${from.host}/bench/synced:v${String(at)}`,
      ]);
    }
    const near = { title: 'loopback', from: from.host, to: to.host, bucket: bucket.env.AWS_ENDPOINT_URL ?? '' };
    const lines = await Promise.all(
      [near.from, near.to, new URL(near.bucket).host].map((host) => openSlowLine(host, ROUND_TRIP)),
    );
    const [farFrom = '', farTo = '', farBucket = ''] = lines.map(({ host }) => host);
    const far = { title: `${String(ROUND_TRIP)} ms away`, from: farFrom, to: farTo, bucket: `http://${farBucket}` };
    const syncOf = async (
      place: typeof near,
    ): Promise<{ title: string; gantry: () => Promise<unknown>; skopeo: () => Promise<unknown> }> => {
      const config = join(folder, `sync-${place.from}.yaml`);
      await writeFile(
        config,
        `repositories:\n  - from: docker://${place.from}/bench/synced\n    to: bench/synced\n    tls-verify: false\n`,
      );
      const plain = ['--src=docker', '--dest=docker', '--src-tls-verify=false', '--dest-tls-verify=false'];
      return {
        title: place.title,
        gantry: () =>
          gantry(
            ['sync', config, '--to', `s3://${bucket.name}/synced`],
            { ...bucket.env, AWS_ENDPOINT_URL: place.bucket },
            folder,
          ),
        skopeo: () => must('skopeo', ['sync', ...plain, `${place.from}/bench/synced`, `${place.to}/bench`]),
      };
    };
    const places = [await syncOf(near), await syncOf(far)];
    const [here] = places;
    tell('both for the first time');
    const first = [
      here === undefined ? NaN : await timed(here.gantry),
      here === undefined ? NaN : await timed(here.skopeo),
    ];
    const rows: string[][] = [];
    const targets = [];
    for (const place of places) {
      const tools = [place.gantry, place.skopeo] as const;
      const figures = await inTurns(tools, rounds, (tool) => {
        tell(`again, ${place.title}`);
        return timed(tool);
      });
      const [ours = [], theirs = []] = tools.map((tool) => figures.get(tool));
      const faster = ratioOf(theirs, ours);
      rows.push([
        place.title,
        ...[ours, theirs].map((seconds) => shown(spreadOf(seconds), digits)),
        shown(faster, digits),
      ]);
      targets.push(atLeast(`times as fast as skopeo sync, ${place.title}`, 5, faster, digits));
    }
    for (const line of lines) line.close();
    return {
      title: `A repository of ${String(TAGS)} tags, again`,
      note:
        `Images of ${String(TAGGED_LAYERS)} layers from docker-registry, into a bucket and into another docker-registry; nothing has moved since the first time (which took ${first.map(digits).join(' and ')} s). ` +
        'The start of the command counts. “Away”: every byte to and from registry and bucket takes half of a round trip longer, the same for both.',
      columns: ['registry and bucket', 'gantry sync, s', 'skopeo sync, s', 'skopeo ÷ gantry'],
      rows,
      targets,
    };
  } finally {
    await from.close();
    await to.close();
  }
}
