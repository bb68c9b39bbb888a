/**
 * `npm run interop`: clients × images × ways, each pull compared byte for byte with what was published. Prints the table and writes it to `docs/interop.md`.
 *
 * - `--newer[=FOLDER]`: also the clients of Debian 13, from a folder made by debootstrap; a FOLDER that is named is kept, and used again.
 * - `--pulp3`: a real Pulp 3 behind the edge instead, with any of its programs stopped (`pulp3/main.ts`); nothing is written.
 * - `--client=NAME`, `--image=NAME`: only these (several: once each); nothing is written then. With `--pulp3`, clients by their titles in the table.
 *
 * Exit code: 0 all pulls gave what was published, 1 some did not.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startGantry } from './gantry-server.ts';
import { buildLibtrust, type Verify } from './libtrust.ts';
import { type Client, CLIENTS, type Way, WAYS } from './matrix/clients.ts';
import { type ImageKind, IMAGES, type PublishedImage, publishImage } from './matrix/images.ts';
import { type Machine, machineAt } from './matrix/machine.ts';
import { openNewerDebian, removeNewerDebian } from './matrix/newer.ts';
import { matrixPage, matrixTable, oneLine, type Result } from './matrix/table.ts';
import { missingPrograms } from './programs.ts';
import { runPulp3 } from './pulp3/main.ts';

const PAGE = new URL('../../docs/interop.md', import.meta.url).pathname;
const tell = (message: string): void => void process.stderr.write(`${message}\n`);

const { values } = parseArgs({
  args: process.argv.slice(2).map((argument) => (argument === '--newer' ? '--newer=' : argument)),
  options: {
    newer: { type: 'string' },
    pulp3: { type: 'boolean' },
    client: { type: 'string', multiple: true },
    image: { type: 'string', multiple: true },
  },
});

const folder = await mkdtemp(join(tmpdir(), 'gantry-interop-'));
const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
const pulling = new Set<Client>();
// Mounts and daemons are not left behind, whatever happens.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
try {
  process.exitCode =
    values.pulp3 === true
      ? Number(!(await runPulp3(tell, { clients: values.client, kinds: values.image as ImageKind[] | undefined })))
      : await main();
} finally {
  await cleanUp();
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
      machines.map((machine, at) => pullFrom(machine, join(folder, String(at)), server.host, verify, images)),
    )
  ).flat();
  process.stdout.write(`${matrixTable(results)}\n`);
  const troubles = results.filter(({ trouble }) => trouble !== null);
  if (values.client === undefined && values.image === undefined) await writeFile(PAGE, matrixPage(results));
  tell(
    `${String(results.filter(({ excuse }) => excuse === null).length)} pulls, ${String(troubles.length)} not as published`,
  );
  return troubles.length === 0 ? 0 : 1;
}

/** All clients of a machine, one after the other. */
async function pullFrom(
  machine: Machine,
  place: string,
  host: string,
  verify: Verify | undefined,
  images: readonly PublishedImage[],
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const [index, start] of CLIENTS.entries()) {
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
      results.push(...(await pullAll(machine, client, images)));
    } finally {
      pulling.delete(client);
      await client.close?.();
      await rm(own, { recursive: true, force: true });
    }
  }
  return results;
}

async function pullAll(machine: Machine, client: Client, images: readonly PublishedImage[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const image of images) {
    for (const way of Object.keys(WAYS) as Way[]) {
      const pull = client.ways[way];
      if (pull === undefined || (way === 'all' && image.tags.length < 2)) continue;
      const excuse = client.excuse?.(image, way) ?? null;
      const began = performance.now();
      const trouble = excuse === null ? await troubleOf(pull(image)) : null;
      const milliseconds = Math.round(performance.now() - began);
      results.push({
        machine: machine.title,
        client: client.title,
        version: client.version,
        image: image.kind,
        way,
        trouble,
        excuse,
        milliseconds,
      });
      const outcome =
        excuse === null ? (trouble === null ? `${String(milliseconds)} ms` : oneLine(trouble)) : `not tried: ${excuse}`;
      tell(`${machine.title} ${client.title} ${client.version}: ${image.kind} ${WAYS[way]}: ${outcome}`);
    }
  }
  return results;
}

async function troubleOf(pulling: Promise<void>): Promise<string | null> {
  try {
    await pulling;
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

function isWanted(words: readonly string[] | undefined, name: string): boolean {
  return words === undefined || words.includes(name);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
