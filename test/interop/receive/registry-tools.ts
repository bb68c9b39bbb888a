/** crane, oras and ko: programs that speak to registries and need no daemon. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectEqual } from '../matrix/expect.ts';
import { must } from '../programs.ts';
import {
  digestAt,
  layersOf,
  manifestAt,
  type PushBench,
  type PushClient,
  type StartedClient,
  versionBy,
} from './client.ts';

/** Every command of crane that writes. */
export const crane: PushClient = { title: 'crane', programs: ['crane'], start: startCrane };

/** Artifacts, and what is attached to them. */
export const oras: PushClient = { title: 'oras', programs: ['oras'], start: startOras };

/** Builds a Go program, and puts it on a base image that it takes from the edge. */
export const ko: PushClient = { title: 'ko', programs: ['ko', 'go'], start: startKo };

async function startCrane({ push, edge, folder, machine, layout }: PushBench): Promise<StartedClient> {
  await mkdir(folder, { recursive: true });
  const env = { HOME: folder };
  const command = async (...args: readonly string[]): Promise<string> =>
    (await machine.must('crane', ['--insecure', ...args], { env })).trim();
  const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
  const digest = index.manifests[0]?.digest;
  return {
    version: await versionBy(machine, 'crane', 'version'),
    steps: [
      {
        title: 'push',
        run: async () => {
          await command('push', layout, `${push}/crane/app:1`);
          expectEqual('the digest at the edge', await command('digest', `${edge}/crane/app:1`), digest);
          await command('validate', '--remote', `${edge}/crane/app:1`);
        },
      },
      {
        title: 'tag',
        run: async () => {
          await command('tag', `${push}/crane/app:1`, '2');
          expectEqual('the digest of the new tag', await digestAt(edge, 'crane/app', '2'), digest);
        },
      },
      {
        title: 'copy',
        run: async () => {
          await command('copy', `${push}/crane/app:1`, `${push}/crane/copy:1`);
          await command('validate', '--remote', `${edge}/crane/copy:1`);
          expectEqual('the digest of the copy', await digestAt(edge, 'crane/copy', '1'), digest);
        },
      },
      {
        title: 'append',
        run: async () => {
          await writeFile(join(folder, 'appended.txt'), 'appended\n');
          const layer = join(folder, 'layer.tar');
          await must('tar', ['-C', folder, '-cf', layer, 'appended.txt']);
          await command('append', '-b', `${push}/crane/app:1`, '-f', layer, '-t', `${push}/crane/appended:1`);
          await command('validate', '--remote', `${edge}/crane/appended:1`);
          const [before, after] = [
            await manifestAt(edge, 'crane/app', '1'),
            await manifestAt(edge, 'crane/appended', '1'),
          ];
          expectEqual('the layers', layersOf(after.manifest).slice(0, -1), layersOf(before.manifest));
        },
      },
      {
        title: 'pull',
        run: async () => {
          await command('pull', '--format', 'oci', `${edge}/crane/app:1`, join(folder, 'pulled'));
          const pulled = await readFile(join(folder, 'pulled', 'index.json'), 'utf8');
          if (digest === undefined || !pulled.includes(digest)) throw new Error(`pulled something else: ${pulled}`);
        },
      },
    ],
  };
}

async function startOras({ push, edge, folder, machine }: PushBench): Promise<StartedClient> {
  await mkdir(folder, { recursive: true });
  const note = 'A note for people.\n';
  await Promise.all([
    writeFile(join(folder, 'note.txt'), note),
    writeFile(join(folder, 'sbom.json'), '{"packages":[]}\n'),
  ]);
  const command = (verb: string, ...args: readonly string[]): Promise<string> =>
    machine.must('sh', ['-c', 'cd "$1" && shift && exec oras "$@"', 'sh', folder, verb, '--plain-http', ...args], {
      env: { HOME: folder },
    });
  const type = 'application/vnd.example.note';
  return {
    version: await versionBy(machine, 'oras', 'version'),
    steps: [
      {
        title: 'push',
        run: async () => {
          await command('push', '--artifact-type', type, `${push}/oras/note:1`, 'note.txt:text/plain');
        },
      },
      {
        title: 'attach',
        run: async () => {
          const sbom = 'application/vnd.example.sbom';
          await command('attach', '--artifact-type', sbom, `${push}/oras/note:1`, 'sbom.json:application/json');
        },
      },
      {
        title: 'discover',
        run: async () => {
          const printed = await command('discover', '--format', 'json', `${edge}/oras/note:1`);
          const types = [...printed.matchAll(/"artifactType": ?"([^"]+)"/g)].map(([, found]) => found);
          if (!types.includes('application/vnd.example.sbom')) throw new Error(`no SBOM in ${printed}`);
        },
      },
      {
        title: 'pull',
        run: async () => {
          await command('pull', '--output', 'pulled', `${edge}/oras/note:1`);
          expectEqual('the file', await readFile(join(folder, 'pulled', 'note.txt'), 'utf8'), note);
        },
      },
      {
        title: 'tag',
        run: async () => {
          await command('tag', `${push}/oras/note:1`, '2');
          const [first, second] = [await digestAt(edge, 'oras/note', '1'), await digestAt(edge, 'oras/note', '2')];
          expectEqual('the digest of the new tag', second, first);
        },
      },
    ],
  };
}

async function startKo({ push, edge, folder, machine, layout }: PushBench): Promise<StartedClient> {
  const source = join(folder, 'source');
  await mkdir(source, { recursive: true });
  await Promise.all([
    writeFile(join(source, 'go.mod'), 'module example.com/hello\n\ngo 1.24\n'),
    writeFile(join(source, 'main.go'), 'package main\n\nfunc main() { println("hello") }\n'),
    cp(layout, join(folder, 'base'), { recursive: true }),
  ]);
  await must('skopeo', [
    ...['copy', '--quiet', '--dest-tls-verify=false'],
    ...[`oci:${layout}:latest`, `docker://${push}/ko/base:1`],
  ]);
  const env = {
    HOME: folder,
    GOFLAGS: '-buildvcs=false',
    GOCACHE: process.env.GOCACHE ?? join(folder, 'go-build'),
    KO_DOCKER_REPO: `${push}/ko/hello`,
    KO_DEFAULTBASEIMAGE: `${edge}/ko/base:1`,
  };
  return {
    version: await versionBy(machine, 'ko', 'version'),
    steps: [
      {
        title: 'build',
        run: async () => {
          const build = ['build', '--bare', '--insecure-registry', '--sbom=spdx', '--tags=1', '.'];
          const printed = await machine.must('sh', ['-c', 'cd "$1" && shift && exec ko "$@"', 'sh', source, ...build], {
            env,
          });
          const digest = await digestAt(edge, 'ko/hello', '1');
          if (digest === null || !printed.includes(digest))
            throw new Error(`the edge has ${String(digest)}: ${printed}`);
          const [base, image] = [await manifestAt(edge, 'ko/base', '1'), await manifestAt(edge, 'ko/hello', '1')];
          const layers = layersOf(base.manifest);
          expectEqual('the layers of the base', layersOf(image.manifest).slice(0, layers.length), layers);
        },
      },
    ],
  };
}
