/** `gantry receive` beside docker-registry: the same pushes into both, by the same client. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDockerRegistry } from '../../interop/docker-registry.ts';
import { end, freePort, must, until } from '../../interop/programs.ts';
import { type Bench, inTurns, type Part } from '../bench.ts';
import { startFolderS3 } from '../folder-s3-process.ts';
import { type ImageSet, makeServices } from '../image-sets.ts';
import { atLeast, digits, type Section, shown } from '../section.ts';
import { ratioOf, spreadOf } from '../statistics.ts';
import { START_BUNDLE, timed } from '../watched.ts';

const MIB = 2 ** 20;

/** Measures pushes. */
export const receiving: Part = async (bench) => {
  bench.tell('building the command');
  await must(process.execPath, [fileURLToPath(new URL('../../../bin/build.ts', import.meta.url))]);
  const s3 = await startFolderS3(bench.folder);
  try {
    return [await pushes(bench, await makeServices(bench), s3.env)];
  } finally {
    await s3.close();
  }
};

interface Endpoint {
  readonly host: string;
  close(): Promise<unknown>;
}

async function pushes(
  { folder, rounds, tell }: Bench,
  { images, size, about }: ImageSet,
  env: Readonly<Record<string, string>>,
): Promise<Section> {
  const receive = {
    title: 'gantry receive, S3 over a folder',
    start: (round: number): Promise<Endpoint> =>
      startReceive(`s3://bench/received-${String(round)}`, { ...env, GANTRY_KEY: join(folder, 'key.pem') }),
  };
  const registry = {
    title: 'docker-registry 2.8.2',
    start: (round: number): Promise<Endpoint> => startDockerRegistry(join(folder, `pushed-${String(round)}`)),
  };
  const subjects = [receive, registry];
  const figures = await inTurns(subjects, rounds, async ({ title, start }, round) => {
    tell(title);
    const endpoint = await start(round);
    try {
      return await timed(async () => {
        for (const [at, image] of images.entries()) {
          const to = `docker://${endpoint.host}/set/image-${String(at)}:v1`;
          await must('skopeo', ['copy', '-q', '--dest-tls-verify=false', `dir:${image.folder}`, to]);
        }
      });
    } finally {
      await endpoint.close();
    }
  });
  const rateOf = (subject: (typeof subjects)[number]): readonly number[] =>
    (figures.get(subject) ?? []).map((seconds) => size / MIB / seconds);
  const ratio = ratioOf(rateOf(receive), rateOf(registry));
  return {
    title: 'Pushing services',
    note: `${about}; ${digits(size / MIB)} MiB together, pushed by skopeo, one command an image, into an empty registry each time.`,
    columns: ['into', 'seconds', 'MiB/s', '÷ docker-registry'],
    rows: subjects.map((subject) => [
      subject.title,
      shown(spreadOf(figures.get(subject) ?? []), digits),
      shown(spreadOf(rateOf(subject)), digits),
      shown(ratioOf(rateOf(subject), rateOf(registry)), digits),
    ]),
    targets: [atLeast('rate of pushes to gantry receive, of docker-registry’s', 0.9, ratio, digits)],
  };
}

async function startReceive(to: string, env: Readonly<Record<string, string>>): Promise<Endpoint> {
  const host = `127.0.0.1:${String(await freePort())}`;
  const child: ChildProcess = spawn(process.execPath, [START_BUNDLE, 'receive', '--listen', host, '--to', to], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  });
  await until('gantry receive', async () => (await fetch(`http://${host}/v2/`)).status === 200);
  return { host, close: () => end(child) };
}
