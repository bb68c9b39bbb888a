import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examine, type Diagnosis } from '../../src/publisher/doctor/examine.ts';
import { startDockerRegistry, type DockerRegistry } from '../interop/docker-registry.ts';
import { missingPrograms, titleWith } from '../interop/programs.ts';
import { PUSHED } from './doctor-edge.ts';

const missing = missingPrograms('docker-registry');

/** Pushes by the API alone, as any client does. */
async function push(host: string): Promise<void> {
  for (const bytes of [PUSHED.config, PUSHED.layer]) {
    const started = await fetch(`http://${host}/v2/demo/hello/blobs/uploads/`, { method: 'POST' });
    const location = new URL(started.headers.get('location') ?? '', `http://${host}`);
    location.searchParams.set('digest', `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    const done = await fetch(location, {
      method: 'PUT',
      body: bytes,
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect(done.status).toBe(201);
  }
  const headers = { 'content-type': 'application/vnd.docker.distribution.manifest.v2+json' };
  expect(
    (await fetch(`http://${host}/v2/demo/hello/manifests/latest`, { method: 'PUT', body: PUSHED.schema2, headers }))
      .status,
  ).toBe(201);
}

describe.skipIf(missing.length > 0)(titleWith('docker-registry 2.8.2, examined', missing), () => {
  let folder: string;
  let registry: DockerRegistry;
  let diagnosis: Diagnosis;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-doctor-'));
    registry = await startDockerRegistry(folder);
    await push(registry.host);
    diagnosis = await examine(new URL(`http://${registry.host}`), { timeoutMs: 10_000, insecure: false, now: 0 });
  });
  afterAll(async () => {
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('gives every client family a manifest that it can read, except those that read OCI alone', () => {
    const forms = new Map(diagnosis.clients.map(({ id, outcome, form }) => [id, `${outcome} ${form ?? ''}`]));
    expect(forms.get('docker-1.6')).toBe('pulls docker-schema1');
    expect(forms.get('docker-28')).toBe('pulls docker-schema2');
    // It has no OCI form of a schema 2, and gives a schema 1 instead of a 404.
    expect([...forms].filter(([, form]) => !form.startsWith('pulls'))).toEqual([['systemd', 'fails docker-schema1']]);
  });

  // What distribution 2.8 is known for: it converts at each read, so it does not know the digest of what it gives.
  it('has the faults that it is known for, and no others', () => {
    expect([...new Set(diagnosis.findings.map(({ id }) => id))].sort()).toEqual([
      'bad-digest-5xx',
      'condition-other-form',
      'digest-uncached',
      'printed-digest',
      'referrers-missing',
      'vary-missing',
      'wrong-form',
    ]);
  });
});
