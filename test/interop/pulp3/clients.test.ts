/**
 * Real clients and a real Pulp 3: what the edge has goes on whatever of Pulp is stopped, and the rest is 503 with a
 * reason.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { titleWith } from '../programs.ts';
import { missingForPulp } from './environment.ts';
import { runScenario } from './run.ts';
import { type Pull, STATES } from './scenario.ts';
import { troubles } from './table.ts';

const CLIENTS = ['docker engine, replayed', 'docker', 'podman', 'containerd (ctr)'];

const missing = await missingForPulp('docker-registry', 'dockerd', 'podman', 'containerd');

describe.skipIf(missing.length > 0)(titleWith('clients of an edge in front of a real Pulp 3', missing), () => {
  let folder: string;
  let pulls: readonly Pull[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-clients-'));
    pulls = await runScenario(folder, ['schema2', 'oci', 'zstd', 'list', 'index', 'schema1', 'odd'], {
      clients: CLIENTS,
    });
  }, 900_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(Object.keys(STATES))('get what Pulp was given, or are told to come again: Pulp %s', (state) => {
    const own = pulls.filter((one) => one.state === state);
    expect(troubles(own)).toEqual([]);
    for (const title of CLIENTS)
      expect(own.some(({ client, outcome }) => client.startsWith(title) && outcome.kind === 'whole')).toBe(true);
    if (STATES[state as keyof typeof STATES].stopped.length === 0) return;
    // Engines from before 1.8 cannot name the repositories of this edge: they have three parts.
    const absent = own.filter(({ image, outcome }) => image === 'not stored' && outcome.kind !== 'excused');
    expect(absent.map(({ outcome }) => outcome.kind)).toEqual(Array.from({ length: 6 }, () => 'later'));
  });
});
