/** Clients that are built from their sources: Go modules of pinned versions. The module proxy never changes those. */
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { must, run } from '../programs.ts';

/** Program → package and version. */
export const GO_PROGRAMS = {
  crane: 'github.com/google/go-containerregistry/cmd/crane@v0.22.1',
  oras: 'oras.land/oras/cmd/oras@v1.3.6',
  ko: 'github.com/google/ko@v0.19.1',
  helm: 'helm.sh/helm/v3/cmd/helm@v3.22.0',
  cosign: 'github.com/sigstore/cosign/v2/cmd/cosign@v2.4.3',
  // Its go.mod has `exclude`, with which `go install` refuses a module: it is built in the module's own folder.
  buildkitd: ['github.com/moby/buildkit@v0.34.2', './cmd/buildkitd'],
} as const satisfies Record<string, string | readonly [module: string, program: string]>;

/** Builds those of `programs` that are listed here and that `folder` does not have. `tell` gets what cannot be built, with the reason. */
export async function buildGoPrograms(
  folder: string,
  tell: (message: string) => void,
  programs: readonly string[],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [program, source] of Object.entries(GO_PROGRAMS)) {
    if (!programs.includes(program)) continue;
    const isBuilt = await access(join(folder, program)).then(
      () => true,
      () => false,
    );
    if (isBuilt) continue;
    tell(`building ${[source].flat().join(' ')}`);
    const { code, stderr } = await build(folder, program, source).catch((error: unknown) => ({
      code: 1,
      stderr: error instanceof Error ? error.message : String(error),
    }));
    if (code !== 0) tell(`skipped, ${program}: ${stderr.trim().split('\n').at(-1) ?? ''}`);
  }
}

async function build(
  folder: string,
  program: string,
  source: string | readonly [string, string],
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  // Without C, so that they run in a folder with another Debian as well.
  const env = {
    ...process.env,
    ...{ GOBIN: folder, CGO_ENABLED: '0', GO111MODULE: 'on', GOWORK: 'off', GOFLAGS: '-buildvcs=false' },
  };
  if (typeof source === 'string') return run('go', ['install', source], { env });
  const [module, place] = source;
  const { Dir } = JSON.parse(await must('go', ['mod', 'download', '-json', module], { env })) as { Dir: string };
  return run('go', ['build', '-o', join(folder, program), place], { env, cwd: Dir });
}
