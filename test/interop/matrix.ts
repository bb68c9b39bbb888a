/**
 * `npm run interop`: clients × images × ways, each pull compared byte for byte with what was published. Prints the
 * table, and writes it to `docs/reference/interop.md` and `docs/reference/compatibility.md` by way of `test/interop/results.json`.
 *
 * - `--newer[=FOLDER]`: also the clients of Debian 13, from a folder made by debootstrap; a FOLDER that is named is
 *   kept, and used again.
 * - `--old-engines=DIR`: also real Docker engines before 1.10, from a folder with `docker-1.6.2`, `docker-1.7.1`,
 *   `docker-1.8.3`, `docker-1.9.1`;
 *   those that it lacks are skipped by name.
 * - `--pulp3`: a real Pulp 3 behind the edge instead, with any of its programs stopped (`pulp3/main.ts`); nothing is
 *   written.
 * - `--receive`: clients that push to `gantry receive` instead, from this machine, from Debian 14 in a folder, and built
 *   from Go modules (`receive/main.ts`). `--folder=FOLDER` keeps what was made and built, `--json=FILE` writes the
 *   results there, too. Takes minutes and writes the table in `docs/how-to/receive.md`.
 * - `--client=NAME`, `--image=NAME`: only these (several: once each); nothing is written then, except with `--keep`.
 *   With `--pulp3` and `--receive`, clients by their titles.
 * - `--proof`: writes the result to `docs/results`.
 *
 * Exit code: 0 all pulls ended as they should, 1 some did not.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startGantry } from './gantry-server.ts';
import { buildLibtrust, type Verify } from './libtrust.ts';
import { type Client, CLIENTS, type Start, type Way, WAYS } from './matrix/clients.ts';
import { asPulledBy, type ImageKind, IMAGES, type PublishedImage, publishImage } from './matrix/images.ts';
import { type Machine, machineAt } from './matrix/machine.ts';
import { openNewerDebian, removeNewerDebian } from './matrix/newer.ts';
import { oldDaemons } from './matrix/old-clients.ts';
import { mergeResults, type Outcome, readResults, type Result, writeResults } from './matrix/results.ts';
import { matrixTable, oneLine } from './matrix/table.ts';
import { countFigure, writeProof } from '../proof/result.ts';
import { missingPrograms, must } from './programs.ts';
import { runPulp3 } from './pulp3/main.ts';
import { runReceive } from './receive/main.ts';

const leftOut: string[] = [];
const tell = (message: string): void => {
  if (message.startsWith('skipped, ')) leftOut.push(message.slice('skipped, '.length));
  process.stderr.write(`${message}\n`);
};

const { values } = parseArgs({
  args: process.argv.slice(2).map((argument) => (argument === '--newer' ? '--newer=' : argument)),
  options: {
    newer: { type: 'string' },
    'old-engines': { type: 'string' },
    pulp3: { type: 'boolean' },
    receive: { type: 'boolean' },
    folder: { type: 'string' },
    json: { type: 'string' },
    client: { type: 'string', multiple: true },
    image: { type: 'string', multiple: true },
    keep: { type: 'boolean' },
    proof: { type: 'boolean' },
  },
});

const folder = await mkdtemp(join(tmpdir(), 'gantry-interop-'));
const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
const pulling = new Set<Client>();
// Mounts and daemons are not left behind, whatever happens.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
try {
  process.exitCode = await chosen();
} finally {
  await cleanUp();
}

async function chosen(): Promise<number> {
  const { pulp3 = false, receive = false, client: clients, proof = false } = values;
  if (receive)
    return Number(!(await runReceive(tell, { keep: values.folder, json: values.json, clients, proof, undo })));
  if (!pulp3) return main();
  return Number(
    !(await runPulp3(tell, {
      clients,
      kinds: values.image as ImageKind[] | undefined,
      proof: values.proof === true,
    })),
  );
}

async function cleanUp(): Promise<void> {
  for (const client of pulling) await client.close?.();
  pulling.clear();
  for (const step of undo.splice(0).reverse()) await step();
}

async function main(): Promise<number> {
  const machines: Machine[] = [machineAt('Debian 12')];
  if (values.newer !== undefined) {
    const root = values.newer === '' ? `${folder}-debian-13` : resolve(values.newer);
    if (values.newer === '') undo.push(() => removeNewerDebian(root));
    try {
      const newer = await openNewerDebian(root, folder, tell);
      undo.push(() => newer.close());
      machines.push(newer.machine);
    } catch (error) {
      tell(`skipped, the clients of Debian 13: ${messageOf(error)}`);
    }
  }
  const old = values['old-engines'] === undefined ? [] : await oldDaemons(resolve(values['old-engines']), tell);
  const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  const server = await startGantry(join(folder, 'state'), { env });
  undo.push(() => server.close());
  const noGo = missingPrograms('go');
  if (noGo.length > 0) tell('skipped, the verification of signatures by libtrust: go is not installed');
  const verify = noGo.length > 0 ? undefined : await buildLibtrust();

  const images: PublishedImage[] = [];
  for (const kind of (Object.keys(IMAGES) as ImageKind[]).filter((one) => isWanted(values.image, one))) {
    tell(`publishing ${kind}: ${IMAGES[kind]}`);
    images.push(await publishImage({ folder: join(folder, 'sources'), state: server.state, env }, kind));
  }
  const results = (
    await Promise.all(
      machines.map((machine, at) =>
        pullFrom(machine, join(folder, String(at)), server.host, { verify, starts: [...old, ...CLIENTS] }, images),
      ),
    )
  ).flat();
  if (results.length === 0) throw new Error('nothing was pulled: no client or image has the name that was given');
  process.stdout.write(`${matrixTable(results)}\n`);
  const failed = results.filter(({ outcome }) => outcome.kind === 'failed');
  if (values.keep === true || (values.client === undefined && values.image === undefined)) {
    await writeResults(mergeResults(await readResults(), results));
    await must(process.execPath, [new URL('../../docs/generator/main.ts', import.meta.url).pathname]);
  }
  const tried = results.filter(({ outcome }) => outcome.kind !== 'not-tried');
  tell(`${String(tried.length)} pulls, ${String(failed.length)} not as they should be`);
  if (values.proof === true) {
    const isWhole = values.client === undefined && values.image === undefined && machines.length > 1;
    writeProof('interop', {
      extent: isWhole ? 'whole' : 'bounded',
      leftOut,
      figures: [
        countFigure(
          'clients and versions',
          new Set(tried.map((one) => `${one.machine} ${one.client} ${one.version}`)).size,
        ),
        countFigure('kinds of images', new Set(tried.map(({ image }) => image)).size),
        countFigure('pulls that ended as they should', tried.length - failed.length),
        countFigure(
          'of them: known not to work, for a reason of the client',
          tried.filter(({ outcome }) => outcome.kind === 'known').length,
        ),
        countFigure('pulls that did not', failed.length, 0),
      ],
    });
  }
  return failed.length === 0 ? 0 : 1;
}

/** All clients of a machine, one after the other. */
async function pullFrom(
  machine: Machine,
  place: string,
  host: string,
  { verify, starts }: { readonly verify: Verify | undefined; readonly starts: readonly Start[] },
  images: readonly PublishedImage[],
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const [index, start] of starts.entries()) {
    if (!isWanted(values.client, start.name === '' ? 'old-engine' : start.name)) continue;
    // Short: a socket's path has an end.
    const own = `${place}-${String(index)}`;
    await mkdir(own, { recursive: true });
    const client = await start({ host, folder: own, machine, verify });
    if (client === null) {
      if (start.name !== '') tell(`skipped, ${start.name} of ${machine.title}: not installed`);
      continue;
    }
    pulling.add(client);
    try {
      results.push(...(await pullAll(machine, client, host, images)));
    } finally {
      pulling.delete(client);
      await client.close?.();
      await rm(own, { recursive: true, force: true });
    }
  }
  return results;
}

async function pullAll(
  machine: Machine,
  client: Client,
  host: string,
  images: readonly PublishedImage[],
): Promise<Result[]> {
  const results: Result[] = [];
  for (const published of images) {
    const image = await asPulledBy(published, client.userAgent, host);
    for (const way of Object.keys(WAYS) as Way[]) {
      const pull = client.ways[way];
      if (pull === undefined || (way === 'all' && image.tags.length < 2)) continue;
      const began = performance.now();
      const outcome = await outcomeOf(client, image, way, pull);
      const milliseconds = Math.round(performance.now() - began);
      results.push({
        machine: machine.title,
        client: client.title,
        version: client.version,
        method: client.method,
        image: image.kind,
        way,
        outcome,
      });
      const words =
        outcome.kind === 'pulled' ? `${String(milliseconds)} ms` : `${outcome.kind}: ${oneLine(outcome.words)}`;
      tell(`${machine.title} ${client.title} ${client.version}: ${image.kind} ${WAYS[way]}: ${words}`);
    }
  }
  return results;
}

async function outcomeOf(
  client: Client,
  image: PublishedImage,
  way: Way,
  pull: (image: PublishedImage) => Promise<void>,
): Promise<Outcome> {
  const excuse = client.excuse?.(image, way) ?? null;
  if (excuse !== null) return { kind: 'not-tried', words: excuse };
  const known = client.knownFailure?.(image, way) ?? null;
  const trouble = await pull(image).then(() => null, messageOf);
  if (known === null) return trouble === null ? { kind: 'pulled' } : { kind: 'failed', words: trouble };
  if (trouble !== null && known.says.test(trouble)) return { kind: 'known', words: known.words };
  return { kind: 'failed', words: `${known.words} But: ${trouble ?? 'it pulled the image as published'}` };
}

function isWanted(words: readonly string[] | undefined, name: string): boolean {
  return words === undefined || words.includes(name);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
