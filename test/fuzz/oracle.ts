/** docker/distribution's schema 1 builder and libtrust, built from Debian's Go packages: the judge of our conversion and of our signatures. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Schema1Input } from '../../src/manifest/schema1.ts';

/** A payload, or why there is none. */
export type Verdict =
  | { readonly kind: 'payload'; readonly payload: Uint8Array }
  | { readonly kind: 'refused'; readonly explanation: string };

/** The judge. Questions may be asked before earlier ones are answered. */
export interface Oracle {
  /** What docker/distribution makes of a config. */
  build(input: Schema1Input): Promise<Verdict>;
  /** The payload of a signed document, if libtrust accepts its signatures. */
  verify(document: Uint8Array): Promise<Verdict>;
  /** Ends the process. */
  close(): Promise<void>;
}

const GO_ENVIRONMENT = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '', TZ: 'UTC' };

/** What is missing for the oracle; null if it can be built. Needs `go`, golang-github-docker-distribution-dev and golang-github-docker-libtrust-dev. */
export function missingForOracle(): string | null {
  const { status, error } = spawnSync(
    'go',
    ['list', 'github.com/docker/distribution/manifest/schema1', 'github.com/docker/libtrust'],
    {
      env: GO_ENVIRONMENT,
    },
  );
  if (error !== undefined) return 'go';
  return status === 0 ? null : 'golang-github-docker-distribution-dev';
}

/** Builds and starts the oracle (some seconds the first time). Throws what the compiler says. */
export function startOracle(): Oracle {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-oracle-'));
  const program = join(folder, 'oracle');
  const built = spawnSync('go', ['build', '-o', program, new URL('./oracle/main.go', import.meta.url).pathname], {
    env: GO_ENVIRONMENT,
  });
  if (built.status !== 0) {
    rmSync(folder, { recursive: true });
    throw new Error(`the oracle does not build: ${built.error?.message ?? built.stderr.toString()}`);
  }
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'], env: GO_ENVIRONMENT });
  // It runs by now, and needs its file no more: nothing is left behind however this ends.
  rmSync(folder, { recursive: true });
  const waiting: { resolve: (verdict: Verdict) => void; reject: (error: Error) => void }[] = [];
  const fail = (): void => {
    for (const { reject } of waiting.splice(0)) reject(new Error('the oracle has ended'));
  };
  child.on('close', fail);
  child.stdin.on('error', fail);
  let received: Buffer = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    while (received.length >= 5) {
      const end = 5 + received.readUInt32BE(1);
      if (received.length < end) return;
      const content = received.subarray(5, end);
      waiting
        .shift()
        ?.resolve(
          received[0] === 0
            ? { kind: 'payload', payload: new Uint8Array(content) }
            : { kind: 'refused', explanation: content.toString() },
        );
      received = received.subarray(end);
    }
  });
  const ask = (question: string, ...fields: readonly Uint8Array[]): Promise<Verdict> => {
    const parts = fields.flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(field.length);
      return [length, field];
    });
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin.write(Buffer.concat([Buffer.from(question), ...parts]));
    });
  };
  return {
    build: ({ config, layers, name, tag }) => ask('b', config, Buffer.from(JSON.stringify({ name, tag, layers }))),
    verify: (document) => ask('v', document),
    close: async () => {
      if (child.exitCode === null) {
        const closed = once(child, 'close');
        child.stdin.end();
        await closed;
      }
    },
  };
}
