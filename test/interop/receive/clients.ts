/** Every client that pushes, in the order of the table. */
import { mkdir } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Machine } from '../matrix/machine.ts';
import { type PushBench, type PushClient, type StartedClient, versionBy } from './client.ts';
import { buildah, podman, skopeo } from './containers.ts';
import { cosign } from './cosign.ts';
import { buildkit, buildx, buildxContainerd, docker } from './engine.ts';
import { helm } from './helm.ts';
import { crane, ko, oras } from './registry-tools.ts';

/** All of them. */
export const PUSH_CLIENTS: readonly PushClient[] = [
  ...[docker, buildx, buildxContainerd, buildkit, podman, buildah, skopeo],
  ...[helm, oras, cosign, crane, ko],
];

/** How a step ended. */
export type StepOutcome =
  { readonly kind: 'passed' } | { readonly kind: 'failed' | 'not-tried'; readonly reason: string };

/** One step of one client. */
export interface StepResult {
  readonly machine: string;
  readonly client: string;
  readonly version: string;
  readonly step: string;
  readonly outcome: StepOutcome;
}

/** The programs that the machine does not have, or has too old. */
export async function missingOf({ programs, minimumEngine }: PushClient, machine: Machine): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const program of programs) if (!(await machine.has(program))) missing.push(basename(program));
  if (minimumEngine !== undefined && missing.length === 0) {
    const [major = 0] = (await versionBy(machine, 'dockerd', '--version')).split('.').map(Number);
    if (major < minimumEngine) missing.push(`docker ${String(minimumEngine)}`);
  }
  return missing;
}

/** Runs the steps of a client to the first that fails. */
export async function runClient(client: PushClient, bench: PushBench): Promise<readonly StepResult[]> {
  const common = { machine: bench.machine.title, client: client.title };
  let started: StartedClient;
  await mkdir(bench.folder, { recursive: true });
  try {
    started = await client.start(bench);
  } catch (error) {
    return [{ ...common, version: 'unknown', step: 'start', outcome: { kind: 'failed', reason: messageOf(error) } }];
  }
  const results: StepResult[] = [];
  try {
    for (const { title: step, run } of started.steps) {
      const failed = results.find(({ outcome }) => outcome.kind === 'failed');
      const outcome: StepOutcome =
        failed === undefined
          ? await run().then(
              () => ({ kind: 'passed' }),
              (error: unknown) => ({ kind: 'failed', reason: messageOf(error) }),
            )
          : { kind: 'not-tried', reason: `it needs the step ${failed.step}` };
      results.push({ ...common, version: started.version, step, outcome });
    }
  } finally {
    await started.close?.();
  }
  return results;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
