/**
 * Real clients push to the local registry and pull from its edge. Those of Debian 12, and those of Debian 13 that
 * `.ci/run` unpacks, must be there where all programs are required; `npm run interop -- --receive` has all others.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUSYBOX_PROGRAMS, makeBusybox } from '../busybox.ts';
import { machineAt } from '../matrix/machine.ts';
import { missingPrograms, titleWith } from '../programs.ts';
import { missingOf, PUSH_CLIENTS, runClient } from './clients.ts';
import { type PushServer, startPushServer } from './push-server.ts';

/** They take minutes to build, or need a newer Docker. */
const OPTIONAL: readonly string[] = ['buildx (containerd)', 'buildx (buildkitd)', 'helm', 'crane', 'ko'];

// Debian's programs first; then whatever this person has.
const machine = machineAt('this machine', undefined, process.env.PATH);
const clients = await Promise.all(
  PUSH_CLIENTS.map(async (client) => ({ ...client, missing: await missingOf(client, machine) })),
);
if (process.env.GANTRY_INTEROP === 'required') {
  const required = clients.filter(({ title }) => !OPTIONAL.includes(title));
  const lacking = required.flatMap((client) => client.missing);
  if (lacking.length > 0) throw new Error(`GANTRY_INTEROP=required, but not installed: ${lacking.join(', ')}`);
}
const missing = missingPrograms(...BUSYBOX_PROGRAMS);

let folder: string;
let layout: string;
let server: PushServer;

describe.skipIf(missing.length > 0)(titleWith('clients that push', missing), () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-push-'));
    await mkdir(join(folder, 'image'));
    layout = await makeBusybox(join(folder, 'image'));
    server = await startPushServer(folder);
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  for (const [at, client] of clients.entries()) {
    it.skipIf(client.missing.length > 0)(
      titleWith(`${client.title}: what is pushed can be pulled from the edge`, client.missing),
      async () => {
        const results = await runClient(client, { ...server, folder: join(folder, String(at)), machine, layout });
        expect(results.filter(({ outcome }) => outcome.kind !== 'passed')).toEqual([]);
        expect(results.length).toBeGreaterThan(0);
      },
    );
  }
});
