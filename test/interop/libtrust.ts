/** libtrust, built from Debian's Go package: the judge of our signatures. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must, run } from './programs.ts';

/** Gives a signed document to libtrust: its payload, or an error with libtrust's reason. */
export type Verify = (document: Uint8Array) => Promise<Uint8Array>;

/** Builds the verifier (a second or two; needs `go` and golang-github-docker-libtrust-dev). */
export async function buildLibtrust(): Promise<Verify> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-libtrust-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'verify');
  const source = new URL('./libtrust/main.go', import.meta.url).pathname;
  await must('go', ['build', '-o', program, source], {
    env: { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' },
  });
  return async (document) => {
    const { code, stdout, stderr } = await run(program, [], { input: document });
    if (code !== 0) throw new Error(`libtrust refuses: ${stderr.trim()}`);
    return new TextEncoder().encode(stdout);
  };
}
