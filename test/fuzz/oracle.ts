/**
 * docker/distribution's schema 1 builder, moby's reader of schema 1, and libtrust, built from Debian's Go packages: the
 * judge of our conversions and of our signatures.
 */
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
  /**
   * The image config that moby makes of a schema 1's payload; a layer's diff ID is the digest of its blobSum's text.
   */
  config(payload: Uint8Array): Promise<Verdict>;
  /** Ends the process. */
  close(): Promise<void>;
}

/** Debian's own Go, whatever stands first on PATH: its packages are what the oracle is built from. */
const GO = '/usr/lib/go/bin/go';

/** Beside Debian's packages, a stand-in for one that moby's `image` needs and that Debian leaves out. */
const GOPATH = `${new URL('./oracle/gopath', import.meta.url).pathname}:/usr/share/gocode`;
const GO_ENVIRONMENT = { ...process.env, GO111MODULE: 'off', GOPATH, GOFLAGS: '', TZ: 'UTC' };

const PACKAGES = {
  'golang-github-docker-distribution-dev': 'github.com/docker/distribution/manifest/schema1',
  'golang-github-docker-docker-dev': 'github.com/docker/docker/image/v1',
  'golang-github-docker-libtrust-dev': 'github.com/docker/libtrust',
} as const;

/** What is missing for the oracle; null if it can be built. */
export function missingForOracle(): string | null {
  const { stdout, error } = spawnSync(GO, ['env', 'GOVERSION']);
  if (error !== undefined) return 'golang-go';
  // Later ones write \b and \f where docker/distribution 2.8 writes \u0008 and \u000c.
  if (Number(/^go1\.(\d+)/.exec(stdout.toString())?.[1] ?? 99) >= 22)
    return 'golang-go before 1.22 (Debian 12 has 1.19)';
  const lacking = Object.entries(PACKAGES).find(
    ([, path]) => spawnSync(GO, ['list', path], { env: GO_ENVIRONMENT }).status !== 0,
  );
  return lacking?.[0] ?? null;
}

/** Builds and starts the oracle (some seconds the first time). Throws what the compiler says. */
export function startOracle(): Oracle {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-oracle-'));
  const program = join(folder, 'oracle');
  const built = spawnSync(GO, ['build', '-o', program, '.'], {
    cwd: new URL('./oracle/', import.meta.url).pathname,
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
    config: (payload) => ask('c', payload),
    close: async () => {
      if (child.exitCode === null) {
        const closed = once(child, 'close');
        child.stdin.end();
        await closed;
      }
    },
  };
}
